#include "ciphertext-file.hpp"
#include <cmath>
#include <cstring>
#include "format-error.hpp"

namespace blindfit {

namespace {

constexpr std::uint8_t MAGIC[8] = {'B', 'F', 'H', 'E', 'C', 'T', 'X', 1};

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
  std::uint8_t zeros[CIPHERTEXT_FILE_HEADER - 48 - 8 * (MAX_DATA_PRIMES + 1)];
};
static_assert(sizeof(Header) == CIPHERTEXT_FILE_HEADER);

u64 checksum(const Header& header) {
  std::uint8_t bytes[sizeof header];
  std::memcpy(bytes, &header, sizeof header);
  return header_checksum(bytes, offsetof(Header, checksum));
}

u64 file_bytes_of(const Ring& ring, std::size_t polys, std::size_t primes) { return CIPHERTEXT_FILE_HEADER + polys * primes * ring.n() * sizeof(u64); }

}  // namespace

void write_ciphertext_header(const Ring& ring, std::size_t polys, std::size_t level, double scale, std::uint8_t* out) {
  Header header{};
  std::memcpy(header.magic, MAGIC, sizeof MAGIC);
  header.polys = static_cast<std::uint32_t>(polys);
  header.n = static_cast<std::uint32_t>(ring.n());
  header.primes = static_cast<std::uint32_t>(level + 1);
  header.scale = scale;
  header.file_bytes = file_bytes_of(ring, polys, level + 1);
  for (std::size_t i = 0; i <= level; i++) header.moduli[i] = ring.moduli()[i];
  header.checksum = checksum(header);
  std::memcpy(out, &header, sizeof header);
}

CiphertextShape check_ciphertext_header(const Ring& ring, Bytes bytes, u64 file_bytes) {
  Header header;
  if (bytes.size() < sizeof header) throw FormatError("it has " + std::to_string(bytes.size()) + " bytes: it was cut off");
  std::memcpy(&header, bytes.data(), sizeof header);
  if (std::memcmp(header.magic, MAGIC, 7) != 0) throw FormatError("it holds no ciphertext");
  if (header.magic[7] != MAGIC[7]) throw FormatError("it has version " + std::to_string(header.magic[7]) + ", " + std::to_string(MAGIC[7]) + " expected");
  if (header.checksum != checksum(header)) throw FormatError("its header is damaged");
  if ((header.polys != 2 && header.polys != 3) || header.primes == 0 || !(header.scale > 0) || !std::isfinite(header.scale)) throw FormatError("its header is damaged");
  bool same = header.n == ring.n() && header.primes <= ring.data_primes();
  for (std::size_t i = 0; same && i < header.primes; i++) same = header.moduli[i] == ring.moduli()[i];
  if (!same) throw FormatError("it is of other parameters");
  const u64 wanted = file_bytes_of(ring, header.polys, header.primes);
  if (header.file_bytes != wanted || file_bytes != wanted) throw FormatError("it has " + std::to_string(file_bytes) + " bytes, " + std::to_string(wanted) + " expected: it was cut off");
  return {header.polys, header.primes - 1, header.scale};
}

MappedCiphertext open_ciphertext(const Ring& ring, const std::string& path) {
  auto file = MappedFile::open(path, "ciphertext file", true);
  try {
    const CiphertextShape shape = check_ciphertext_header(ring, file->bytes().first(std::min(file->bytes().size(), CIPHERTEXT_FILE_HEADER)), file->bytes().size());
    return {std::move(file), shape};
  } catch (const FormatError& error) {
    throw FormatError("the ciphertext file " + path + " cannot be used: " + error.what());
  }
}

}  // namespace blindfit
