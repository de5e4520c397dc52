// Every kernel that this processor can run, against arithmetic that is slow and plain.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>
#include "../src/cpu.hpp"
#include "../src/elementwise.hpp"
#include "../src/galois.hpp"
#include "../src/rescale.hpp"
#include "check.hpp"

using namespace blindfit;

namespace {

u64 mod(u128 x, u64 q) { return static_cast<u64>(x % q); }

WordBuffer random_values(Random& random, std::size_t count, u64 q) {
  WordBuffer values(count);
  for (std::size_t i = 0; i < count; i++) values[i] = random.value(q);
  return values;
}

void same(const WordBuffer& found, const std::vector<u64>& wanted, const char* what, const Prime& prime) {
  for (std::size_t i = 0; i < wanted.size(); i++) {
    CHECK(found[i] == wanted[i], "%s, kernel %s, N = %zu, q = %llu, place %zu", what, prime.kernel->name, prime.n,
          static_cast<unsigned long long>(prime.modulus.q), i);
  }
}

std::size_t blocked(std::size_t i) { return (i & ~std::size_t{63}) | (i & 7) << 3 | ((i >> 3) & 7); }

/// The value at psi^(2 bitrev(i) + 1), from the definition.
u64 evaluate(const Prime& prime, const std::vector<u64>& coefficients, std::size_t i) {
  const u64 q = prime.modulus.q, x = prime.power_of_psi(2 * reverse_bits(i, prime.log_n) + 1);
  u64 value = 0;
  for (std::size_t k = coefficients.size(); k-- > 0;) value = mod(u128{value} * x + coefficients[k], q);
  return value;
}

void transforms(const Prime& prime, Random& random) {
  const u64 q = prime.modulus.q;
  const WordBuffer a = random_values(random, prime.n, q);
  std::vector<u64> coefficients(a.data(), a.data() + prime.n);
  WordBuffer values(prime.n);
  std::memcpy(values.data(), a.data(), prime.n * 8);
  prime.kernel->forward(prime, values.data());
  for (std::size_t i = 0; i < 12; i++) {
    const std::size_t at = i < 2 ? i * (prime.n - 1) : random.below(prime.n);
    CHECK(values[at] == evaluate(prime, coefficients, at), "transform, kernel %s, N = %zu, q = %llu, place %zu",
          prime.kernel->name, prime.n, static_cast<unsigned long long>(q), at);
  }
  WordBuffer back(prime.n), turned(prime.n);
  prime.kernel->inverse(prime, back.data(), values.data(), Order::seal);
  same(back, coefficients, "inverse of the transform", prime);
  for (std::size_t i = 0; i < prime.n; i++) turned[blocked(i)] = values[i];
  prime.kernel->inverse(prime, turned.data(), turned.data(), Order::blocked);
  same(turned, coefficients, "inverse in blocked order", prime);
}

void product(const Prime& prime, Random& random) {
  const u64 q = prime.modulus.q;
  const std::size_t n = prime.n;
  WordBuffer a = random_values(random, n, q), b = random_values(random, n, q);
  std::vector<u64> wanted(n, 0);
  for (std::size_t i = 0; i < n; i++) {
    for (std::size_t k = 0; k < n; k++) {
      const u64 term = mod(u128{a[i]} * b[k], q);
      u64& place = wanted[(i + k) % n];
      place = mod(u128{place} + (i + k < n ? term : q - term), q);
    }
  }
  prime.kernel->forward(prime, a.data());
  prime.kernel->forward(prime, b.data());
  prime.kernel->multiply(prime, a.data(), a.data(), b.data(), n);
  prime.kernel->inverse(prime, a.data(), a.data(), Order::seal);
  same(a, wanted, "negacyclic product", prime);
}

void elements(const Prime& prime, Random& random) {
  const u64 q = prime.modulus.q;
  const std::size_t n = prime.n;
  const Kernel& kernel = *prime.kernel;
  const WordBuffer a = random_values(random, n, q), b = random_values(random, n, q);
  WordBuffer out(n);
  std::vector<u64> wanted(n);
  const auto expect = [&](const char* what, auto value) {
    for (std::size_t i = 0; i < n; i++) wanted[i] = value(i);
    same(out, wanted, what, prime);
  };
  kernel.add(prime, out.data(), a.data(), b.data(), n);
  expect("sum", [&](std::size_t i) { return mod(u128{a[i]} + b[i], q); });
  kernel.subtract(prime, out.data(), a.data(), b.data(), n);
  expect("difference", [&](std::size_t i) { return mod(u128{a[i]} + q - b[i], q); });
  kernel.negate(prime, out.data(), a.data(), n);
  expect("negation", [&](std::size_t i) { return mod(u128{q} - a[i], q); });
  const u64 scalar = random.value(q);
  kernel.add_scalar(prime, out.data(), a.data(), scalar, n);
  expect("sum with a number", [&](std::size_t i) { return mod(u128{a[i]} + scalar, q); });
  kernel.multiply(prime, out.data(), a.data(), b.data(), n);
  expect("product", [&](std::size_t i) { return mod(u128{a[i]} * b[i], q); });
  kernel.multiply_factor(prime, out.data(), a.data(), prime.factor(scalar), n);
  expect("product with a factor", [&](std::size_t i) { return mod(u128{a[i]} * scalar, q); });
}

enum class Operands { random, largest, most_positive, most_negative };

/// A pair whose product, reduced as kernels on doubles do it, lies far on one side of zero: sums of such remainders are
/// the largest there are. Found by trying.
std::pair<u64, u64> extreme_pair(Random& random, u64 q, bool positive) {
  using i128 = __int128;
  std::pair<u64, u64> best{q - 1, q - 1};
  i128 most = 0;
  for (int i = 0; i < 20000; i++) {
    const u64 x = q - 1 - random.below(q / 16), y = q - 1 - random.below(q / 16);
    const double quotient = std::nearbyint(static_cast<double>(x) * static_cast<double>(y) / static_cast<double>(q));
    const i128 remainder = static_cast<i128>(u128{x} * y) - static_cast<i128>(quotient) * static_cast<i128>(q);
    if (positive ? remainder > most : remainder < most) {
      most = remainder;
      best = {x, y};
    }
  }
  return best;
}

void sums(const Prime& prime, Random& random, std::size_t terms, Operands operands) {
  const u64 q = prime.modulus.q;
  const std::size_t n = prime.n;
  std::vector<WordBuffer> a, b;
  std::vector<const u64*> pa, pb;
  const auto [x, y] = operands == Operands::random || operands == Operands::largest
                          ? std::pair<u64, u64>{q - 1, q - 1}
                          : extreme_pair(random, q, operands == Operands::most_positive);
  for (std::size_t k = 0; k < terms; k++) {
    a.push_back(random_values(random, 2 * n, q));
    b.push_back(random_values(random, 2 * n, q));
    if (operands != Operands::random) {
      std::fill_n(a.back().data(), 2 * n, x);
      std::fill_n(b.back().data(), 2 * n, y);
    }
    pa.push_back(a.back().data());
    pb.push_back(b.back().data());
  }
  WordBuffer out[3] = {WordBuffer(n), WordBuffer(n), WordBuffer(n)};
  u64* const rows[3] = {out[0].data(), out[1].data(), out[2].data()};
  std::vector<u64> wanted[3] = {std::vector<u64>(n), std::vector<u64>(n), std::vector<u64>(n)};
  prime.kernel->sum_products(prime, rows, pa.data(), pb.data(), 0, n, terms, n);
  for (std::size_t i = 0; i < n; i++) {
    u64 sum[3] = {0, 0, 0};
    for (std::size_t k = 0; k < terms; k++) {
      const u128 a0 = pa[k][i], a1 = pa[k][n + i];
      const u64 b0 = pb[k][i], b1 = pb[k][n + i];
      sum[0] = mod(u128{sum[0]} + mod(a0 * b0, q), q);
      sum[1] = mod(u128{sum[1]} + mod(a0 * b1, q) + mod(a1 * b0, q), q);
      sum[2] = mod(u128{sum[2]} + mod(a1 * b1, q), q);
    }
    for (int k = 0; k < 3; k++) wanted[k][i] = sum[k];
  }
  for (int k = 0; k < 3; k++) same(out[k], wanted[k], "sum of products", prime);
}

/// Inner products of rows with a key, against transforms of reduced rows.
void inner_products(const Ring& ring, std::size_t target, Random& random, bool largest) {
  const Prime& prime = ring.prime(target);
  const u64 q = prime.modulus.q;
  const std::size_t n = ring.n(), rows = ring.data_primes(), known = target < rows ? target : rows;
  WordBuffer coefficients(rows * n), key(rows * 2 * n), scratch(rows * n), out0(n), out1(n);
  for (std::size_t i = 0; i < rows * n; i++)
    coefficients[i] = largest ? ring.moduli()[i / n] - 1 : random.value(ring.moduli()[i / n]);
  for (std::size_t i = 0; i < rows * 2 * n; i++) key[i] = largest ? q - 1 : random.value(q);
  std::vector<u64> wanted0(n, 0), wanted1(n, 0);
  WordBuffer row(n), known_values(n);
  for (std::size_t r = 0; r < rows; r++) {
    for (std::size_t i = 0; i < n; i++) row[i] = coefficients[r * n + i] % q;
    prime.kernel->forward(prime, row.data());
    if (r == known) std::memcpy(known_values.data(), row.data(), n * 8);
    for (std::size_t i = 0; i < n; i++) {
      const std::size_t at = blocked(i), tile = at / KEY_TILE * KEY_TILE;
      const u64* keys = key.data() + tile * rows * 2 + 2 * r * KEY_TILE + at % KEY_TILE;
      wanted0[at] = mod(u128{wanted0[at]} + mod(u128{row[i]} * keys[0], q), q);
      wanted1[at] = mod(u128{wanted1[at]} + mod(u128{row[i]} * keys[KEY_TILE], q), q);
    }
  }
  prime.kernel->inner_products(prime, InnerProducts{rows, coefficients.data(), ring.moduli().data(), known,
                                                    known < rows ? known_values.data() : nullptr, key.data(), rows,
                                                    out0.data(), out1.data(), scratch.data()});
  same(out0, wanted0, "inner product 0", prime);
  same(out1, wanted1, "inner product 1", prime);
}

/// Division by a prime with rounding, against the definition on coefficients.
void division(const Ring& ring, Random& random) {
  const std::size_t level = ring.data_primes() - 1, n = ring.n();
  const u64 last = ring.moduli()[level], half = last / 2;
  WordBuffer a((level + 1) * n), out(level * n + 8);
  for (std::size_t i = 0; i < (level + 1) * n; i++) a[i] = random.value(ring.moduli()[i / n]);
  WordBuffer values((level + 1) * n);
  std::memcpy(values.data(), a.data(), (level + 1) * n * 8);
  forward_ntt(ring, values.data(), level);
  rescale(ring, out.data(), values.data(), 1, level);
  for (std::size_t i = 0; i < level; i++) {
    const Prime& prime = ring.prime(i);
    const u64 q = prime.modulus.q, inverse = prime.modulus.inverse(last % q);
    std::vector<u64> wanted(n);
    for (std::size_t k = 0; k < n; k++) {
      const u64 remainder = mod(u128{a[level * n + k]} + half, last);
      const u64 difference = mod(u128{a[i * n + k]} + half % q + q - remainder % q, q);
      wanted[k] = mod(u128{difference} * inverse, q);
    }
    WordBuffer found(n);
    prime.kernel->inverse(prime, found.data(), out.data() + i * n, Order::seal);
    same(found, wanted, "division", prime);
  }
}

/// The automorphism on values, against the automorphism on coefficients.
void automorphism(const Prime& prime, Random& random) {
  const std::size_t n = prime.n;
  const u64 q = prime.modulus.q;
  for (const std::uint32_t element :
       {std::uint32_t{3}, static_cast<std::uint32_t>(2 * n - 1), static_cast<std::uint32_t>(2 * random.below(n) + 1)}) {
    WordBuffer a = random_values(random, n, q), out(n);
    std::vector<u64> wanted(n);
    for (std::size_t i = 0; i < n; i++) {
      const std::size_t at = i * element % (2 * n);
      wanted[at % n] = at < n || a[i] == 0 ? a[i] : q - a[i];
    }
    prime.kernel->forward(prime, a.data());
    GaloisMap(prime.log_n, element).apply(*prime.kernel, out.data(), a.data());
    prime.kernel->inverse(prime, out.data(), out.data(), Order::seal);
    same(out, wanted, "automorphism", prime);
  }
}

/// The checksum is the same on every kernel, and every changed bit and every word more or less changes it.
void checksums() {
  Random random(7);
  std::vector<u64> words(8 * 40);
  for (u64& word : words) word = random.next();
  const Kernel& portable = portable_kernel;
  for (const std::size_t count : {std::size_t{0}, std::size_t{8}, std::size_t{128}, std::size_t{136}, words.size()}) {
    const u64 wanted = portable.checksum(words.data(), count);
    for (const Kernel* kernel : kernels_here())
      CHECK(kernel->checksum(words.data(), count) == wanted, "checksum of %zu on %s", count, kernel->name);
    for (std::size_t i = 0; i < count; i++) {
      for (unsigned bit = 0; bit < 64; bit++) {
        words[i] ^= u64{1} << bit;
        CHECK(kernels_here().front()->checksum(words.data(), count) != wanted, "word %zu bit %u", i, bit);
        words[i] ^= u64{1} << bit;
      }
    }
    for (std::size_t i = 8; i < count; i += 8) {
      std::swap_ranges(words.begin(), words.begin() + 8, words.begin() + static_cast<std::ptrdiff_t>(i));
      CHECK(portable.checksum(words.data(), count) != wanted, "stripes 0 and %zu", i / 8);
      std::swap_ranges(words.begin(), words.begin() + 8, words.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
  const std::vector<u64> zeros(128);
  CHECK(portable.checksum(zeros.data(), 128) == 0xb34bfea7b3382ed5, "checksum of zeros");
}

}  // namespace

int main() {
  checksums();
  std::size_t primes = 0;
  for (const Kernel* kernel : kernels_here()) {
    Random random(1);
    for (unsigned log_n = MIN_LOG_N; log_n <= MAX_LOG_N; log_n++) {
      const bool small = log_n <= 11;
      const auto ring = small ? test_ring(log_n, {50, 30, 46, 47, 48, 33, 60, 50, 51, 40, 60}, *kernel)
                              : test_ring(log_n, {50, 45, 46, 60, 50}, *kernel);
      for (std::size_t i = 0; i <= ring->data_primes(); i++, primes++) {
        const Prime& prime = ring->prime(i);
        transforms(prime, random);
        if (log_n == MIN_LOG_N) product(prime, random);
        elements(prime, random);
        automorphism(prime, random);
        if (small) {
          for (const std::size_t terms : {1, 4, 5, 64}) sums(prime, random, terms, Operands::random);
          for (const auto operands : {Operands::largest, Operands::most_positive, Operands::most_negative})
            sums(prime, random, MAX_TERMS, operands);
        }
        inner_products(*ring, i, random, false);
        inner_products(*ring, i, random, true);
      }
      division(*ring, random);
    }
    // As many rows as there can be, all of the largest values.
    const auto deep = test_ring(10, std::vector<unsigned>(MAX_DATA_PRIMES + 1, 50), *kernel);
    for (const std::size_t target : {std::size_t{0}, deep->special()}) inner_products(*deep, target, random, true);
  }
  std::printf("%zu primes with %zu kernels\n", primes, kernels_here().size());
}
