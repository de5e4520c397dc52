#include "elementwise.hpp"
#include <cstring>
#include <vector>

namespace blindfit {

namespace {

/// body(prime, offset of the row, its index)
template <typename Body>
void for_rows(const Ring& ring, std::size_t polys, std::size_t level, Body body) {
  const std::size_t rows = level + 1;
  for (std::size_t row = 0; row < polys * rows; row++) body(ring.prime(row % rows), row * ring.n(), row);
}

}  // namespace

void add(const Ring& ring, u64* out, const u64* a, const u64* b, std::size_t polys, std::size_t level) {
  for_rows(ring, polys, level, [&](const Prime& prime, std::size_t at, std::size_t) {
    prime.kernel->add(prime, out + at, a + at, b + at, ring.n());
  });
}

void subtract(const Ring& ring, u64* out, const u64* a, const u64* b, std::size_t polys, std::size_t level) {
  for_rows(ring, polys, level, [&](const Prime& prime, std::size_t at, std::size_t) {
    prime.kernel->subtract(prime, out + at, a + at, b + at, ring.n());
  });
}

void negate(const Ring& ring, u64* out, const u64* a, std::size_t polys, std::size_t level) {
  for_rows(ring, polys, level, [&](const Prime& prime, std::size_t at, std::size_t) {
    prime.kernel->negate(prime, out + at, a + at, ring.n());
  });
}

void add_plain(const Ring& ring, u64* out, const u64* a, const u64* plain, std::size_t polys, std::size_t level) {
  const std::size_t polynomial = (level + 1) * ring.n();
  add(ring, out, a, plain, 1, level);
  if (out != a) std::memcpy(out + polynomial, a + polynomial, (polys - 1) * polynomial * sizeof(u64));
}

void multiply_plain(const Ring& ring, u64* out, const u64* a, const u64* plain, std::size_t polys, std::size_t level) {
  const std::size_t polynomial = (level + 1) * ring.n();
  for_rows(ring, 1, level, [&](const Prime& prime, std::size_t at, std::size_t) {
    for (std::size_t poly = 0; poly < polys; poly++) {
      const std::size_t here = at + poly * polynomial;
      prime.kernel->multiply(prime, out + here, a + here, plain + at, ring.n());
    }
  });
}

void split(const Ring& ring, u64* a, u64* b, const u64* plain, std::size_t level) {
  // Small enough to stay in the first-level cache between the three loops.
  constexpr std::size_t TILE = 512;
  u64 difference[TILE];
  for_rows(ring, 2, level, [&](const Prime& prime, std::size_t at, std::size_t row) {
    const Kernel& kernel = *prime.kernel;
    const u64* factors = plain + row % (level + 1) * ring.n();
    for (std::size_t i = 0; i < ring.n(); i += TILE) {
      kernel.subtract(prime, difference, a + at + i, b + at + i, TILE);
      kernel.add(prime, a + at + i, a + at + i, b + at + i, TILE);
      kernel.multiply(prime, b + at + i, difference, factors + i, TILE);
    }
  });
}

void sum_of_products(const Ring& ring, u64* out, std::span<const u64* const> a, std::span<const u64* const> b,
                     std::size_t level) {
  const std::size_t polynomial = (level + 1) * ring.n();
  for_rows(ring, 1, level, [&](const Prime& prime, std::size_t at, std::size_t) {
    u64* const rows[3] = {out + at, out + at + polynomial, out + at + 2 * polynomial};
    prime.kernel->sum_products(prime, rows, a.data(), b.data(), at, polynomial, a.size(), ring.n());
  });
}

void drop_to(const Ring& ring, u64* out, const u64* a, std::size_t polys, std::size_t level, std::size_t to) {
  for (std::size_t poly = 0; poly < polys; poly++) {
    std::memmove(out + poly * (to + 1) * ring.n(), a + poly * (level + 1) * ring.n(),
                 (to + 1) * ring.n() * sizeof(u64));
  }
}

void monomial(const Ring& ring, u64* out, std::size_t exponent, std::size_t level) {
  const std::size_t n = ring.n();
  std::vector<u64> powers(2 * n);
  for_rows(ring, 1, level, [&](const Prime& prime, std::size_t at, std::size_t) {
    u64 power = 1;
    for (u64& entry : powers) {
      entry = power;
      power = prime.modulus.multiply(power, prime.psi);
    }
    for (std::size_t i = 0; i < n; i++)
      out[at + i] = powers[exponent * (2 * reverse_bits(i, ring.log_n()) + 1) % (2 * n)];
  });
}

void add_times_j(const Ring& ring, u64* out, const u64* a, const u64* b, std::size_t level, bool minus) {
  const std::size_t half = ring.n() / 2;
  Scratch scratch(half);
  u64* turned = scratch.take(half);
  for_rows(ring, 1, level, [&](const Prime& prime, std::size_t at, std::size_t) {
    // The values of X^(N/2): I = psi^(N/2) in the first half, -I in the second.
    const Factor unit = prime.factor(prime.power_of_psi(half));
    const Kernel& kernel = *prime.kernel;
    for (std::size_t k = 0; k < 2; k++, at += half) {
      kernel.multiply_factor(prime, turned, b + at, unit, half);
      (minus == (k == 1) ? kernel.add : kernel.subtract)(prime, out + at, a + at, turned, half);
    }
  });
}

void forward_ntt(const Ring& ring, u64* a, std::size_t level) {
  for_rows(ring, 1, level,
           [&](const Prime& prime, std::size_t at, std::size_t) { prime.kernel->forward(prime, a + at); });
}

void inverse_ntt(const Ring& ring, u64* a, std::size_t level) {
  for_rows(ring, 1, level, [&](const Prime& prime, std::size_t at, std::size_t) {
    prime.kernel->inverse(prime, a + at, a + at, Order::seal);
  });
}

}  // namespace blindfit
