#include "key-switch.hpp"
#include <algorithm>
#include <cstring>

namespace blindfit {

namespace {

/// One polynomial on its way through a key switch, and where the result goes.
struct Operand {
  /// NTT form, SEAL's order, (level + 1) x N.
  const u64* target;
  /// What is added to the two polynomials of the result, or null; the layout of `out`. May be `out`.
  const u64* addend0;
  const u64* addend1;
  u64* out0;
  u64* out1;
  /// (level + 1) x N: coefficients, filled here.
  u64* coefficients;
  /// 2 x N: the sums modulo the special prime, then their coefficients with half added.
  u64* special;
};

/// Operands that use each part of a key while it is in a cache.
constexpr std::size_t MAX_BATCH = 8;

std::size_t scratch_words(const Ring& ring, std::size_t level, std::size_t operands) {
  // Per operand: coefficients and two special polynomials; once: rows, two sums and one for the division.
  return ring.n() * (operands * (level + 3) + (level + 1) + 3);
}

void switch_key(const Ring& ring, const KeyMapping& key, std::span<Operand> operands, std::size_t level,
                Scratch& scratch) {
  const std::size_t n = ring.n(), rows = level + 1, special = ring.special();
  u64* row_scratch = scratch.take(rows * n);
  u64* sums = scratch.take(2 * n);
  u64* division_scratch = scratch.take(n);
  for (Operand& operand : operands) {
    operand.coefficients = scratch.take(rows * n);
    operand.special = scratch.take(2 * n);
    for (std::size_t i = 0; i < rows; i++) {
      const Prime& prime = ring.prime(i);
      prime.kernel->inverse(prime, operand.coefficients + i * n, operand.target + i * n, Order::seal);
    }
  }
  const auto products = [&](const Operand& operand, std::size_t target, u64* out0, u64* out1) {
    const Prime& prime = ring.prime(target);
    const bool own = target < rows;
    prime.kernel->inner_products(prime, InnerProducts{rows, operand.coefficients, ring.moduli().data(),
                                                      own ? target : rows, own ? operand.target + target * n : nullptr,
                                                      key.values(target), ring.data_primes(), out0, out1, row_scratch});
  };
  const Prime& last = ring.prime(special);
  for (Operand& operand : operands) {
    products(operand, special, operand.special, operand.special + n);
    for (u64* half : {operand.special, operand.special + n}) {
      last.kernel->inverse(last, half, half, Order::blocked);
      last.kernel->add_scalar(last, half, half, last.modulus.q >> 1, n);
    }
  }
  for (std::size_t i = 0; i < rows; i++) {
    const Prime& prime = ring.prime(i);
    for (const Operand& operand : operands) {
      products(operand, i, sums, sums + n);
      const auto divide = [&](u64* out, const u64* addend, const u64* value, const u64* remainder) {
        prime.kernel->divide(
            prime, Division{out + i * n, addend == nullptr ? nullptr : addend + i * n, value, Order::blocked, remainder,
                            last.modulus.q, ring.inverse_of(special, i), division_scratch});
      };
      divide(operand.out0, operand.addend0, sums, operand.special);
      divide(operand.out1, operand.addend1, sums + n, operand.special + n);
    }
  }
}

}  // namespace

void relinearise(const Ring& ring, const KeyMapping& key, std::span<u64* const> out, std::span<const u64* const> a,
                 std::size_t level) {
  const std::size_t polynomial = ring.n() * (level + 1);
  for (std::size_t first = 0; first < a.size(); first += MAX_BATCH) {
    const std::size_t count = std::min(MAX_BATCH, a.size() - first);
    Scratch scratch(scratch_words(ring, level, count));
    Operand operands[MAX_BATCH];
    for (std::size_t k = 0; k < count; k++) {
      const u64* from = a[first + k];
      u64* to = out[first + k];
      operands[k] = Operand{from + 2 * polynomial, from, from + polynomial, to, to + polynomial, nullptr, nullptr};
    }
    switch_key(ring, key, {operands, count}, level, scratch);
  }
}

void rotate(const Ring& ring, const GaloisMap& map, const KeyMapping& key, std::span<u64* const> out,
            std::span<const u64* const> a, std::size_t level) {
  const std::size_t n = ring.n(), polynomial = n * (level + 1);
  for (std::size_t first = 0; first < a.size(); first += MAX_BATCH) {
    const std::size_t count = std::min(MAX_BATCH, a.size() - first);
    Scratch scratch(scratch_words(ring, level, count) + count * polynomial);
    Operand operands[MAX_BATCH];
    for (std::size_t k = 0; k < count; k++) {
      u64* result = out[first + k];
      u64* target = scratch.take(polynomial);
      for (std::size_t i = 0; i <= level; i++) {
        const Kernel& kernel = *ring.prime(i).kernel;
        map.apply(kernel, result + i * n, a[first + k] + i * n);
        map.apply(kernel, target + i * n, a[first + k] + polynomial + i * n);
      }
      operands[k] = Operand{target, result, nullptr, result, result + polynomial, nullptr, nullptr};
    }
    switch_key(ring, key, {operands, count}, level, scratch);
  }
}

void rotate_and_sum(const Ring& ring, std::span<const GaloisMap* const> maps, std::span<const KeyMapping* const> keys,
                    u64* out, const u64* a, std::size_t level) {
  const std::size_t n = ring.n(), polynomial = n * (level + 1);
  if (out != a) std::memcpy(out, a, 2 * polynomial * sizeof(u64));
  for (std::size_t step = 0; step < maps.size(); step++) {
    Scratch scratch(scratch_words(ring, level, 1) + polynomial + n);
    u64* target = scratch.take(polynomial);
    u64* rotated = scratch.take(n);
    for (std::size_t i = 0; i <= level; i++) {
      const Prime& prime = ring.prime(i);
      maps[step]->apply(*prime.kernel, rotated, out + i * n);
      maps[step]->apply(*prime.kernel, target + i * n, out + polynomial + i * n);
      prime.kernel->add(prime, out + i * n, out + i * n, rotated, n);
    }
    Operand operand{target, out, out + polynomial, out, out + polynomial, nullptr, nullptr};
    switch_key(ring, *keys[step], {&operand, 1}, level, scratch);
  }
}

}  // namespace blindfit
