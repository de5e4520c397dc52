// One input through everything that parses bytes: a ciphertext, a key, the header of a file of either. For libFuzzer,
// and for the mutator in fuzz-driver.cpp where there is none. The ring comes from the file in BLINDFIT_FUZZ_RING, so
// that seeds made by node-seal are of the right parameters: words N, number of primes, primes, parms_ids of 4 words by
// level, key parms_id.
#include <cstring>
#include <fstream>
#include <iterator>
#include "../src/ciphertext-file.hpp"
#include "../src/cpu.hpp"
#include "../src/format-error.hpp"
#include "../src/key-file.hpp"
#include "check.hpp"

using namespace blindfit;

namespace {

std::shared_ptr<const Ring> read_ring() {
  const char* path = std::getenv("BLINDFIT_FUZZ_RING");
  CHECK(path != nullptr, "BLINDFIT_FUZZ_RING is not set");
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::vector<u64> words(bytes.size() / 8);
  std::memcpy(words.data(), bytes.data(), words.size() * 8);
  CHECK(words.size() > 2 && words.size() == 2 + 5 * words[1], "%s is no description of a ring", path);
  const std::size_t primes = words[1];
  std::vector<ParmsId> ids(primes);
  std::memcpy(ids.data(), words.data() + 2 + primes, primes * sizeof(ParmsId));
  const ParmsId key_id = ids.back();
  ids.pop_back();
  return Ring::open(words[0], {words.begin() + 2, words.begin() + 2 + static_cast<std::ptrdiff_t>(primes)}, ids, key_id,
                    portable_kernel);
}

void check_headers(const Ring& ring, Bytes bytes) {
  try {
    check_key_header(ring, bytes, bytes.size());
  } catch (const FormatError&) {
  }
  try {
    const CiphertextShape shape = check_ciphertext_header(ring, bytes, bytes.size());
    CHECK(shape.level < ring.data_primes() && (shape.polys == 2 || shape.polys == 3), "shape");
  } catch (const FormatError&) {
  }
}

/// The input with a header whose checksum is right: what damage leads to behind it. Both kinds of file have it at 40.
std::vector<std::uint8_t> repaired(Bytes bytes) {
  constexpr std::size_t CHECKSUM_AT = 40;
  std::vector<std::uint8_t> copy(bytes.begin(), bytes.end());
  u64 hash = 0xcbf29ce484222325;
  for (std::size_t i = 0; i < KEY_FILE_HEADER; i++)
    if (i < CHECKSUM_AT || i >= CHECKSUM_AT + 8) hash = (hash ^ copy[i]) * 0x100000001b3;
  std::memcpy(copy.data() + CHECKSUM_AT, &hash, sizeof hash);
  return copy;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::shared_ptr<const Ring> ring = read_ring();
  const Bytes bytes(data, size);
  try {
    const CiphertextHeader header = parse_ciphertext(*ring, bytes);
    WordBuffer words(header.polys * (header.level + 1) * ring->n());
    read_words(*ring, header, words.data());
    if (header.seed == nullptr) {
      std::vector<std::uint8_t> again(ciphertext_bytes(*ring, header.polys, header.level));
      write_ciphertext(*ring, words.data(), header.polys, header.level, header.scale, again.data());
      CHECK(again.size() == size && std::memcmp(again.data() + 8, data + 8, 81) == 0,
            "its fields are written as they were read");
    }
  } catch (const FormatError&) {
  }
  try {
    const KeyParts key = parse_key(*ring, bytes);
    std::vector<u64> file(key_file_bytes(*ring) / 8);
    pack_key(*ring, key, reinterpret_cast<std::uint8_t*>(file.data()));
    CHECK(check_key_header(*ring, Bytes(reinterpret_cast<const std::uint8_t*>(file.data()), file.size() * 8),
                           file.size() * 8) == key.slot,
          "slot");
  } catch (const FormatError&) {
  }
  check_headers(*ring, bytes);
  if (size >= KEY_FILE_HEADER) check_headers(*ring, repaired(bytes));
  return 0;
}
