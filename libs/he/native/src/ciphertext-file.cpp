#include "ciphertext-file.hpp"
#include <cmath>
#include <utility>
#include "file-header.hpp"

namespace blindfit {

namespace {

constexpr std::uint8_t MAGIC[8] = {'B', 'F', 'H', 'E', 'C', 'T', 'X', 2};

struct Header {
  std::uint8_t magic[8];
  std::uint32_t polys;
  std::uint32_t n;
  std::uint32_t primes;
  std::uint32_t zero;
  double scale;
  u64 file_bytes;
  u64 checksum;
  u64 moduli[MAX_DATA_PRIMES + 1];
  u64 content;
  std::uint8_t zeros[CIPHERTEXT_FILE_HEADER - 56 - 8 * (MAX_DATA_PRIMES + 1)];
};
static_assert(sizeof(Header) == CIPHERTEXT_FILE_HEADER);

u64 file_bytes_of(const Ring& ring, std::size_t polys, std::size_t primes) {
  return CIPHERTEXT_FILE_HEADER + polys * primes * ring.n() * sizeof(u64);
}

}  // namespace

void write_ciphertext_header(const Ring& ring, std::size_t polys, std::size_t level, double scale, const u64* words,
                             std::uint8_t* out) {
  Header header{};
  header.polys = static_cast<std::uint32_t>(polys);
  header.scale = scale;
  write_header(ring, MAGIC, level + 1, file_bytes_of(ring, polys, level + 1), header, words, out);
}

CiphertextShape check_ciphertext_header(const Ring& ring, Bytes bytes, u64 file_bytes) {
  const Header header = read_header<Header>(bytes, MAGIC, "it holds no ciphertext");
  if ((header.polys != 2 && header.polys != 3) || header.primes == 0 || !(header.scale > 0) ||
      !std::isfinite(header.scale))
    throw FormatError("its header is damaged", true);
  check_ring(ring, header, ring.data_primes());
  check_file_bytes(header, file_bytes, file_bytes_of(ring, header.polys, header.primes));
  return {header.polys, header.primes - 1, header.scale};
}

MappedCiphertext open_ciphertext(const Ring& ring, const std::string& path) {
  auto file = MappedFile::open(path, "ciphertext file", true);
  try {
    const CiphertextShape shape = check_ciphertext_header(ring, file->bytes(), file->bytes().size());
    if (!file->intact()) throw FormatError("its content is damaged", true);
    return {std::move(file), shape};
  } catch (const FormatError& error) {
    throw FormatError("the ciphertext file " + path + " cannot be used: " + error.what(), error.damage);
  }
}

}  // namespace blindfit
