#include "blake2.hpp"
#include "modulus.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

static_assert(std::endian::native == std::endian::little, "words are read as they lie in memory");

namespace blindfit {
namespace {

constexpr std::size_t BLOCK_BYTES = 128;
constexpr std::size_t DIGEST_BYTES = 64;

constexpr std::array<std::uint64_t, 8> INITIAL_STATE = {
    0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
    0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
};

constexpr std::uint8_t SIGMA[12][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4}, {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13}, {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11}, {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5}, {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
};

// Independent hashes side by side, one a lane: the compiler turns this into whatever vectors it may use, and on x86
// makes the stream once for each of these; the dynamic linker takes the best that the processor has.
#if defined(__x86_64__) && !defined(__clang__) && !defined(BLINDFIT_PORTABLE_ONLY)
#define BLINDFIT_VECTORS [[gnu::target_clones("avx512f", "avx2", "default")]]
#else
#define BLINDFIT_VECTORS
#endif

template <std::size_t lanes>
struct Lanes {
  typedef std::uint64_t Vector __attribute__((vector_size(8 * lanes)));
};
template <>
struct Lanes<1> {
  using Vector = std::uint64_t;
};

template <typename V>
BLINDFIT_INLINE V rotated(V x, int by) {
  return (x >> by) | (x << (64 - by));
}

template <typename V>
BLINDFIT_INLINE void mix(V& a, V& b, V& c, V& d, V x, V y) {
  a = a + b + x;
  d = rotated<V>(d ^ a, 32);
  c = c + d;
  b = rotated<V>(b ^ c, 24);
  a = a + b + y;
  d = rotated<V>(d ^ a, 16);
  c = c + d;
  b = rotated<V>(b ^ c, 63);
}

/// The compression function F. @param bytes compressed so far, this block included; below 2^64
template <typename V>
BLINDFIT_INLINE void compress(V h[8], const V message[16], std::uint64_t bytes, bool last) {
  V v[16];
  for (int i = 0; i < 8; i++) {
    v[i] = h[i];
    v[i + 8] = V{} + INITIAL_STATE[i];
  }
  v[12] ^= V{} + bytes;
  if (last) v[14] = ~v[14];
#pragma GCC unroll 12
  for (const auto& s : SIGMA) {
    mix<V>(v[0], v[4], v[8], v[12], message[s[0]], message[s[1]]);
    mix<V>(v[1], v[5], v[9], v[13], message[s[2]], message[s[3]]);
    mix<V>(v[2], v[6], v[10], v[14], message[s[4]], message[s[5]]);
    mix<V>(v[3], v[7], v[11], v[15], message[s[6]], message[s[7]]);
    mix<V>(v[0], v[5], v[10], v[15], message[s[8]], message[s[9]]);
    mix<V>(v[1], v[6], v[11], v[12], message[s[10]], message[s[11]]);
    mix<V>(v[2], v[7], v[8], v[13], message[s[12]], message[s[13]]);
    mix<V>(v[3], v[4], v[9], v[14], message[s[14]], message[s[15]]);
  }
  for (int i = 0; i < 8; i++) h[i] ^= v[i] ^ v[i + 8];
}

/// The first words of a parameter block; the others are zero.
struct Parameters {
  std::uint8_t digest_length;
  std::uint8_t key_length;
  std::uint8_t fanout;
  std::uint8_t depth;
  std::uint32_t leaf_length;
  std::uint32_t node_offset;
  std::uint32_t xof_length;
  std::uint8_t node_depth;
  std::uint8_t inner_length;

  std::uint64_t word(int i) const {
    switch (i) {
      case 0:
        return digest_length | std::uint64_t{key_length} << 8 | std::uint64_t{fanout} << 16 |
               std::uint64_t{depth} << 24 | std::uint64_t{leaf_length} << 32;
      case 1:
        return node_offset | std::uint64_t{xof_length} << 32;
      case 2:
        return node_depth | std::uint64_t{inner_length} << 8;
      default:
        return 0;
    }
  }
};

/// Digest of at most two blocks, which is all that is hashed here besides parameters.
std::array<std::uint64_t, 8> hash(const Parameters& parameters, std::span<const std::uint8_t> key,
                                  std::span<const std::uint8_t> input) {
  std::array<std::uint64_t, 8> h{};
  for (int i = 0; i < 8; i++) h[i] = INITIAL_STATE[i] ^ parameters.word(i);
  std::uint64_t bytes = 0;
  std::uint64_t message[16];
  if (!key.empty()) {
    std::memset(message, 0, BLOCK_BYTES);
    std::memcpy(message, key.data(), key.size());
    bytes += BLOCK_BYTES;
    compress<std::uint64_t>(h.data(), message, bytes, input.empty());
  }
  while (input.size() > BLOCK_BYTES) {
    std::memcpy(message, input.data(), BLOCK_BYTES);
    bytes += BLOCK_BYTES;
    compress<std::uint64_t>(h.data(), message, bytes, false);
    input = input.subspan(BLOCK_BYTES);
  }
  if (key.empty() || !input.empty()) {
    std::memset(message, 0, BLOCK_BYTES);
    if (!input.empty()) std::memcpy(message, input.data(), input.size());
    compress<std::uint64_t>(h.data(), message, bytes + input.size(), true);
  }
  return h;
}

}  // namespace

std::array<std::uint64_t, 4> blake2b_256(std::span<const std::uint8_t> input) {
  const auto h = hash({32, 0, 1, 1, 0, 0, 0, 0, 0}, {}, input);
  return {h[0], h[1], h[2], h[3]};
}

Blake2xbStream::Blake2xbStream(std::span<const std::uint8_t, SEED_BYTES> seed) {
  std::copy(seed.begin(), seed.end(), seed_.begin());
}

BLINDFIT_VECTORS void Blake2xbStream::refill(std::uint64_t* block) {
  constexpr std::uint32_t LENGTH = 8 * BUFFER_WORDS;
  std::uint8_t counter[8];
  std::memcpy(counter, &counter_, 8);
  counter_++;
  const auto root = hash({DIGEST_BYTES, SEED_BYTES, 1, 1, 0, 0, LENGTH, 0, 0}, seed_, counter);
  // Output block i is the hash of the root with node offset i.
  constexpr std::size_t lanes = 8;
  using V = Lanes<lanes>::Vector;
  V message[16]{};
  for (int i = 0; i < 8; i++) message[i] = V{} + root[i];
  for (std::uint32_t first = 0; first < BUFFER_WORDS / 8; first += lanes) {
    V h[8];
    for (int i = 0; i < 8; i++) {
      for (std::uint32_t lane = 0; lane < lanes; lane++) {
        h[i][lane] = INITIAL_STATE[i] ^
                     Parameters { DIGEST_BYTES, 0, 0, 0, DIGEST_BYTES, first + lane, LENGTH, 0, DIGEST_BYTES }.word(i);
      }
    }
    compress<V>(h, message, DIGEST_BYTES, true);
    for (std::uint32_t lane = 0; lane < lanes; lane++) {
      for (int i = 0; i < 8; i++) block[8 * (first + lane) + i] = h[i][lane];
    }
  }
}

void Blake2xbStream::read(std::uint64_t* words, std::size_t count) {
  while (count > 0) {
    if (used_ == BUFFER_WORDS) {
      // Whole blocks need no copy.
      if (count >= BUFFER_WORDS) {
        refill(words);
        words += BUFFER_WORDS;
        count -= BUFFER_WORDS;
        continue;
      }
      refill(buffer_.data());
      used_ = 0;
    }
    const std::size_t now = std::min(count, BUFFER_WORDS - used_);
    std::copy_n(buffer_.begin() + used_, now, words);
    used_ += now;
    words += now;
    count -= now;
  }
}

}  // namespace blindfit
