// The common part of the headers of key files and ciphertext files: 4096 bytes that begin with 7 letters and a version,
// and hold the size of the file, checksums of the header and of the content, N and the primes, in fields of these
// names.
#pragma once
#include <cstddef>
#include <cstring>
#include <string>
#include "cpu.hpp"
#include "format-error.hpp"
#include "mapped-file.hpp"
#include "seal-bytes.hpp"

namespace blindfit {

/// Completes a header with the ring's values, the size and the checksums, and writes it.
/// @param primes how many of the ring's primes, from the first
/// @param content what follows the header
template <typename Header>
void write_header(const Ring& ring, const std::uint8_t (&magic)[8], std::size_t primes, u64 file_bytes, Header header,
                  const u64* content, std::uint8_t* out) {
  static_assert(sizeof header == FILE_HEADER && offsetof(Header, checksum) == FILE_CHECKSUM &&
                offsetof(Header, content) == FILE_CONTENT_CHECKSUM);
  std::memcpy(header.magic, magic, sizeof magic);
  header.n = static_cast<std::uint32_t>(ring.n());
  header.primes = static_cast<std::uint32_t>(primes);
  header.file_bytes = file_bytes;
  for (std::size_t i = 0; i < primes; i++) header.moduli[i] = ring.moduli()[i];
  header.content = kernels_here().front()->checksum(content, (file_bytes - FILE_HEADER) / sizeof(u64));
  std::memcpy(out, &header, sizeof header);
  const u64 checksum = header_checksum(out);
  std::memcpy(out + FILE_CHECKSUM, &checksum, sizeof checksum);
}

/// Reads a header and checks its kind, version and checksum.
/// @param otherwise the text of the error for bytes of another kind
/// @throws FormatError
template <typename Header>
Header read_header(Bytes bytes, const std::uint8_t (&magic)[8], const char* otherwise) {
  Header header;
  if (bytes.size() < sizeof header)
    throw FormatError("it has " + std::to_string(bytes.size()) + " bytes: it was cut off", true);
  std::memcpy(&header, bytes.data(), sizeof header);
  const bool damaged = header.checksum != header_checksum(bytes.data());
  if (std::memcmp(header.magic, magic, 7) != 0) throw FormatError(otherwise, damaged);
  if (damaged) throw FormatError("its header is damaged", true);
  if (header.magic[7] != magic[7])
    throw FormatError("it has version " + std::to_string(header.magic[7]) + ", " + std::to_string(magic[7]) +
                      " expected");
  return header;
}

/// Checks that a header is of this ring, with at most `most` primes. @throws FormatError
template <typename Header>
void check_ring(const Ring& ring, const Header& header, std::size_t most) {
  bool same = header.n == ring.n() && header.primes <= most;
  for (std::size_t i = 0; same && i < header.primes; i++) same = header.moduli[i] == ring.moduli()[i];
  if (!same) throw FormatError("it is of other parameters");
}

/// Checks the size of the file, `file_bytes`, and the one in its header. @throws FormatError
template <typename Header>
void check_file_bytes(const Header& header, u64 file_bytes, u64 wanted) {
  if (header.file_bytes != wanted || file_bytes != wanted) {
    throw FormatError(
        "it has " + std::to_string(file_bytes) + " bytes, " + std::to_string(wanted) + " expected: it was cut off",
        true);
  }
}

}  // namespace blindfit
