// The interface of a kernel, one for each instruction set: loops over the coefficients of one polynomial modulo one
// prime.
//
// Polynomials in NTT form are in SEAL's order, or in "blocked" order: every 64 values seen as an 8 x 8 matrix and
// transposed. Vector kernels end a forward transform in blocked order for nothing, and keys are stored that way, so
// that inside a key switch nothing is ever transposed back. To a kernel without vectors the blocked order is one more
// index computation.
#pragma once
#include <cstddef>
#include "modulus.hpp"

namespace blindfit {

struct Prime;

/// Values of a polynomial per tile of a key: the part of a transform that stays in the first-level cache.
constexpr std::size_t KEY_TILE = 1024;
/// Side and size of the blocks of the blocked order.
constexpr std::size_t LANES = 8;
constexpr std::size_t BLOCK = LANES * LANES;

enum class Order { seal, blocked };

/// A number below q, and its quotient as the kernel's multiplication needs it (`Kernel::factor`).
struct Factor {
  u64 value;
  u64 quotient;
};

/// For one target prime: the sum over rows of NTT(row mod q) x key, for both polynomials of the key.
struct InnerProducts {
  std::size_t rows;
  /// Coefficient form, rows x N, row i canonical modulo source_primes[i].
  const u64* coefficients;
  const u64* source_primes;
  /// The row whose NTT form modulo this prime is known already, or `rows` when there is none.
  std::size_t known_row;
  /// Its values in SEAL's order.
  const u64* known;
  /// tiles x key_rows x 2 x KEY_TILE values in blocked order.
  const u64* key;
  std::size_t key_rows;
  /// Results, blocked order, canonical.
  u64* out0;
  u64* out1;
  /// rows x N words.
  u64* scratch;
};

/// out = addend + (value - NTT(remainder - half)) / last, all modulo this prime: the end of a division with rounding.
struct Division {
  u64* out;
  /// SEAL's order, canonical; null is zero. May be `out`.
  const u64* addend;
  const u64* value;
  Order value_order;
  /// Coefficients in [0, last): those of the dividend modulo last, with half = floor(last / 2) added.
  const u64* remainder;
  u64 last;
  /// 1 / last.
  Factor inverse;
  /// N words.
  u64* scratch;
};

/// Pointers to the functions of one instruction set. `kernels_here` lists those that run on this processor.
struct Kernel {
  const char* name;
  /// The longest primes it can work with.
  unsigned max_bits;
  /// Whether its transforms read the tables by lane.
  bool lanes;
  Factor (*factor)(const Modulus& modulus, u64 value);

  /// In place, SEAL's order, from canonical to canonical.
  void (*forward)(const Prime&, u64* values);
  /// Canonical coefficients of canonical values. `out` may be `values`.
  void (*inverse)(const Prime&, u64* out, const u64* values, Order order);
  void (*inner_products)(const Prime&, const InnerProducts&);
  void (*divide)(const Prime&, const Division&);

  /// Element by element, canonical; `out` may be an operand. `count` is a multiple of 64.
  void (*add)(const Prime&, u64* out, const u64* a, const u64* b, std::size_t count);
  void (*subtract)(const Prime&, u64* out, const u64* a, const u64* b, std::size_t count);
  void (*negate)(const Prime&, u64* out, const u64* a, std::size_t count);
  void (*add_scalar)(const Prime&, u64* out, const u64* a, u64 scalar, std::size_t count);
  void (*multiply)(const Prime&, u64* out, const u64* a, const u64* b, std::size_t count);
  void (*multiply_factor)(const Prime&, u64* out, const u64* a, Factor factor, std::size_t count);
  /// out[0..2] = sum of (a[i].0 b[i].0, a[i].0 b[i].1 + a[i].1 b[i].0, a[i].1 b[i].1); `.1` is `stride` words after
  /// `.0`.
  void (*sum_products)(const Prime&, u64* const out[3], const u64* const* a, const u64* const* b, std::size_t offset,
                       std::size_t stride, std::size_t terms, std::size_t count);
  /// out[8 b + l] = in[8 blocks[b] + pattern[patterns[b]][l]]: a permutation of NTT values in SEAL's order. `out` is
  /// not `in`.
  void (*permute)(u64* out, const u64* in, const std::uint16_t* blocks, const std::uint8_t* patterns,
                  const std::uint8_t (*pattern)[LANES], std::size_t count);
  /// The checksum of the content of a file, the same on every kernel. `count` is a multiple of 8.
  u64 (*checksum)(const u64* words, std::size_t count);
};

/// A sum of products has at most this many, so that sums of halves never overflow.
constexpr std::size_t MAX_TERMS = 64;

extern const Kernel portable_kernel;
#if defined(__x86_64__) && !defined(BLINDFIT_PORTABLE_ONLY)
extern const Kernel avx2_kernel;
extern const Kernel avx512_kernel;
extern const Kernel ifma_kernel;
#endif

}  // namespace blindfit
