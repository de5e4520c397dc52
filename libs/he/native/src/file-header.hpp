// The common part of the headers of key files and ciphertext files: 4096 bytes that begin with 7 letters and a version,
// and hold the size of the file, a checksum of the header, N and the primes, in fields of these names.
#pragma once
#include <cstddef>
#include <cstring>
#include <string>
#include "format-error.hpp"
#include "seal-bytes.hpp"

namespace blindfit {

/// FNV-1a over a header, but for the 8 bytes where the checksum itself is.
template <typename Header>
u64 header_checksum(const Header& header) {
  std::uint8_t bytes[sizeof header];
  std::memcpy(bytes, &header, sizeof header);
  u64 hash = 0xcbf29ce484222325;
  for (std::size_t i = 0; i < sizeof header; i++) {
    if (i < offsetof(Header, checksum) || i >= offsetof(Header, checksum) + sizeof header.checksum)
      hash = (hash ^ bytes[i]) * 0x100000001b3;
  }
  return hash;
}

/// Completes a header with the ring's values, the size and the checksum, and writes it.
/// @param primes how many of the ring's primes, from the first
template <typename Header>
void write_header(const Ring& ring, const std::uint8_t (&magic)[8], std::size_t primes, u64 file_bytes, Header header,
                  std::uint8_t* out) {
  std::memcpy(header.magic, magic, sizeof magic);
  header.n = static_cast<std::uint32_t>(ring.n());
  header.primes = static_cast<std::uint32_t>(primes);
  header.file_bytes = file_bytes;
  for (std::size_t i = 0; i < primes; i++) header.moduli[i] = ring.moduli()[i];
  header.checksum = header_checksum(header);
  std::memcpy(out, &header, sizeof header);
}

/// Reads a header and checks its kind, version and checksum.
/// @param otherwise the text of the error for bytes of another kind
/// @throws FormatError
template <typename Header>
Header read_header(Bytes bytes, const std::uint8_t (&magic)[8], const char* otherwise) {
  Header header;
  if (bytes.size() < sizeof header)
    throw FormatError("it has " + std::to_string(bytes.size()) + " bytes: it was cut off");
  std::memcpy(&header, bytes.data(), sizeof header);
  if (std::memcmp(header.magic, magic, 7) != 0) throw FormatError(otherwise);
  if (header.magic[7] != magic[7])
    throw FormatError("it has version " + std::to_string(header.magic[7]) + ", " + std::to_string(magic[7]) +
                      " expected");
  if (header.checksum != header_checksum(header)) throw FormatError("its header is damaged");
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
    throw FormatError("it has " + std::to_string(file_bytes) + " bytes, " + std::to_string(wanted) +
                      " expected: it was cut off");
  }
}

}  // namespace blindfit
