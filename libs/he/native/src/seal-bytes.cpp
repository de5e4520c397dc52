#include "seal-bytes.hpp"
#include <bit>
#include <cmath>
#include <cstring>
#include <string>
#include "format-error.hpp"
#include "seal-random.hpp"

static_assert(std::endian::native == std::endian::little,
              "SEAL's bytes and key files are little-endian, and so must be the machine");

namespace blindfit {

namespace {

constexpr std::size_t HEADER = 16;
constexpr std::uint8_t SEAL_HEADER[8] = {0x5e, 0xa1, HEADER, 4, 1, 0, 0, 0};
constexpr std::size_t FIELDS = 32 + 1 + 5 * 8;
/// `prng_type::blake2xb`.
constexpr std::uint8_t BLAKE2XB = 1;

std::string text(u64 number) { return std::to_string(number); }

/// Walks over bytes that may be anything.
class Reader {
 public:
  Reader(Bytes bytes, std::size_t base) : bytes_(bytes), base_(base) {}

  std::size_t at() const { return base_ + used_; }
  std::size_t left() const { return bytes_.size() - used_; }

  const std::uint8_t* take(std::size_t count) {
    if (count > left())
      throw FormatError("cut off at byte " + text(at()) + ": " + text(count) + " more expected, " + text(left()) +
                        " there");
    const std::uint8_t* start = bytes_.data() + used_;
    used_ += count;
    return start;
  }

  template <typename T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof value), sizeof value);
    return value;
  }

  void expect(const char* what, u64 found, u64 wanted) {
    if (found != wanted)
      throw FormatError(std::string(what) + " is " + text(found) + ", " + text(wanted) + " expected");
  }

  void expect_parms_id(const ParmsId& wanted) {
    if (std::memcmp(take(32), wanted.data(), 32) != 0)
      throw FormatError("the parms_id at byte " + text(at() - 32) + " is of other parameters");
  }

  /// The content of the object that starts here.
  Reader object() {
    const std::size_t start = at();
    const std::uint8_t* head = take(8);
    if (head[0] != SEAL_HEADER[0] || head[1] != SEAL_HEADER[1] || head[2] != HEADER)
      throw FormatError("no SEAL object at byte " + text(start));
    if (head[3] != 4) throw FormatError("SEAL version " + text(head[3]) + " at byte " + text(start) + ", 4 expected");
    if (head[5] != 0) throw FormatError("compression " + text(head[5]) + " at byte " + text(start) + ", none expected");
    const u64 size = number<u64>();
    if (size < HEADER || size - HEADER > left())
      throw FormatError("an object of " + text(size) + " bytes at byte " + text(start) + ", where " +
                        text(left() + HEADER) + " are left");
    const std::size_t content = at();
    return Reader(Bytes(take(size - HEADER), size - HEADER), content);
  }

  void end() {
    if (left() != 0) throw FormatError(text(left()) + " bytes too many at byte " + text(at()));
  }

 private:
  Bytes bytes_;
  std::size_t base_;
  std::size_t used_ = 0;
};

/// @returns the words, which are `count` of them, or half when `seed` is set to what stands for the others
const std::uint8_t* parse_values(Reader& reader, std::size_t count, bool seedable, const std::uint8_t*& seed) {
  Reader values = reader.object();
  const u64 found = values.number<u64>();
  const bool seeded = seedable && found == count / 2;
  if (!seeded) values.expect("the number of values", found, count);
  const std::uint8_t* words = values.take(found * sizeof(u64));
  values.end();
  seed = nullptr;
  if (seeded) {
    Reader info = reader.object();
    info.expect("the random generator", info.number<std::uint8_t>(), BLAKE2XB);
    seed = info.take(SEED_BYTES);
    info.end();
  }
  return words;
}

void check_row(const std::uint8_t* words, std::size_t n, u64 q, const char* what, std::size_t row) {
  bool fine = true;
  for (std::size_t i = 0; i < n; i++) {
    u64 value;
    std::memcpy(&value, words + i * sizeof value, sizeof value);
    fine &= value < q;
  }
  if (!fine)
    throw FormatError(std::string(what) + " has a coefficient that is not below its prime, in row " + text(row));
}

void write_header(std::uint8_t*& at, u64 size) {
  std::memcpy(at, SEAL_HEADER, 8);
  std::memcpy(at + 8, &size, 8);
  at += HEADER;
}

template <typename T>
void write(std::uint8_t*& at, T value) {
  std::memcpy(at, &value, sizeof value);
  at += sizeof value;
}

}  // namespace

CiphertextHeader parse_ciphertext(const Ring& ring, Bytes bytes) {
  Reader whole(bytes, 0);
  Reader reader = whole.object();
  whole.end();
  const std::uint8_t* id = reader.take(32);
  CiphertextHeader header{};
  header.level = ring.data_primes();
  for (std::size_t level = 0; level < ring.data_primes(); level++) {
    if (std::memcmp(id, ring.parms_id(level).data(), 32) == 0) header.level = level;
  }
  if (header.level == ring.data_primes())
    throw FormatError("the parms_id is of other parameters, or of no level at which ciphertexts are");
  reader.expect("the NTT form", reader.number<std::uint8_t>(), 1);
  const u64 polys = reader.number<u64>();
  if (polys != 2 && polys != 3) throw FormatError("a ciphertext of " + text(polys) + " polynomials, 2 or 3 expected");
  header.polys = polys;
  reader.expect("N", reader.number<u64>(), ring.n());
  reader.expect("the number of primes", reader.number<u64>(), header.level + 1);
  header.scale = reader.number<double>();
  if (!(header.scale > 0) || !std::isfinite(header.scale)) throw FormatError("the scale is no positive number");
  reader.expect("the correction factor", reader.number<u64>(), 1);
  header.words = parse_values(reader, header.polys * (header.level + 1) * ring.n(), header.polys == 2, header.seed);
  reader.end();
  return header;
}

void read_words(const Ring& ring, const CiphertextHeader& header, u64* out) {
  const std::size_t n = ring.n(), rows = (header.seed == nullptr ? header.polys : 1) * (header.level + 1);
  for (std::size_t row = 0; row < rows; row++) {
    check_row(header.words + row * n * sizeof(u64), n, ring.moduli()[row % (header.level + 1)], "the ciphertext", row);
    std::memcpy(out + row * n, header.words + row * n * sizeof(u64), n * sizeof(u64));
  }
  if (header.seed != nullptr)
    expand_seed(std::span<const std::uint8_t, SEED_BYTES>(header.seed, SEED_BYTES),
                std::span(ring.moduli()).first(rows), n, out + rows * n);
}

std::size_t ciphertext_bytes(const Ring& ring, std::size_t polys, std::size_t level) {
  return HEADER + FIELDS + HEADER + sizeof(u64) + polys * (level + 1) * ring.n() * sizeof(u64);
}

void write_ciphertext(const Ring& ring, const u64* data, std::size_t polys, std::size_t level, double scale,
                      std::uint8_t* out) {
  const u64 count = polys * (level + 1) * ring.n();
  write_header(out, ciphertext_bytes(ring, polys, level));
  std::memcpy(out, ring.parms_id(level).data(), 32);
  out += 32;
  write<std::uint8_t>(out, 1);
  write<u64>(out, polys);
  write<u64>(out, ring.n());
  write<u64>(out, level + 1);
  write(out, scale);
  write<u64>(out, 1);
  write_header(out, HEADER + sizeof(u64) + count * sizeof(u64));
  write(out, count);
  std::memcpy(out, data, count * sizeof(u64));
}

KeyParts parse_key(const Ring& ring, Bytes bytes) {
  Reader whole(bytes, 0);
  Reader reader = whole.object();
  whole.end();
  reader.expect_parms_id(ring.key_parms_id());
  const u64 slots = reader.number<u64>();
  if (slots > ring.n()) throw FormatError(text(slots) + " keys, at most " + text(ring.n()) + " expected");
  KeyParts key{};
  for (u64 slot = 0; slot < slots; slot++) {
    const u64 parts = reader.number<u64>();
    if (parts == 0) continue;
    if (!key.parts.empty()) throw FormatError("more than one key");
    reader.expect("the number of parts of the key", parts, ring.data_primes());
    key.slot = slot;
    for (u64 part = 0; part < parts; part++) {
      Reader ciphertext = reader.object();
      ciphertext.expect_parms_id(ring.key_parms_id());
      ciphertext.expect("the NTT form", ciphertext.number<std::uint8_t>(), 1);
      ciphertext.expect("the number of polynomials", ciphertext.number<u64>(), 2);
      ciphertext.expect("N", ciphertext.number<u64>(), ring.n());
      ciphertext.expect("the number of primes", ciphertext.number<u64>(), ring.data_primes() + 1);
      ciphertext.take(sizeof(double));  // a scale that means nothing
      ciphertext.expect("the correction factor", ciphertext.number<u64>(), 1);
      const std::size_t count = 2 * (ring.data_primes() + 1) * ring.n();
      KeyParts::Part& found = key.parts.emplace_back();
      found.words = parse_values(ciphertext, count, true, found.seed);
      ciphertext.end();
      for (std::size_t row = 0; row < (found.seed == nullptr ? 2 : 1) * (ring.data_primes() + 1); row++) {
        check_row(found.words + row * ring.n() * sizeof(u64), ring.n(), ring.moduli()[row % (ring.data_primes() + 1)],
                  "the key", row);
      }
    }
  }
  reader.end();
  if (key.parts.empty()) throw FormatError("no key");
  return key;
}

}  // namespace blindfit
