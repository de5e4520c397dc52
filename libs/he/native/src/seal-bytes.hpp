// SEAL 4's uncompressed serialisation of ciphertexts and key-switching keys, little-endian:
//
//   object      header 16 | content
//   header      magic 0xA15E, 16, major 4, minor, compression, 0 0, size of the whole u64
//   ciphertext  parms_id 32 | NTT form u8 | polynomials u64 | N u64 | primes u64 | scale f64 | correction u64 | values
//   values      an object: count u64 | words u64...; with half of them, a seed follows
//   seed        an object: type u8 | 64 bytes
//   keys        parms_id 32 | count u64 | for each: parts u64 | parts objects with a ciphertext each
//
// Nothing is read before its size is known to be there; a size from the bytes never makes an allocation.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>
#include "ring.hpp"

namespace blindfit {

using Bytes = std::span<const std::uint8_t>;

/// What stands before the words of a ciphertext.
struct CiphertextHeader {
  std::size_t polys;
  std::size_t level;
  double scale;
  /// Where the words start: polys x (level + 1) x N of them, or half when there is a seed. No alignment.
  const std::uint8_t* words;
  /// SEED_BYTES that stand for the second polynomial, or null.
  const std::uint8_t* seed;
};

/// Reads and checks all but the words. @throws FormatError
CiphertextHeader parse_ciphertext(const Ring& ring, Bytes bytes);

/// Copies the words of a ciphertext to `out`, polys x (level + 1) x N of them, and expands its seed.
/// @throws FormatError when a word is not below its prime
void read_words(const Ring& ring, const CiphertextHeader& header, u64* out);

/// The bytes that {@link write_ciphertext} writes.
std::size_t ciphertext_bytes(const Ring& ring, std::size_t polys, std::size_t level);
void write_ciphertext(const Ring& ring, const u64* data, std::size_t polys, std::size_t level, double scale,
                      std::uint8_t* out);

/// Relinearisation or Galois keys that hold exactly one key.
struct KeyParts {
  /// The place among the keys: 0 for relinearisation, (element - 1) / 2 for a Galois element.
  std::size_t slot;
  struct Part {
    /// The words of 2 polynomials modulo all primes, or of the first one when there is a seed. No alignment.
    const std::uint8_t* words;
    /// SEED_BYTES that stand for the second polynomial, or null.
    const std::uint8_t* seed;
  };
  /// By data prime.
  std::vector<Part> parts;
};

/// Reads and checks all but the words. @throws FormatError
KeyParts parse_key(const Ring& ring, Bytes bytes);

}  // namespace blindfit
