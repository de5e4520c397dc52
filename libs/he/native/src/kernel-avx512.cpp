// AVX-512 without IFMA: doubles for primes of at most 50 bits, products of 64-bit words put together from halves for
// longer ones.
#include "kernel.hpp"
#include "prime.hpp"
#include <immintrin.h>

namespace blindfit {

namespace {

#include "checksum.hpp"

#include "transpose-avx512.hpp"
#include "vector-kernel.hpp"
#include "double-arithmetic.hpp"

struct Eight {
  __m512d v;

  BLINDFIT_INLINE static Eight all(double x) { return {_mm512_set1_pd(x)}; }
  BLINDFIT_INLINE static Eight load(const u64* p) { return {_mm512_loadu_pd(p)}; }
  BLINDFIT_INLINE static void store(u64* p, Eight x) { _mm512_storeu_pd(p, x.v); }
  BLINDFIT_INLINE static Eight from_words(const u64* p) { return {_mm512_cvtepu64_pd(_mm512_loadu_si512(p))}; }
  BLINDFIT_INLINE static void to_words(u64* p, Eight x) { _mm512_storeu_si512(p, _mm512_cvtpd_epu64(x.v)); }
  BLINDFIT_INLINE static void halves(const u64* p, Eight& high, Eight& low) {
    const __m512i x = _mm512_loadu_si512(p);
    high = {_mm512_cvtepu64_pd(_mm512_srli_epi64(x, 32))};
    low = {_mm512_cvtepu64_pd(_mm512_and_si512(x, _mm512_set1_epi64(0xffffffff)))};
  }
  BLINDFIT_INLINE static Eight add(Eight a, Eight b) { return {_mm512_add_pd(a.v, b.v)}; }
  BLINDFIT_INLINE static Eight subtract(Eight a, Eight b) { return {_mm512_sub_pd(a.v, b.v)}; }
  BLINDFIT_INLINE static Eight multiply(Eight a, Eight b) { return {_mm512_mul_pd(a.v, b.v)}; }
  BLINDFIT_INLINE static Eight multiply_subtract(Eight a, Eight b, Eight c) { return {_mm512_fmsub_pd(a.v, b.v, c.v)}; }
  BLINDFIT_INLINE static Eight negative_multiply_add(Eight a, Eight b, Eight c) {
    return {_mm512_fnmadd_pd(a.v, b.v, c.v)};
  }
  BLINDFIT_INLINE static Eight add_where_negative(Eight x, Eight q) {
    return {_mm512_mask_add_pd(x.v, _mm512_cmp_pd_mask(x.v, _mm512_setzero_pd(), _CMP_LT_OQ), x.v, q.v)};
  }
  BLINDFIT_INLINE static void transpose(Eight* v) {
    __m512i words[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) words[i] = _mm512_castpd_si512(v[i].v);
    transpose8(words);
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) v[i].v = _mm512_castsi512_pd(words[i]);
  }
};

/// 64-bit words, Shoup's constants for 64 bits, values in [0, 4q) on the way: primes of at most 60 bits.
struct WordsOf64 {
  using V = __m512i;

  struct Context {
    V q, q2, one_quotient, two60, two60_quotient, low30;
    u64 input_bound;

    explicit Context(const Prime& prime) {
      const Modulus& modulus = prime.modulus;
      const auto all = [](u64 value) { return _mm512_set1_epi64(static_cast<long long>(value)); };
      q = all(modulus.q);
      q2 = all(2 * modulus.q);
      one_quotient = all(modulus.shoup(1, 64));
      const u64 power = modulus.reduce(u64{1} << 60);
      two60 = all(power);
      two60_quotient = all(modulus.shoup(power, 64));
      low30 = all((u64{1} << 30) - 1);
      input_bound = 4 * modulus.q;
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
  BLINDFIT_INLINE static V normalise_inverse(const Context&, V x) { return x; }
  BLINDFIT_INLINE static V operand(const Context& c, V x) { return canonical_lazy(c, x); }
  BLINDFIT_INLINE static V plus(V a, V b) { return _mm512_add_epi64(a, b); }
  BLINDFIT_INLINE static bool takes(const Context& c, u64 bound) { return bound <= c.input_bound; }
  BLINDFIT_INLINE static V less(V x, V bound) { return _mm512_min_epu64(x, _mm512_sub_epi64(x, bound)); }

  BLINDFIT_INLINE static V high(V x, V y) {
    const V x1 = _mm512_srli_epi64(x, 32), y1 = _mm512_srli_epi64(y, 32);
    const V middle = _mm512_add_epi64(_mm512_mul_epu32(x, y1), _mm512_srli_epi64(_mm512_mul_epu32(x, y), 32));
    const V other = _mm512_add_epi64(_mm512_mul_epu32(x1, y), _mm512_and_si512(middle, _mm512_set1_epi64(0xffffffff)));
    return _mm512_add_epi64(_mm512_add_epi64(_mm512_mul_epu32(x1, y1), _mm512_srli_epi64(middle, 32)),
                            _mm512_srli_epi64(other, 32));
  }
  /// In [0, 2q), for any x.
  BLINDFIT_INLINE static V multiply(const Context& c, V x, V w, V quotient) {
    return _mm512_sub_epi64(_mm512_mullo_epi64(x, w), _mm512_mullo_epi64(high(x, quotient), c.q));
  }
  BLINDFIT_INLINE static V reduce(const Context& c, V x) {
    return _mm512_sub_epi64(x, _mm512_mullo_epi64(high(x, c.one_quotient), c.q));
  }
  BLINDFIT_INLINE static V canonical(const Context& c, V x) { return less(x, c.q); }
  BLINDFIT_INLINE static V canonical_lazy(const Context& c, V x) { return less(less(x, c.q2), c.q); }
  BLINDFIT_INLINE static V load_reduced(const Context& c, const u64* p) { return less(reduce(c, load(c, p)), c.q); }

  BLINDFIT_INLINE static void forward(const Context& c, V& a, V& b, V w, V quotient) {
    const V x = less(a, c.q2), t = multiply(c, b, w, quotient);
    a = _mm512_add_epi64(x, t);
    b = _mm512_sub_epi64(_mm512_add_epi64(x, c.q2), t);
  }
  BLINDFIT_INLINE static V sum(const Context&, V a, V b) { return _mm512_add_epi64(a, b); }
  BLINDFIT_INLINE static V difference(const Context& c, V a, V b, unsigned) {
    return _mm512_sub_epi64(_mm512_add_epi64(a, c.q2), b);
  }
  BLINDFIT_INLINE static void inverse(const Context& c, V& a, V& b, V w, V quotient, unsigned) {
    const V x = a, y = b;
    a = less(sum(c, x, y), c.q2);
    b = multiply(c, difference(c, x, y, 0), w, quotient);
  }
  BLINDFIT_INLINE static V minus_lazy(const Context& c, V value, V lazy) {
    return _mm512_sub_epi64(_mm512_add_epi64(value, c.q2), less(lazy, c.q2));
  }
  BLINDFIT_INLINE static V add_canonical(const Context& c, V a, V b) { return less(_mm512_add_epi64(a, b), c.q); }

  /// Products of canonical values in three sums of 30-bit digits' products; carried on before they overflow.
  struct Sum {
    V low, middle, top;
    int pending = 0;
    Sum() = default;
    BLINDFIT_INLINE explicit Sum(const Context&) : low(_mm512_setzero_si512()), middle(low), top(low) {}
    BLINDFIT_INLINE void add(const Context& c, V x, V y) {
      const V x1 = _mm512_srli_epi64(x, 30), y1 = _mm512_srli_epi64(y, 30), x0 = _mm512_and_si512(x, c.low30),
              y0 = _mm512_and_si512(y, c.low30);
      low = _mm512_add_epi64(low, _mm512_mul_epu32(x0, y0));
      middle = _mm512_add_epi64(middle, _mm512_add_epi64(_mm512_mul_epu32(x0, y1), _mm512_mul_epu32(x1, y0)));
      top = _mm512_add_epi64(top, _mm512_mul_epu32(x1, y1));
      if (++pending == 6) carry(c);
    }
    BLINDFIT_INLINE void carry(const Context& c) {
      middle = _mm512_add_epi64(middle, _mm512_srli_epi64(low, 30));
      low = _mm512_and_si512(low, c.low30);
      top = reduce(c, _mm512_add_epi64(top, _mm512_srli_epi64(middle, 30)));
      middle = _mm512_and_si512(middle, c.low30);
      pending = 0;
    }
    BLINDFIT_INLINE V canonical(const Context& c) {
      carry(c);
      const V rest = reduce(c, _mm512_or_si512(_mm512_slli_epi64(middle, 30), low));
      return less(less(_mm512_add_epi64(multiply(c, top, c.two60, c.two60_quotient), rest), c.q2), c.q);
    }
  };
};

using Short = Doubles<Eight>;
using Long = WordsOf64;

bool is_short(const Prime& prime) { return prime.modulus.bits <= DOUBLE_BITS; }

Factor factor(const Modulus& modulus, u64 value) {
  return modulus.bits <= DOUBLE_BITS ? double_factor(modulus, value) : Factor{value, modulus.shoup(value, 64)};
}

/// One loop for both arithmetics.
#define BLINDFIT_CHOOSE(name, parameters, arguments) \
  void name parameters {                             \
    if (is_short(prime))                             \
      vector_##name<Short> arguments;                \
    else                                             \
      vector_##name<Long> arguments;                 \
  }

BLINDFIT_CHOOSE(forward, (const Prime& prime, u64* values), (prime, values))
BLINDFIT_CHOOSE(inverse, (const Prime& prime, u64* out, const u64* values, Order order), (prime, out, values, order))
BLINDFIT_CHOOSE(inner_products, (const Prime& prime, const InnerProducts& job), (prime, job))
BLINDFIT_CHOOSE(divide, (const Prime& prime, const Division& job), (prime, job))
BLINDFIT_CHOOSE(multiply, (const Prime& prime, u64* out, const u64* a, const u64* b, std::size_t count),
                (prime, out, a, b, count))
BLINDFIT_CHOOSE(multiply_factor, (const Prime& prime, u64* out, const u64* a, Factor f, std::size_t count),
                (prime, out, a, f, count))
BLINDFIT_CHOOSE(sum_products,
                (const Prime& prime, u64* const out[3], const u64* const* a, const u64* const* b, std::size_t offset,
                 std::size_t stride, std::size_t terms, std::size_t count),
                (prime, out, a, b, offset, stride, terms, count))

}  // namespace

const Kernel avx512_kernel = {
    "avx512",       60,
    true,           factor,
    forward,        inverse,
    inner_products, divide,
    vector_add,     vector_subtract,
    vector_negate,  vector_add_scalar,
    multiply,       multiply_factor,
    sum_products,   permute_avx512,
    checksum,
};

}  // namespace blindfit
