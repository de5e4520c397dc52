// One ciphertext in a file, expanded from its seed, as the kernels read it, and mapped into memory.
//
//   offset size
//        0    8  "BFHECTX" and the version, 2
//        8    4  polynomials, 2 or 3
//       12    4  N
//       16    4  primes: the level and one
//       20    4  zeros
//       24    8  scale
//       32    8  bytes of the file
//       40    8  FNV-1a of the bytes 0 to 39 and 48 to 4095
//       48  256  the primes, 8 bytes each, zeros behind them
//      304    8  checksum of the content, see checksum.hpp
//      312       zeros up to 4096; then polynomials x primes x N words, canonical
#pragma once
#include "mapped-file.hpp"
#include "seal-bytes.hpp"

namespace blindfit {

constexpr std::size_t CIPHERTEXT_FILE_HEADER = 4096;

/// Writes the header of a ciphertext file, CIPHERTEXT_FILE_HEADER bytes, of the words that follow it.
void write_ciphertext_header(const Ring& ring, std::size_t polys, std::size_t level, double scale, const u64* words,
                             std::uint8_t* out);

/// What the header of a file says about its ciphertext.
struct CiphertextShape {
  std::size_t polys;
  std::size_t level;
  double scale;
};

/// Checks a header against a ring and the size of the file. @throws FormatError
CiphertextShape check_ciphertext_header(const Ring& ring, Bytes header, u64 file_bytes);

/// A ciphertext file in memory.
struct MappedCiphertext {
  std::shared_ptr<const MappedFile> file;
  CiphertextShape shape;
  const u64* words() const { return reinterpret_cast<const u64*>(file->bytes().data() + CIPHERTEXT_FILE_HEADER); }
};

/// Maps a file and checks that its words are the ones that were written.
/// @throws FormatError when it is no such file for this ring; std::system_error when it cannot be opened
MappedCiphertext open_ciphertext(const Ring& ring, const std::string& path);

}  // namespace blindfit
