// BLAKE2b (RFC 7693) and BLAKE2Xb, as SEAL uses them: parms_ids are BLAKE2b hashes, and seeds are expanded by BLAKE2Xb.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace blindfit {

/// BLAKE2b of `input` with an output of 32 bytes and no key.
std::array<std::uint64_t, 4> blake2b_256(std::span<const std::uint8_t> input);

/// SEAL's pseudo-random stream of a seed: block after block of 4096 bytes, each the BLAKE2Xb output of a 64-bit counter
/// keyed with the seed (SEAL 4.1, randomgen.cpp).
class Blake2xbStream {
 public:
  static constexpr std::size_t SEED_BYTES = 64;

  /// @param seed 64 bytes, copied
  explicit Blake2xbStream(std::span<const std::uint8_t, SEED_BYTES> seed);

  /// The next `count` words of the stream.
  void read(std::uint64_t* words, std::size_t count);

 private:
  static constexpr std::size_t BUFFER_WORDS = 512;

  void refill(std::uint64_t* block);

  std::array<std::uint8_t, SEED_BYTES> seed_;
  std::uint64_t counter_ = 0;
  std::array<std::uint64_t, BUFFER_WORDS> buffer_{};
  std::size_t used_ = BUFFER_WORDS;
};

}  // namespace blindfit
