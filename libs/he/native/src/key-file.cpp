#include "key-file.hpp"
#include <cstring>
#include <utility>
#include "file-header.hpp"
#include "memory.hpp"
#include "seal-random.hpp"

namespace blindfit {

namespace {

constexpr std::uint8_t MAGIC[8] = {'B', 'F', 'H', 'E', 'K', 'E', 'Y', 2};
constexpr std::uint32_t LAYOUT = 1;

struct Header {
  std::uint8_t magic[8];
  std::uint32_t layout;
  std::uint32_t tile;
  std::uint32_t n;
  std::uint32_t primes;
  u64 slot;
  u64 file_bytes;
  u64 checksum;
  u64 moduli[MAX_DATA_PRIMES + 1];
  u64 content;
  std::uint8_t zeros[KEY_FILE_HEADER - 56 - 8 * (MAX_DATA_PRIMES + 1)];
};
static_assert(sizeof(Header) == KEY_FILE_HEADER);

/// Values for one target prime.
std::size_t target_words(const Ring& ring) { return ring.data_primes() * 2 * ring.n(); }

}  // namespace

std::size_t key_file_bytes(const Ring& ring) {
  return KEY_FILE_HEADER + (ring.data_primes() + 1) * target_words(ring) * sizeof(u64);
}

void pack_key(const Ring& ring, const KeyParts& key, std::uint8_t* out) {
  const std::size_t n = ring.n(), rows = ring.data_primes(), targets = rows + 1;
  Header header{};
  header.layout = LAYOUT;
  header.tile = KEY_TILE;
  header.slot = key.slot;
  // The second polynomials, where they are given as seeds: row by row as in SEAL's bytes.
  std::vector<WordBuffer> expanded(rows);
  for (std::size_t row = 0; row < rows; row++) {
    if (key.parts[row].seed == nullptr) continue;
    expanded[row] = WordBuffer(targets * n);
    expand_seed(std::span<const std::uint8_t, SEED_BYTES>(key.parts[row].seed, SEED_BYTES), ring.moduli(), n,
                expanded[row].data());
  }
  const auto polynomial = [&](std::size_t row, std::size_t poly) {
    if (poly == 1 && key.parts[row].seed != nullptr) return reinterpret_cast<const std::uint8_t*>(expanded[row].data());
    return key.parts[row].words + poly * targets * n * sizeof(u64);
  };
  u64* to = reinterpret_cast<u64*>(out + KEY_FILE_HEADER);
  for (std::size_t target = 0; target < targets; target++) {
    for (std::size_t tile = 0; tile < n; tile += KEY_TILE) {
      for (std::size_t row = 0; row < rows; row++) {
        for (std::size_t poly = 0; poly < 2; poly++) {
          const std::uint8_t* from = polynomial(row, poly) + (target * n + tile) * sizeof(u64);
          for (std::size_t i = 0; i < KEY_TILE; i++) {
            const std::size_t blocked = (i & ~(BLOCK - 1)) | (i & 7) << 3 | ((i >> 3) & 7);
            std::memcpy(to + blocked, from + i * sizeof(u64), sizeof(u64));
          }
          to += KEY_TILE;
        }
      }
    }
  }
  write_header(ring, MAGIC, targets, key_file_bytes(ring), header, reinterpret_cast<const u64*>(out + KEY_FILE_HEADER),
               out);
}

std::size_t check_key_header(const Ring& ring, Bytes bytes, u64 file_bytes) {
  const Header header = read_header<Header>(bytes, MAGIC, "it is no key file");
  if (header.layout != LAYOUT || header.tile != KEY_TILE)
    throw FormatError("its layout is another one: it was written by another release");
  if (header.primes != ring.moduli().size()) throw FormatError("it is of other parameters");
  check_ring(ring, header, ring.moduli().size());
  if (header.slot >= ring.n()) throw FormatError("its header is damaged", true);
  check_file_bytes(header, file_bytes, key_file_bytes(ring));
  return header.slot;
}

std::shared_ptr<const KeyMapping> KeyMapping::open(const Ring& ring, const std::string& path) {
  auto file = MappedFile::open(path, "key file", false);
  try {
    const std::size_t slot = check_key_header(ring, file->bytes(), file->bytes().size());
    if (!file->intact()) throw FormatError("its content is damaged", true);
    return std::shared_ptr<const KeyMapping>(new KeyMapping(ring, std::move(file), slot));
  } catch (const FormatError& error) {
    throw FormatError("the key file " + path + " cannot be used: " + error.what(), error.damage);
  }
}

KeyMapping::KeyMapping(const Ring& ring, std::shared_ptr<const MappedFile> file, std::size_t slot)
    : file_(std::move(file)),
      n_(ring.n()),
      moduli_(ring.moduli()),
      slot_(slot),
      values_(reinterpret_cast<const u64*>(file_->bytes().data() + KEY_FILE_HEADER)),
      target_words_(target_words(ring)) {}

}  // namespace blindfit
