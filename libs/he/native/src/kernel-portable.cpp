// Plain C++ for any 64-bit machine: Harvey's lazy butterflies with 64-bit words, sums of products in 128 bits.
#include "kernel.hpp"
#include "prime.hpp"
#include <cstring>

namespace blindfit {

namespace {

#include "checksum.hpp"

inline u64 high(u64 a, u64 b) { return static_cast<u64>((u128{a} * b) >> 64); }

/// x w mod q in [0, 2q), for any x.
inline u64 multiply_lazy(u64 x, u64 w, u64 quotient, u64 q) { return x * w - high(x, quotient) * q; }

/// Below 2 bound, to below bound.
inline u64 less(u64 x, u64 bound) { return x >= bound ? x - bound : x; }

Factor factor(const Modulus& modulus, u64 value) { return {value, modulus.shoup(value, 64)}; }

/// Primes up to here leave room for a whole forward transform without a comparison: a stage adds less than 2q to values
/// that begin below 2^60, and 2^60 + 2 * 15 q stays below 2^63.2.
constexpr unsigned LOOSE_BITS = 58;

bool loose(const Prime& prime) { return prime.modulus.bits <= LOOSE_BITS; }

/// A multiple of q that no value of a forward transform exceeds, when it began in [0, 2q).
u64 forward_bound(const Prime& prime) { return (loose(prime) ? 2 + 2 * u64{prime.log_n} : 4) * prime.modulus.q; }

template <bool tight>
inline void butterfly(u64& a, u64& b, u64 w, u64 quotient, u64 q) {
  const u64 x = tight ? less(a, 2 * q) : a;
  const u64 t = multiply_lazy(b, w, quotient, q);
  a = x + t;
  b = x - t + 2 * q;
}

/// SEAL's order. Two stages at a time: half the traffic. `out` may be `in`.
/// @tparam tight from [0, 4q) to [0, 4q); else from [0, 2^60) to any 64-bit value
template <bool tight>
void forward_stages(const Prime& prime, u64* out, const u64* in) {
  const u64 q = prime.modulus.q;
  const u64* roots = prime.forward.data();
  std::size_t groups = 1, distance = prime.n / 2;
  if (prime.log_n % 2 == 1) {
    for (std::size_t i = 0; i < distance; i++) {
      u64 x = in[i], y = in[i + distance];
      butterfly<tight>(x, y, roots[2], roots[3], q);
      out[i] = x;
      out[i + distance] = y;
    }
    in = out;
    groups = 2;
    distance /= 2;
  }
  for (; distance > 0; groups *= 4, distance /= 4) {
    const std::size_t quarter = distance / 2;
    for (std::size_t g = 0; g < groups; g++) {
      const u64* outer = roots + 2 * (groups + g);
      const u64* inner = roots + 4 * (groups + g);
      const u64 w0 = outer[0], p0 = outer[1], w1 = inner[0], p1 = inner[1], w2 = inner[2], p2 = inner[3];
      const u64* from = in + 2 * distance * g;
      u64* to = out + 2 * distance * g;
      for (std::size_t i = 0; i < quarter; i++) {
        u64 x0 = from[i], x1 = from[i + quarter], x2 = from[i + distance], x3 = from[i + distance + quarter];
        butterfly<tight>(x0, x2, w0, p0, q);
        butterfly<tight>(x1, x3, w0, p0, q);
        butterfly<tight>(x0, x1, w1, p1, q);
        butterfly<tight>(x2, x3, w2, p2, q);
        to[i] = x0;
        to[i + quarter] = x1;
        to[i + distance] = x2;
        to[i + distance + quarter] = x3;
      }
    }
    in = out;
  }
}

/// From values below `source` to lazy ones, in SEAL's order. `out` may be `in`.
void forward_lazy(const Prime& prime, u64* out, const u64* in, u64 source) {
  if (loose(prime)) {
    forward_stages<false>(prime, out, in);
  } else if (source <= 4 * prime.modulus.q) {
    forward_stages<true>(prime, out, in);
  } else {
    for (std::size_t i = 0; i < prime.n; i++) out[i] = prime.modulus.reduce(in[i]);
    forward_stages<true>(prime, out, out);
  }
}

void forward(const Prime& prime, u64* values) {
  forward_lazy(prime, values, values, prime.modulus.q);
  for (std::size_t i = 0; i < prime.n; i++) values[i] = prime.modulus.reduce(values[i]);
}

inline std::size_t blocked_index(std::size_t i) { return (i & ~(BLOCK - 1)) | (i & 7) << 3 | ((i >> 3) & 7); }

void transpose(u64* out, const u64* in, std::size_t count) {
  for (std::size_t i = 0; i < count; i++) out[blocked_index(i)] = in[i];
}

/// Inputs and outputs in [0, 2q).
inline void inverse_butterfly(u64& a, u64& b, u64 w, u64 quotient, u64 q) {
  const u64 x = a, y = b;
  a = less(x + y, 2 * q);
  b = multiply_lazy(x - y + 2 * q, w, quotient, q);
}

void inverse(const Prime& prime, u64* out, const u64* values, Order order) {
  const u64 q = prime.modulus.q;
  const u64* roots = prime.inverse.data();
  if (order == Order::blocked && out == values) {
    u64 block[BLOCK];
    for (std::size_t b = 0; b < prime.n; b += BLOCK) {
      std::memcpy(block, out + b, sizeof block);
      transpose(out + b, block, BLOCK);
    }
  } else if (order == Order::blocked) {
    transpose(out, values, prime.n);
  } else if (out != values) {
    std::memcpy(out, values, prime.n * sizeof(u64));
  }
  std::size_t distance = 1, groups = prime.n / 2;
  for (; groups > 2; groups /= 4, distance *= 4) {
    for (std::size_t g = 0; g < groups / 2; g++) {
      const u64* inner = roots + 2 * (groups + 2 * g);
      const u64* outer = roots + groups + 2 * g;
      const u64 w0 = outer[0], p0 = outer[1], w1 = inner[0], p1 = inner[1], w2 = inner[2], p2 = inner[3];
      u64* a = out + 4 * distance * g;
      for (std::size_t i = 0; i < distance; i++) {
        u64 x0 = a[i], x1 = a[i + distance], x2 = a[i + 2 * distance], x3 = a[i + 3 * distance];
        inverse_butterfly(x0, x1, w1, p1, q);
        inverse_butterfly(x2, x3, w2, p2, q);
        inverse_butterfly(x0, x2, w0, p0, q);
        inverse_butterfly(x1, x3, w0, p0, q);
        a[i] = x0;
        a[i + distance] = x1;
        a[i + 2 * distance] = x2;
        a[i + 3 * distance] = x3;
      }
    }
  }
  for (; groups > 1; groups /= 2, distance *= 2) {
    for (std::size_t g = 0; g < groups; g++) {
      u64* a = out + 2 * distance * g;
      for (std::size_t i = 0; i < distance; i++)
        inverse_butterfly(a[i], a[i + distance], roots[2 * (groups + g)], roots[2 * (groups + g) + 1], q);
    }
  }
  // The last stage divides by N as well.
  const auto [n_value, n_quotient] = prime.inverse_n;
  const auto [root_value, root_quotient] = prime.inverse_n_root;
  for (std::size_t i = 0; i < distance; i++) {
    const u64 x = out[i], y = out[i + distance];
    out[i] = less(multiply_lazy(x + y, n_value, n_quotient, q), q);
    out[i + distance] = less(multiply_lazy(x - y + 2 * q, root_value, root_quotient, q), q);
  }
}

void inner_products(const Prime& prime, const InnerProducts& job) {
  const std::size_t n = prime.n;
  const Modulus modulus = prime.modulus;
  const u64* operands[64];
  for (std::size_t i = 0; i < job.rows; i++) {
    if (i == job.known_row) {
      operands[i] = job.known;
      continue;
    }
    u64* row = job.scratch + i * n;
    forward_lazy(prime, row, job.coefficients + i * n, job.source_primes[i]);
    operands[i] = row;
  }
  // Operands are below 2^62 and keys below 2^60, or below 2^63.2 and 2^58: 31 products fit in 127 bits.
  for (std::size_t tile = 0; tile < n; tile += KEY_TILE) {
    const u64* key = job.key + tile * job.key_rows * 2;
    for (std::size_t block = 0; block < KEY_TILE; block += BLOCK) {
      for (std::size_t i = 0; i < BLOCK; i++) {
        const std::size_t at = block + i, from = tile + (block | blocked_index(i));
        u128 sum0 = 0, sum1 = 0;
        for (std::size_t row = 0; row < job.rows; row++) {
          const u64 x = operands[row][from];
          sum0 += u128{x} * key[2 * row * KEY_TILE + at];
          sum1 += u128{x} * key[(2 * row + 1) * KEY_TILE + at];
        }
        job.out0[tile + at] = modulus.reduce(sum0);
        job.out1[tile + at] = modulus.reduce(sum1);
      }
    }
  }
}

void divide(const Prime& prime, const Division& job) {
  const std::size_t n = prime.n;
  const Modulus modulus = prime.modulus;
  const u64 q = modulus.q;
  const u64 fix = modulus.negate(modulus.reduce(job.last >> 1)), bound = forward_bound(prime);
  for (std::size_t i = 0; i < n; i++)
    job.scratch[i] = (job.last > q ? modulus.reduce(job.remainder[i]) : job.remainder[i]) + fix;
  forward_lazy(prime, job.scratch, job.scratch, 2 * q);
  for (std::size_t i = 0; i < n; i++) {
    const u64 value = job.value[job.value_order == Order::blocked ? blocked_index(i) : i];
    const u64 quotient =
        less(multiply_lazy(value + bound - job.scratch[i], job.inverse.value, job.inverse.quotient, q), q);
    job.out[i] = job.addend == nullptr ? quotient : modulus.add(job.addend[i], quotient);
  }
}

void add(const Prime& prime, u64* out, const u64* a, const u64* b, std::size_t count) {
  const u64 q = prime.modulus.q;
  for (std::size_t i = 0; i < count; i++) out[i] = less(a[i] + b[i], q);
}

void subtract(const Prime& prime, u64* out, const u64* a, const u64* b, std::size_t count) {
  const u64 q = prime.modulus.q;
  for (std::size_t i = 0; i < count; i++) out[i] = less(a[i] + q - b[i], q);
}

void negate(const Prime& prime, u64* out, const u64* a, std::size_t count) {
  const u64 q = prime.modulus.q;
  for (std::size_t i = 0; i < count; i++) out[i] = less(q - a[i], q);
}

void add_scalar(const Prime& prime, u64* out, const u64* a, u64 scalar, std::size_t count) {
  const u64 q = prime.modulus.q;
  for (std::size_t i = 0; i < count; i++) out[i] = less(a[i] + scalar, q);
}

void multiply(const Prime& prime, u64* out, const u64* a, const u64* b, std::size_t count) {
  const Modulus modulus = prime.modulus;
  for (std::size_t i = 0; i < count; i++) out[i] = modulus.multiply(a[i], b[i]);
}

void multiply_factor(const Prime& prime, u64* out, const u64* a, Factor f, std::size_t count) {
  const u64 q = prime.modulus.q;
  for (std::size_t i = 0; i < count; i++) out[i] = less(multiply_lazy(a[i], f.value, f.quotient, q), q);
}

// Canonical values: 128 products below 2^120 fit in 127 bits.
void sum_products(const Prime& prime, u64* const out[3], const u64* const* a, const u64* const* b, std::size_t offset,
                  std::size_t stride, std::size_t terms, std::size_t count) {
  const Modulus modulus = prime.modulus;
  for (std::size_t i = 0; i < count; i++) {
    u128 sum0 = 0, sum1 = 0, sum2 = 0;
    for (std::size_t k = 0; k < terms; k++) {
      const u64 a0 = a[k][offset + i], a1 = a[k][offset + stride + i], b0 = b[k][offset + i],
                b1 = b[k][offset + stride + i];
      sum0 += u128{a0} * b0;
      sum1 += u128{a0} * b1 + u128{a1} * b0;
      sum2 += u128{a1} * b1;
    }
    out[0][i] = modulus.reduce(sum0);
    out[1][i] = modulus.reduce(sum1);
    out[2][i] = modulus.reduce(sum2);
  }
}

void permute(u64* out, const u64* in, const std::uint16_t* blocks, const std::uint8_t* patterns,
             const std::uint8_t (*pattern)[LANES], std::size_t count) {
  for (std::size_t b = 0; b < count / LANES; b++) {
    const u64* from = in + LANES * blocks[b];
    const std::uint8_t* lanes = pattern[patterns[b]];
    for (std::size_t l = 0; l < LANES; l++) out[LANES * b + l] = from[lanes[l]];
  }
}

}  // namespace

const Kernel portable_kernel = {
    "portable", 60,     false,      factor,   forward,         inverse,      inner_products, divide,   add,
    subtract,   negate, add_scalar, multiply, multiply_factor, sum_products, permute,        checksum,
};

}  // namespace blindfit
