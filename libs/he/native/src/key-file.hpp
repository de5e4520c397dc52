// One key-switching key in a file, in the order kernels read it, and mapped into memory.
//
//   offset size
//        0    8  "BFHEKEY" and the version, 2
//        8    4  layout: 1 = [target prime][tile][row][2 polynomials][KEY_TILE values in blocked order]
//       12    4  values of a tile
//       16    4  N
//       20    4  primes, the special one included
//       24    8  slot: 0 for relinearisation, (element - 1) / 2 for a Galois element
//       32    8  bytes of the file
//       40    8  FNV-1a of the bytes 0 to 39 and 48 to 4095
//       48  256  the primes, 8 bytes each, zeros behind them
//      304    8  checksum of the content, see checksum.hpp
//      312       zeros up to 4096; then the values
#pragma once
#include <cstddef>
#include <memory>
#include <string>
#include <vector>
#include "mapped-file.hpp"
#include "seal-bytes.hpp"

namespace blindfit {

constexpr std::size_t KEY_FILE_HEADER = 4096;

/// The size of the file of one key.
std::size_t key_file_bytes(const Ring& ring);

/// Writes a key file to `out`, key_file_bytes(ring) bytes, aligned to 8.
void pack_key(const Ring& ring, const KeyParts& key, std::uint8_t* out);

/// Checks a header against a ring and the size of the file. @returns the slot @throws FormatError
std::size_t check_key_header(const Ring& ring, Bytes header, u64 file_bytes);

/// A key file in memory; all threads of the process share one mapping of a file.
class KeyMapping {
 public:
  /// @throws FormatError when it is no key file for this ring; std::system_error when it cannot be opened
  static std::shared_ptr<const KeyMapping> open(const Ring& ring, const std::string& path);

  std::size_t bytes() const { return file_->bytes().size(); }
  std::size_t slot() const { return slot_; }
  /// See MappedFile::intact.
  bool intact() const { return file_->intact(); }
  /// Whether it is a key for that ring.
  bool fits(const Ring& ring) const { return n_ == ring.n() && moduli_ == ring.moduli(); }
  /// Values for one target prime: [tile][row][2][KEY_TILE].
  const u64* values(std::size_t target) const { return values_ + target * target_words_; }

 private:
  KeyMapping(const Ring& ring, std::shared_ptr<const MappedFile> file, std::size_t slot);
  std::shared_ptr<const MappedFile> file_;
  std::size_t n_;
  std::vector<u64> moduli_;
  std::size_t slot_;
  const u64* values_;
  std::size_t target_words_;
};

}  // namespace blindfit
