#include "rescale.hpp"

namespace blindfit {

void rescale(const Ring& ring, u64* out, const u64* a, std::size_t polys, std::size_t level) {
  const std::size_t n = ring.n();
  const Prime& last = ring.prime(level);
  Scratch scratch(2 * n);
  u64* remainder = scratch.take(n);
  u64* division_scratch = scratch.take(n);
  // In place, a result never reaches what is still to be read: polynomial p moves down by p rows, row by row.
  for (std::size_t p = 0; p < polys; p++) {
    const u64* from = a + p * (level + 1) * n;
    u64* to = out + p * level * n;
    last.kernel->inverse(last, remainder, from + level * n, Order::seal);
    last.kernel->add_scalar(last, remainder, remainder, last.modulus.q >> 1, n);
    for (std::size_t i = 0; i < level; i++) {
      const Prime& prime = ring.prime(i);
      prime.kernel->divide(prime, Division{to + i * n, nullptr, from + i * n, Order::seal, remainder, last.modulus.q,
                                           ring.inverse_of(level, i), division_scratch});
    }
  }
}

}  // namespace blindfit
