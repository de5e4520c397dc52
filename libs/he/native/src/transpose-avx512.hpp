// 8 x 8 transposition of 64-bit values in registers, and the permutation of NTT values; included as vector-kernel.hpp
// is.

BLINDFIT_INLINE void transpose8(__m512i* v) {
  __m512i a[8], b[8];
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    a[2 * i] = _mm512_unpacklo_epi64(v[2 * i], v[2 * i + 1]);
    a[2 * i + 1] = _mm512_unpackhi_epi64(v[2 * i], v[2 * i + 1]);
  }
  // a[2i + j]: columns j, j + 2, j + 4, j + 6 of rows 2i and 2i + 1. Now rows in fours.
#pragma GCC unroll 2
  for (int h = 0; h < 2; h++) {
#pragma GCC unroll 2
    for (int j = 0; j < 2; j++) {
      b[4 * h + j] = _mm512_shuffle_i64x2(a[4 * h + j], a[4 * h + 2 + j], 0x88);
      b[4 * h + 2 + j] = _mm512_shuffle_i64x2(a[4 * h + j], a[4 * h + 2 + j], 0xdd);
    }
  }
  // b[4h + j]: columns j and j + 4 of rows 4h.. as [c_j r01, c_{j+4} r01, c_j r23, c_{j+4} r23]; b[4h + 2 + j]: j + 2
  // and j + 6.
#pragma GCC unroll 4
  for (int j = 0; j < 4; j++) {
    v[j] = _mm512_shuffle_i64x2(b[j], b[4 + j], 0x88);
    v[j + 4] = _mm512_shuffle_i64x2(b[j], b[4 + j], 0xdd);
  }
}

inline void permute_avx512(u64* out, const u64* in, const std::uint16_t* blocks, const std::uint8_t* patterns,
                           const std::uint8_t (*pattern)[LANES], std::size_t count) {
  alignas(64) __m512i lanes[LANES];
  for (std::size_t i = 0; i < LANES; i++)
    lanes[i] = _mm512_cvtepu8_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(pattern[i])));
  for (std::size_t b = 0; b < count / LANES; b++) {
    _mm512_storeu_si512(out + LANES * b,
                        _mm512_permutexvar_epi64(lanes[patterns[b]], _mm512_loadu_si512(in + LANES * blocks[b])));
  }
}
