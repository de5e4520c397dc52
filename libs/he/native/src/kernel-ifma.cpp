// AVX-512 with IFMA, which multiplies 52-bit numbers: primes of at most 50 bits, Shoup's constants for 52 bits.
//
// Lazy values count modulo 2^52 only: the multiplications ignore the bits above, so that they are cut off only where
// values are compared. For primes of at most 47 bits a whole forward transform needs no comparison at all: each stage
// adds less than 2q. Each stage of an inverse transform doubles its sums: for primes of at most 46 bits they are
// reduced once a pass, of up to six stages.
#include "kernel.hpp"
#include "prime.hpp"
#include <immintrin.h>

namespace blindfit {

namespace {

#include "checksum.hpp"

#include "transpose-avx512.hpp"
#include "vector-kernel.hpp"

constexpr unsigned MAX_BITS = 50;
/// 31 q < 2^52: canonical values plus 2q for each of 15 stages.
constexpr unsigned LOOSE_BITS = 47;
/// 64 q <= 2^52: canonical values doubled in each of the 6 stages of a block.
constexpr unsigned LOOSE_INVERSE_BITS = 46;
constexpr u64 TWO52 = u64{1} << 52;

Factor factor(const Modulus& modulus, u64 value) { return {value, modulus.shoup(value, 52)}; }

/// @tparam tight whether butterflies bring what they add, or what they have added, below 2q
template <bool tight>
struct Ifma {
  using V = __m512i;

  struct Context {
    V q, q2, q4, q8, q16, two, negative_q, one_quotient, carry, carry_quotient, mask;
    u64 input_bound;

    explicit Context(const Prime& prime) {
      const Modulus& modulus = prime.modulus;
      const auto all = [](u64 value) { return _mm512_set1_epi64(static_cast<long long>(value)); };
      q = all(modulus.q);
      q2 = all(2 * modulus.q);
      two = all(2);
      q4 = all(4 * modulus.q);
      q8 = all(8 * modulus.q);
      q16 = all(16 * modulus.q);
      negative_q = all(TWO52 - modulus.q);
      mask = all(TWO52 - 1);
      one_quotient = all(modulus.shoup(1, 52));
      const u64 two52 = modulus.reduce(TWO52);
      carry = all(two52);
      carry_quotient = all(modulus.shoup(two52, 52));
      input_bound = tight ? 4 * modulus.q : TWO52 - 2 * prime.log_n * modulus.q;
    }
  };

  BLINDFIT_INLINE static V load(const Context&, const u64* p) { return _mm512_loadu_si512(p); }
  BLINDFIT_INLINE static V load_lazy(const u64* p) { return _mm512_loadu_si512(p); }
  BLINDFIT_INLINE static V load_factor(const u64* p) { return _mm512_loadu_si512(p); }
  BLINDFIT_INLINE static V broadcast(const u64* p) { return _mm512_set1_epi64(static_cast<long long>(*p)); }
  BLINDFIT_INLINE static V from_scalar(const Context&, u64 value) {
    return _mm512_set1_epi64(static_cast<long long>(value));
  }
  BLINDFIT_INLINE static void store(u64* p, V v) { _mm512_storeu_si512(p, v); }
  BLINDFIT_INLINE static void store_lazy(u64* p, V v) { _mm512_storeu_si512(p, v); }
  BLINDFIT_INLINE static void transpose(V* v) { transpose8(v); }
  BLINDFIT_INLINE static V normalise(const Context&, V x) { return x; }
  BLINDFIT_INLINE static V normalise_inverse(const Context& c, V x) { return tight ? x : reduce_lazy(c, x); }
  BLINDFIT_INLINE static V operand(const Context&, V x) { return x; }
  BLINDFIT_INLINE static V plus(V a, V b) { return _mm512_add_epi64(a, b); }

  /// Whether a forward transform takes any value below `bound` as it is.
  BLINDFIT_INLINE static bool takes(const Context& c, u64 bound) { return bound <= c.input_bound; }

  BLINDFIT_INLINE static V less(V x, V bound) { return _mm512_min_epu64(x, _mm512_sub_epi64(x, bound)); }

  /// start + x w mod q in [0, 2q), modulo 2^52.
  BLINDFIT_INLINE static V multiply_add(const Context& c, V start, V x, V w, V quotient) {
    const V high = _mm512_madd52hi_epu64(_mm512_setzero_si512(), x, quotient);
    return _mm512_madd52lo_epu64(_mm512_madd52lo_epu64(start, x, w), high, c.negative_q);
  }
  /// In [0, 2q).
  BLINDFIT_INLINE static V multiply(const Context& c, V x, V w, V quotient) {
    return _mm512_and_si512(multiply_add(c, _mm512_setzero_si512(), x, w, quotient), c.mask);
  }
  /// x modulo 2^52 to [0, 2q).
  BLINDFIT_INLINE static V reduce_lazy(const Context& c, V x) {
    const V high = _mm512_madd52hi_epu64(_mm512_setzero_si512(), x, c.one_quotient);
    return _mm512_and_si512(_mm512_madd52lo_epu64(x, high, c.negative_q), c.mask);
  }
  /// From [0, 2q).
  BLINDFIT_INLINE static V canonical(const Context& c, V x) { return less(x, c.q); }
  BLINDFIT_INLINE static V canonical_lazy(const Context& c, V x) { return less(reduce_lazy(c, x), c.q); }
  /// Any number below 2^60 or so.
  BLINDFIT_INLINE static V load_reduced(const Context& c, const u64* p) {
    const V x = load(c, p);
    const V high = multiply(c, _mm512_srli_epi64(x, 52), c.carry, c.carry_quotient);
    return less(less(_mm512_add_epi64(high, reduce_lazy(c, x)), c.q2), c.q);
  }

  BLINDFIT_INLINE static void forward(const Context& c, V& a, V& b, V w, V quotient) {
    const V x = tight ? less(_mm512_and_si512(a, c.mask), c.q2) : a;
    // x + t grows out of x; x - t + 2q is (2x + 2q) - (x + t), where doubling and adding is one multiplication by 2.
    a = multiply_add(c, x, b, w, quotient);
    b = _mm512_sub_epi64(_mm512_madd52lo_epu64(c.q2, x, c.two), a);
  }
  BLINDFIT_INLINE static V sum(const Context&, V a, V b) { return _mm512_add_epi64(a, b); }
  BLINDFIT_INLINE static V difference(const Context& c, V a, V b, unsigned doublings) {
    return _mm512_sub_epi64(_mm512_add_epi64(a, tight ? c.q2 : _mm512_slli_epi64(c.q, doublings)), b);
  }
  /// Tight: from [0, 2q) to [0, 2q). Else from [0, 2^doublings q) to the double of it, modulo 2^52.
  BLINDFIT_INLINE static void inverse(const Context& c, V& a, V& b, V w, V quotient, unsigned doublings) {
    const V x = a, y = b;
    a = tight ? less(sum(c, x, y), c.q2) : sum(c, x, y);
    b = tight ? multiply(c, difference(c, x, y, doublings), w, quotient)
              : multiply_add(c, _mm512_setzero_si512(), difference(c, x, y, doublings), w, quotient);
  }
  /// A canonical value minus a lazy one, in [0, 3q).
  BLINDFIT_INLINE static V minus_lazy(const Context& c, V value, V lazy) {
    return _mm512_sub_epi64(_mm512_add_epi64(value, c.q2), reduce_lazy(c, lazy));
  }
  BLINDFIT_INLINE static V add_canonical(const Context& c, V a, V b) { return less(_mm512_add_epi64(a, b), c.q); }

  /// A sum of at most 31 products of a lazy and a canonical value, or of 128 of canonical ones: halves apart, below
  /// 2^60.
  struct Sum {
    V low, high;
    Sum() = default;
    BLINDFIT_INLINE explicit Sum(const Context&) : low(_mm512_setzero_si512()), high(_mm512_setzero_si512()) {}
    BLINDFIT_INLINE void add(const Context&, V x, V y) {
      low = _mm512_madd52lo_epu64(low, x, y);
      high = _mm512_madd52hi_epu64(high, x, y);
    }
    BLINDFIT_INLINE V canonical(const Context& c) const {
      V top = _mm512_add_epi64(high, _mm512_srli_epi64(low, 52));
      // Below 32 q; the multiplication wants 52 bits.
      if constexpr (tight) top = less(less(less(top, c.q16), c.q8), c.q4);
      const V sum = _mm512_add_epi64(multiply(c, top, c.carry, c.carry_quotient), reduce_lazy(c, low));
      return less(less(sum, c.q2), c.q);
    }
  };
};

/// Calls the form for this prime.
template <typename Loose, typename Tight, typename... Arguments>
void choose(const Prime& prime, Loose loose, Tight tight, Arguments... arguments) {
  if (prime.modulus.bits <= LOOSE_BITS)
    loose(prime, arguments...);
  else
    tight(prime, arguments...);
}

using Loose = Ifma<false>;
using Tight = Ifma<true>;

void forward(const Prime& prime, u64* values) { choose(prime, vector_forward<Loose>, vector_forward<Tight>, values); }
void inverse(const Prime& prime, u64* out, const u64* values, Order order) {
  if (prime.modulus.bits <= LOOSE_INVERSE_BITS)
    vector_inverse<Loose>(prime, out, values, order);
  else
    vector_inverse<Tight>(prime, out, values, order);
}
void inner_products(const Prime& prime, const InnerProducts& job) {
  if (prime.modulus.bits <= LOOSE_BITS)
    vector_inner_products<Loose>(prime, job);
  else
    vector_inner_products<Tight>(prime, job);
}
void divide(const Prime& prime, const Division& job) {
  if (prime.modulus.bits <= LOOSE_BITS)
    vector_divide<Loose>(prime, job);
  else
    vector_divide<Tight>(prime, job);
}

}  // namespace

const Kernel ifma_kernel = {
    "ifma",
    MAX_BITS,
    true,
    factor,
    forward,
    inverse,
    inner_products,
    divide,
    vector_add,
    vector_subtract,
    vector_negate,
    vector_add_scalar,
    vector_multiply<Tight>,
    vector_multiply_factor<Tight>,
    vector_sum_products<Tight>,
    permute_avx512,
    checksum,
};

}  // namespace blindfit
