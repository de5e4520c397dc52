// One prime below 2^60 and what fast arithmetic modulo it needs.
#pragma once
#include <cstdint>

// Kernels are compiled for processors that others of the same program may not be: a function that the linker picked
// from one of their object files would end the program elsewhere. What they use is inlined, or local to their file.
#define BLINDFIT_INLINE [[gnu::always_inline]] inline

namespace blindfit {

using u64 = std::uint64_t;
using u128 = unsigned __int128;

/// Arithmetic modulo q. Operands are below q unless a function says otherwise.
struct Modulus {
  u64 q = 0;
  unsigned bits = 0;
  /// floor(2^128 / q), high and low word: Barrett's constant.
  u64 ratio_high = 0;
  u64 ratio_low = 0;

  Modulus() = default;

  explicit Modulus(u64 value) : q(value), bits(64 - static_cast<unsigned>(__builtin_clzll(value))) {
    // floor((2^128 - 1) / q) is floor(2^128 / q), because q is no power of two.
    const u128 ratio = ~u128{0} / value;
    ratio_high = static_cast<u64>(ratio >> 64);
    ratio_low = static_cast<u64>(ratio);
  }

  /// x modulo q, for any x.
  BLINDFIT_INLINE u64 reduce(u64 x) const {
    const u64 quotient = static_cast<u64>((u128{x} * ratio_high) >> 64);
    const u64 r = x - quotient * q;
    return r >= q ? r - q : r;
  }

  BLINDFIT_INLINE u64 reduce(u128 x) const {
    const u64 high = static_cast<u64>(x >> 64), low = static_cast<u64>(x);
    const u64 carry = static_cast<u64>((u128{low} * ratio_low) >> 64);
    const u128 middle = u128{low} * ratio_high + carry;  // below 2^128: low * ratio_high <= (2^64 - 1)^2
    const u128 other = u128{high} * ratio_low + static_cast<u64>(middle);
    const u64 quotient = high * ratio_high + static_cast<u64>(middle >> 64) + static_cast<u64>(other >> 64);
    const u64 r = low - quotient * q;
    return r >= q ? r - q : r;
  }

  BLINDFIT_INLINE u64 multiply(u64 a, u64 b) const { return reduce(u128{a} * b); }
  BLINDFIT_INLINE u64 add(u64 a, u64 b) const {
    const u64 s = a + b;
    return s >= q ? s - q : s;
  }
  BLINDFIT_INLINE u64 subtract(u64 a, u64 b) const { return a >= b ? a - b : a + q - b; }
  BLINDFIT_INLINE u64 negate(u64 a) const { return a == 0 ? 0 : q - a; }

  u64 power(u64 base, u64 exponent) const {
    u64 result = 1;
    for (u64 square = reduce(base); exponent > 0; exponent >>= 1, square = multiply(square, square)) {
      if (exponent & 1) result = multiply(result, square);
    }
    return result;
  }

  /// 1 / a, for a that is not 0.
  u64 inverse(u64 a) const { return power(a, q - 2); }

  /// floor(w 2^shift / q), Shoup's constant for products with w < q; shift is 52 or 64.
  u64 shoup(u64 w, unsigned shift) const {
    // The product with Barrett's constant is at most 1 below floor(w 2^64 / q): tables have tens of thousands of these,
    // and a division takes ten times as long.
    u64 quotient = w * ratio_high + static_cast<u64>((u128{w} * ratio_low) >> 64);
    if (u64{0} - quotient * q >= q) quotient++;
    return quotient >> (64 - shift);
  }
};

/// Miller-Rabin with bases that decide every 64-bit number.
bool is_prime(u64 value);

}  // namespace blindfit
