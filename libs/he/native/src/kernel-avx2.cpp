// AVX2 with fused multiply-add: doubles, in pairs of four. Primes of at most 50 bits; longer ones are not faster than
// in plain C++.
#include "kernel.hpp"
#include "prime.hpp"
#include <immintrin.h>

namespace blindfit {

namespace {

#include "checksum.hpp"

#include "vector-kernel.hpp"
#include "double-arithmetic.hpp"

BLINDFIT_INLINE void transpose4(__m256d& a, __m256d& b, __m256d& c, __m256d& d) {
  const __m256d ab0 = _mm256_unpacklo_pd(a, b), ab1 = _mm256_unpackhi_pd(a, b), cd0 = _mm256_unpacklo_pd(c, d),
                cd1 = _mm256_unpackhi_pd(c, d);
  a = _mm256_permute2f128_pd(ab0, cd0, 0x20);
  b = _mm256_permute2f128_pd(ab1, cd1, 0x20);
  c = _mm256_permute2f128_pd(ab0, cd0, 0x31);
  d = _mm256_permute2f128_pd(ab1, cd1, 0x31);
}

struct Pair {
  __m256d low, high;

  BLINDFIT_INLINE static Pair all(double x) { return {_mm256_set1_pd(x), _mm256_set1_pd(x)}; }
  BLINDFIT_INLINE static Pair load(const u64* p) {
    return {_mm256_loadu_pd(reinterpret_cast<const double*>(p)),
            _mm256_loadu_pd(reinterpret_cast<const double*>(p + 4))};
  }
  BLINDFIT_INLINE static void store(u64* p, Pair v) {
    _mm256_storeu_pd(reinterpret_cast<double*>(p), v.low);
    _mm256_storeu_pd(reinterpret_cast<double*>(p + 4), v.high);
  }
  BLINDFIT_INLINE static __m256i words(const u64* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
  /// Below 2^52: as the fraction of a number from 2^52 on.
  BLINDFIT_INLINE static __m256d convert(__m256i x) {
    const __m256d two52 = _mm256_set1_pd(4503599627370496.0);
    return _mm256_sub_pd(_mm256_castsi256_pd(_mm256_or_si256(x, _mm256_castpd_si256(two52))), two52);
  }
  BLINDFIT_INLINE static __m256i convert_back(__m256d x) {
    const __m256d two52 = _mm256_set1_pd(4503599627370496.0);
    return _mm256_xor_si256(_mm256_castpd_si256(_mm256_add_pd(x, two52)), _mm256_castpd_si256(two52));
  }
  BLINDFIT_INLINE static Pair from_words(const u64* p) { return {convert(words(p)), convert(words(p + 4))}; }
  BLINDFIT_INLINE static void to_words(u64* p, Pair v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), convert_back(v.low));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 4), convert_back(v.high));
  }
  BLINDFIT_INLINE static void halves(const u64* p, Pair& high, Pair& low) {
    const __m256i mask = _mm256_set1_epi64x(0xffffffff), a = words(p), b = words(p + 4);
    high = {convert(_mm256_srli_epi64(a, 32)), convert(_mm256_srli_epi64(b, 32))};
    low = {convert(_mm256_and_si256(a, mask)), convert(_mm256_and_si256(b, mask))};
  }
  BLINDFIT_INLINE static Pair add(Pair a, Pair b) {
    return {_mm256_add_pd(a.low, b.low), _mm256_add_pd(a.high, b.high)};
  }
  BLINDFIT_INLINE static Pair subtract(Pair a, Pair b) {
    return {_mm256_sub_pd(a.low, b.low), _mm256_sub_pd(a.high, b.high)};
  }
  BLINDFIT_INLINE static Pair multiply(Pair a, Pair b) {
    return {_mm256_mul_pd(a.low, b.low), _mm256_mul_pd(a.high, b.high)};
  }
  /// a b - c
  BLINDFIT_INLINE static Pair multiply_subtract(Pair a, Pair b, Pair c) {
    return {_mm256_fmsub_pd(a.low, b.low, c.low), _mm256_fmsub_pd(a.high, b.high, c.high)};
  }
  /// c - a b
  BLINDFIT_INLINE static Pair negative_multiply_add(Pair a, Pair b, Pair c) {
    return {_mm256_fnmadd_pd(a.low, b.low, c.low), _mm256_fnmadd_pd(a.high, b.high, c.high)};
  }
  BLINDFIT_INLINE static __m256d add_where_negative(__m256d x, __m256d q) {
    return _mm256_add_pd(x, _mm256_and_pd(_mm256_cmp_pd(x, _mm256_setzero_pd(), _CMP_LT_OQ), q));
  }
  BLINDFIT_INLINE static Pair add_where_negative(Pair x, Pair q) {
    return {add_where_negative(x.low, q.low), add_where_negative(x.high, q.high)};
  }
  BLINDFIT_INLINE static void transpose(Pair* v) {
    transpose4(v[0].low, v[1].low, v[2].low, v[3].low);
    transpose4(v[4].high, v[5].high, v[6].high, v[7].high);
    transpose4(v[0].high, v[1].high, v[2].high, v[3].high);
    transpose4(v[4].low, v[5].low, v[6].low, v[7].low);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
      const __m256d swapped = v[i].high;
      v[i].high = v[4 + i].low;
      v[4 + i].low = swapped;
    }
  }
};

void permute(u64* out, const u64* in, const std::uint16_t* blocks, const std::uint8_t* patterns,
             const std::uint8_t (*pattern)[LANES], std::size_t count) {
  for (std::size_t b = 0; b < count / LANES; b++) {
    const u64* from = in + LANES * blocks[b];
    const std::uint8_t* lanes = pattern[patterns[b]];
    for (std::size_t l = 0; l < LANES; l++) out[LANES * b + l] = from[lanes[l]];
  }
}

using A = Doubles<Pair>;

}  // namespace

const Kernel avx2_kernel = {
    "avx2",
    DOUBLE_BITS,
    true,
    double_factor,
    vector_forward<A>,
    vector_inverse<A>,
    vector_inner_products<A>,
    vector_divide<A>,
    vector_add,
    vector_subtract,
    vector_negate,
    vector_add_scalar,
    vector_multiply<A>,
    vector_multiply_factor<A>,
    vector_sum_products<A>,
    permute,
    checksum,
};

}  // namespace blindfit
