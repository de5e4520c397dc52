// What parses bytes, against bytes that are right, cut off, and damaged anywhere in their frames.
#include <unistd.h>
#include <cstring>
#include <fstream>
#include <functional>
#include <limits>
#include "../src/ciphertext-file.hpp"
#include "../src/cpu.hpp"
#include "../src/format-error.hpp"
#include "../src/key-file.hpp"
#include "check.hpp"

using namespace blindfit;

namespace {

using Buffer = std::vector<std::uint8_t>;

/// A copy of exactly that size, so that a sanitizer sees a read behind its end.
Bytes exact(std::vector<std::uint8_t>& copy, const Buffer& bytes) {
  copy = Buffer(bytes);
  copy.shrink_to_fit();
  return Bytes(copy);
}

/// @returns what it threw, or nothing
std::string refusal(const Buffer& bytes, const std::function<void(Bytes)>& parse) {
  Buffer copy;
  try {
    parse(exact(copy, bytes));
    return "";
  } catch (const FormatError& error) {
    return error.what();
  }
}

void append(Buffer& bytes, u64 value) {
  for (int i = 0; i < 8; i++) bytes.push_back(static_cast<std::uint8_t>(value >> 8 * i));
}

void append_header(Buffer& bytes, u64 size) {
  for (const std::uint8_t byte : {0x5e, 0xa1, 0x10, 4, 1, 0, 0, 0}) bytes.push_back(byte);
  append(bytes, size);
}

/// SEAL's bytes of keys with one key in slot `slot` of `slots`.
Buffer key_bytes(const Ring& ring, std::size_t slot, std::size_t slots) {
  const std::size_t words = 2 * (ring.data_primes() + 1) * ring.n();
  const u64 part = 16 + 73 + 24 + 8 * words;
  Buffer bytes;
  append_header(bytes, 16 + 32 + 8 + 8 * slots + ring.data_primes() * part);
  for (int i = 0; i < 4; i++) append(bytes, 9);
  append(bytes, slots);
  for (std::size_t s = 0; s < slots; s++) {
    append(bytes, s == slot ? ring.data_primes() : 0);
    for (std::size_t p = 0; s == slot && p < ring.data_primes(); p++) {
      append_header(bytes, part);
      for (int i = 0; i < 4; i++) append(bytes, 9);
      bytes.push_back(1);
      for (const u64 field : {u64{2}, u64{ring.n()}, u64{ring.data_primes() + 1}, u64{0}, u64{1}}) append(bytes, field);
      append_header(bytes, 24 + 8 * words);
      append(bytes, words);
      for (std::size_t i = 0; i < words; i++) append(bytes, (p * words + i) % 1000);
    }
  }
  return bytes;
}

/// Cuts everywhere near the frames, and sets each of their bytes to others.
void damage(const Buffer& whole, std::size_t frames, const std::function<void(Bytes)>& parse, const char* what) {
  CHECK(refusal(whole, parse).empty(), "%s: %s", what, refusal(whole, parse).c_str());
  for (std::size_t size = 0; size < whole.size(); size += size < frames ? 1 : whole.size() / 37 + 1) {
    CHECK(!refusal(Buffer(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)), parse).empty(),
          "%s of %zu bytes", what, size);
  }
  Buffer longer(whole);
  longer.push_back(0);
  CHECK(!refusal(longer, parse).empty(), "%s with a byte too many", what);
  for (std::size_t at = 0; at < frames; at++) {
    for (const std::uint8_t bits : {0x01, 0x80, 0xff}) {
      Buffer damaged(whole);
      damaged[at] ^= bits;
      refusal(damaged, parse);  // some bytes mean nothing (the minor version, scales): no crash is all that is asked
    }
  }
}

void ciphertexts(const Ring& ring) {
  for (const std::size_t polys : {2, 3}) {
    for (std::size_t level = 0; level < ring.data_primes(); level++) {
      WordBuffer words(polys * (level + 1) * ring.n());
      for (std::size_t i = 0; i < words.size(); i++) words[i] = i % 4099;
      Buffer bytes(ciphertext_bytes(ring, polys, level));
      write_ciphertext(ring, words.data(), polys, level, 1024.5, bytes.data());
      const auto parse = [&](Bytes input) {
        const CiphertextHeader header = parse_ciphertext(ring, input);
        WordBuffer found(header.polys * (header.level + 1) * ring.n());
        read_words(ring, header, found.data());
        if (input.size() == bytes.size() && std::memcmp(input.data(), bytes.data(), bytes.size()) == 0) {
          CHECK(header.polys == polys && header.level == level && header.scale == 1024.5, "fields");
          CHECK(std::memcmp(found.data(), words.data(), words.size() * 8) == 0, "words");
        }
      };
      damage(bytes, 113, parse, "a ciphertext");
      Buffer large(bytes);
      std::memcpy(large.data() + large.size() - 8, &ring.moduli()[level], 8);
      CHECK(refusal(large, parse).find("not below its prime") != std::string::npos, "a coefficient that is q");
      for (const double scale :
           {0.0, -1.0, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
        Buffer scaled(bytes);
        std::memcpy(scaled.data() + 73, &scale, 8);
        CHECK(refusal(scaled, parse).find("scale") != std::string::npos, "scale %f", scale);
      }
    }
  }
}

void keys(const Ring& ring) {
  const auto parse = [&](Bytes input) { parse_key(ring, input); };
  damage(key_bytes(ring, 0, 1), 64 + 16 + 97, parse, "a relinearisation key");
  const Buffer galois = key_bytes(ring, 5, 6);
  damage(galois, 56 + 48 + 16 + 97, parse, "a Galois key");
  CHECK(parse_key(ring, Bytes(galois)).slot == 5, "slot");
  CHECK(refusal(key_bytes(ring, 7, 3), parse) != "", "no key");
}

/// Sets a field of a file's header and repairs its checksum (FNV-1a without the checksum itself), so that the checks
/// behind the checksum are reached.
template <typename T>
Buffer forged(const Buffer& header, std::size_t checksum_at, std::size_t at, T value) {
  Buffer bytes(header);
  std::memcpy(bytes.data() + at, &value, sizeof value);
  u64 hash = 0xcbf29ce484222325;
  for (std::size_t i = 0; i < bytes.size(); i++)
    if (i < checksum_at || i >= checksum_at + 8) hash = (hash ^ bytes[i]) * 0x100000001b3;
  std::memcpy(bytes.data() + checksum_at, &hash, sizeof hash);
  return bytes;
}

void files(const Ring& ring, const Ring& other) {
  const Buffer bytes = key_bytes(ring, 1, 2);
  std::vector<u64> file(key_file_bytes(ring) / 8);
  std::uint8_t* raw = reinterpret_cast<std::uint8_t*>(file.data());
  pack_key(ring, parse_key(ring, Bytes(bytes)), raw);
  const Buffer header(raw, raw + KEY_FILE_HEADER);
  const u64 size = key_file_bytes(ring);
  CHECK(check_key_header(ring, Bytes(header), size) == 1, "slot");
  for (std::size_t at = 0; at < 400; at++) {
    Buffer damaged(header);
    damaged[at] ^= 0x10;
    CHECK(!refusal(damaged, [&](Bytes input) { check_key_header(ring, input, size); }).empty(), "byte %zu", at);
  }
  CHECK(!refusal(header, [&](Bytes input) { check_key_header(ring, input, size - 8); }).empty(), "cut off");
  CHECK(!refusal(header, [&](Bytes input) { check_key_header(other, input, size); }).empty(), "another ring");

  const auto refused = [&](std::size_t at, auto value, const char* reason) {
    const std::string found =
        refusal(forged(header, 40, at, value), [&](Bytes input) { check_key_header(ring, input, size); });
    CHECK(found.find(reason) != std::string::npos, "byte %zu: %s", at, found.c_str());
  };
  CHECK(check_key_header(ring, Bytes(forged(header, 40, 24, u64{ring.n() - 1})), size) == ring.n() - 1, "last slot");
  refused(24, u64{ring.n()}, "header is damaged");
  refused(8, std::uint32_t{2}, "layout");
  refused(12, std::uint32_t{KEY_TILE * 2}, "layout");
  refused(16, std::uint32_t{2048}, "other parameters");
  refused(20, std::uint32_t{2}, "other parameters");
  refused(20, std::uint32_t{1000}, "other parameters");
  refused(32, u64{size + 8}, "bytes");
  for (std::size_t i = 0; i < ring.moduli().size(); i++) refused(48 + 8 * i, ring.moduli()[i] + 2, "other parameters");
  refused(7, std::uint8_t{3}, "version");
  refused(0, std::uint8_t{'b'}, "no key file");

  char path[] = "/tmp/blindfit-key-XXXXXX";
  const int descriptor = ::mkstemp(path);
  CHECK(descriptor >= 0, "a temporary file");
  const auto write = [&](std::size_t count) {
    std::ofstream(path, std::ios::binary | std::ios::trunc)
        .write(reinterpret_cast<const char*>(raw), static_cast<std::streamsize>(count));
  };
  write(size);
  {
    const auto first = KeyMapping::open(ring, path), second = KeyMapping::open(ring, path);
    CHECK(first->values(0) == second->values(0), "one mapping of a file");
    CHECK(first->slot() == 1 && first->bytes() == size &&
              std::memcmp(first->values(0), raw + KEY_FILE_HEADER, size - KEY_FILE_HEADER) == 0,
          "values");
    CHECK(!refusal({}, [&](Bytes) { KeyMapping::open(other, path); }).empty(), "a mapping of another ring");
  }
  for (const std::size_t count :
       {std::size_t{0}, std::size_t{100}, std::size_t{4096}, static_cast<std::size_t>(size - 1)}) {
    write(count);
    CHECK(!refusal({}, [&](Bytes) { KeyMapping::open(ring, path); }).empty(), "%zu bytes", count);
  }
  ::close(descriptor);
  ::unlink(path);
}

void ciphertext_files(const Ring& ring, const Ring& other) {
  const std::size_t level = 1, size = CIPHERTEXT_FILE_HEADER + 2 * (level + 1) * ring.n() * sizeof(u64);
  std::vector<u64> file(size / 8);
  std::uint8_t* raw = reinterpret_cast<std::uint8_t*>(file.data());
  write_ciphertext_header(ring, 2, level, 3.5, file.data() + CIPHERTEXT_FILE_HEADER / 8, raw);
  const Buffer header(raw, raw + CIPHERTEXT_FILE_HEADER);
  const CiphertextShape shape = check_ciphertext_header(ring, Bytes(header), size);
  CHECK(shape.polys == 2 && shape.level == level && shape.scale == 3.5, "shape");
  for (std::size_t at = 0; at < CIPHERTEXT_FILE_HEADER; at += at < 400 ? 1 : 101) {
    Buffer damaged(header);
    damaged[at] ^= 0x10;
    CHECK(!refusal(damaged, [&](Bytes input) { check_ciphertext_header(ring, input, size); }).empty(), "byte %zu", at);
  }
  CHECK(!refusal(header, [&](Bytes input) { check_ciphertext_header(ring, input, size - 8); }).empty(), "cut off");
  CHECK(!refusal(header, [&](Bytes input) { check_ciphertext_header(other, input, size); }).empty(), "another ring");

  const auto refused = [&](std::size_t at, auto value, const char* reason) {
    const std::string found =
        refusal(forged(header, 40, at, value), [&](Bytes input) { check_ciphertext_header(ring, input, size); });
    CHECK(found.find(reason) != std::string::npos, "byte %zu: %s", at, found.c_str());
  };
  for (const std::uint32_t polys : {0, 1, 4}) refused(8, polys, "header is damaged");
  refused(8, std::uint32_t{3}, "bytes");
  refused(12, std::uint32_t{2048}, "other parameters");
  refused(16, std::uint32_t{0}, "header is damaged");
  refused(16, std::uint32_t{1}, "bytes");
  refused(16, std::uint32_t{3}, "other parameters");
  refused(16, std::uint32_t{1000}, "other parameters");
  for (const double scale :
       {0.0, -1.0, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()})
    refused(24, scale, "header is damaged");
  refused(32, u64{size + 8}, "bytes");
  refused(48, ring.moduli()[0] + 2, "other parameters");
  refused(56, ring.moduli()[1] + 2, "other parameters");
  refused(7, std::uint8_t{3}, "version");
  refused(0, std::uint8_t{'b'}, "no ciphertext");

  char path[] = "/tmp/blindfit-ciphertext-XXXXXX";
  const int descriptor = ::mkstemp(path);
  CHECK(descriptor >= 0, "a temporary file");
  const auto write = [&](std::size_t count) {
    std::ofstream(path, std::ios::binary | std::ios::trunc)
        .write(reinterpret_cast<const char*>(raw), static_cast<std::streamsize>(count));
  };
  write(size);
  {
    const MappedCiphertext first = open_ciphertext(ring, path), second = open_ciphertext(ring, path);
    CHECK(first.words() == second.words(), "one mapping of a file");
    CHECK(std::memcmp(first.words(), raw + CIPHERTEXT_FILE_HEADER, size - CIPHERTEXT_FILE_HEADER) == 0, "words");
  }
  for (const std::size_t count : {std::size_t{0}, std::size_t{100}, std::size_t{4096}, size - 1}) {
    write(count);
    CHECK(!refusal({}, [&](Bytes) { open_ciphertext(ring, path); }).empty(), "%zu bytes", count);
  }
  ::close(descriptor);
  ::unlink(path);
}

}  // namespace

int main() {
  const auto ring = test_ring(10, {50, 45, 50}, portable_kernel), other = test_ring(10, {50, 44, 50}, portable_kernel);
  ciphertexts(*ring);
  keys(*ring);
  files(*ring, *other);
  ciphertext_files(*ring, *other);
  std::puts("parsers refuse what they must");
}
