// The addon: JavaScript's objects and the checks of what comes from there. The contract is src/native/addon.ts.
#include <node_api.h>
#include <memory>
#include <unordered_map>
#include "blake2.hpp"
#include "ciphertext-file.hpp"
#include "coefficients.hpp"
#include "cpu.hpp"
#include "elementwise.hpp"
#include "format-error.hpp"
#include "galois.hpp"
#include "key-file.hpp"
#include "key-switch.hpp"
#include "memory.hpp"
#include "napi-values.hpp"
#include "rescale.hpp"
#include "seal-bytes.hpp"

namespace blindfit {
namespace {

constexpr napi_type_tag RING_TAG = {0x7c1d4a54e36b4a0b, 0x9f5d8d1b2f6e4c31};
constexpr napi_type_tag KEY_TAG = {0x1f0a6f0e3bb94e57, 0x8a4d3c9017ce52f8};
/// Of an array made here: 2^35 bytes, more than any machine wants in one piece.
constexpr std::int64_t MAX_ALLOCATION_WORDS = std::int64_t{1} << 32;
constexpr std::size_t MAX_ROTATIONS = 1024;

/// A NativeRing of one thread.
struct RingObject {
  std::shared_ptr<const Ring> ring;
  /// By element, as they are needed; a map takes 3/8 N bytes.
  std::unordered_map<std::uint32_t, std::unique_ptr<const GaloisMap>> maps;

  const GaloisMap& map(std::uint32_t element) {
    auto& entry = maps[element];
    if (entry == nullptr) entry = std::make_unique<const GaloisMap>(ring->log_n(), element);
    return *entry;
  }
};

/// A NativeKey of one thread; empty when closed.
struct KeyObject {
  std::shared_ptr<const KeyMapping> mapping;
};

template <typename T>
T& unwrap(napi_env env, napi_value value, const napi_type_tag& tag, const char* what) {
  napi_valuetype type = napi_undefined;
  bool tagged = false;
  void* object = nullptr;
  if (value == nullptr || napi_typeof(env, value, &type) != napi_ok || type != napi_object ||
      napi_check_object_type_tag(env, value, &tag, &tagged) != napi_ok || !tagged ||
      napi_unwrap(env, value, &object) != napi_ok) {
    throw_type(std::string("not ") + what);
  }
  return *static_cast<T*>(object);
}

template <typename T>
void wrap(napi_env env, napi_value value, std::unique_ptr<T> object, const napi_type_tag& tag) {
  check(env, napi_wrap(
                 env, value, object.get(), [](napi_env, void* data, void*) { delete static_cast<T*>(data); }, nullptr,
                 nullptr));
  object.release();
  check(env, napi_type_tag_object(env, value, &tag));
}

/// The arguments of a call; what was left out is undefined.
template <std::size_t count>
struct Arguments {
  napi_value self = nullptr;
  napi_value values[count] = {};

  Arguments(napi_env env, napi_callback_info info) {
    std::size_t there = count;
    check(env, napi_get_cb_info(env, info, &there, values, &self, nullptr));
  }
  napi_value operator[](std::size_t i) const { return values[i]; }
};

/// A call of a method of NativeRing.
template <std::size_t count>
struct RingCall : Arguments<count> {
  napi_env env;
  RingObject& object;
  const Ring& ring;

  RingCall(napi_env env_, napi_callback_info info)
      : Arguments<count>(env_, info),
        env(env_),
        object(unwrap<RingObject>(env_, this->self, RING_TAG, "a NativeRing")),
        ring(*object.ring) {}

  std::size_t level(std::size_t argument, std::size_t least = 0) const {
    const std::int64_t most = static_cast<std::int64_t>(ring.data_primes()) - 1;
    return static_cast<std::size_t>(
        integer_of(env, (*this)[argument], "level", static_cast<std::int64_t>(least), most));
  }
  std::size_t polys(std::size_t argument) const {
    return static_cast<std::size_t>(integer_of(env, (*this)[argument], "polys", 1, 3));
  }
  std::size_t size(std::size_t polys, std::size_t level) const { return polys * (level + 1) * ring.n(); }
  u64* words(std::size_t argument, const char* name, std::size_t polys, std::size_t level) const {
    return words_of(env, (*this)[argument], name, size(polys, level));
  }
  u64* writable(std::size_t argument, const char* name, std::size_t polys, std::size_t level) const {
    return writable_words_of(env, (*this)[argument], name, size(polys, level));
  }
  u64* out(std::size_t polys, std::size_t level) const { return writable(0, "out", polys, level); }
  std::vector<const u64*> list(std::size_t argument, const char* name, std::size_t most, std::size_t polys,
                               std::size_t level) const {
    std::vector<const u64*> result;
    for (napi_value value : list_of(env, (*this)[argument], name, 1, most))
      result.push_back(words_of(env, value, name, size(polys, level)));
    return result;
  }
  std::uint32_t element(napi_value value) const {
    const std::int64_t element = integer_of(env, value, "element", 3, static_cast<std::int64_t>(2 * ring.n()) - 1);
    if (element % 2 == 0) throw_range("element must be odd");
    return static_cast<std::uint32_t>(element);
  }
  /// Kept by the caller, so that nothing the call does can unmap it.
  std::shared_ptr<const KeyMapping> key(napi_value value, std::size_t slot) const {
    auto mapping = unwrap<KeyObject>(env, value, KEY_TAG, "a NativeKey").mapping;
    if (mapping == nullptr) throw_type("the key is closed");
    if (!mapping->fits(ring)) throw_range("the key is of other parameters");
    if (mapping->slot() != slot) {
      const auto name = [](std::size_t s) {
        return s == 0 ? std::string("relinearisation") : "the Galois element " + std::to_string(2 * s + 1);
      };
      throw_range("the key is for " + name(mapping->slot()) + ", one for " + name(slot) + " is needed");
    }
    return mapping;
  }
};

std::size_t slot_of(std::uint32_t element) { return (element - 1) / 2; }

using Combine = void (*)(const Ring&, u64*, const u64*, const u64*, std::size_t, std::size_t);

/// (out, a, b, polys, level) where b is a ciphertext or a plaintext.
template <Combine combine, bool plain>
napi_value combine_method(napi_env env, napi_callback_info info) {
  const RingCall<5> call(env, info);
  const std::size_t polys = call.polys(3), level = call.level(4), size = call.size(polys, level),
                    b_size = call.size(plain ? 1 : polys, level);
  u64* out = call.out(polys, level);
  const u64* a = call.words(1, "a", polys, level);
  const u64* b = call.words(2, plain ? "plain" : "b", plain ? 1 : polys, level);
  check_apart("out", out, size, "a", a, size, true);
  // A plaintext is read again for each polynomial: `out` must not be it.
  check_apart("out", out, size, plain ? "plain" : "b", b, b_size, !plain);
  combine(call.ring, out, a, b, polys, level);
  return nullptr;
}

napi_value negate_method(napi_env env, napi_callback_info info) {
  const RingCall<4> call(env, info);
  const std::size_t polys = call.polys(2), level = call.level(3), size = call.size(polys, level);
  u64* out = call.out(polys, level);
  const u64* a = call.words(1, "a", polys, level);
  check_apart("out", out, size, "a", a, size, true);
  negate(call.ring, out, a, polys, level);
  return nullptr;
}

napi_value split_method(napi_env env, napi_callback_info info) {
  const RingCall<4> call(env, info);
  const std::size_t level = call.level(3), size = call.size(2, level), plain_size = call.size(1, level);
  u64* a = call.writable(0, "a", 2, level);
  u64* b = call.writable(1, "b", 2, level);
  const u64* plain = call.words(2, "plain", 1, level);
  check_apart("a", a, size, "b", b, size, false);
  check_apart("a", a, size, "plain", plain, plain_size, false);
  check_apart("b", b, size, "plain", plain, plain_size, false);
  split(call.ring, a, b, plain, level);
  return nullptr;
}

void checked_sum(u64* out, std::size_t size, const std::vector<const u64*>& operands, const char* name,
                 std::size_t operand_size) {
  for (const u64* operand : operands) check_apart("out", out, size, name, operand, operand_size, false);
}

napi_value multiply_method(napi_env env, napi_callback_info info) {
  const RingCall<4> call(env, info);
  const std::size_t level = call.level(3);
  u64* out = call.out(3, level);
  const std::vector<const u64*> a{call.words(1, "a", 2, level)}, b{call.words(2, "b", 2, level)};
  checked_sum(out, call.size(3, level), a, "a", call.size(2, level));
  checked_sum(out, call.size(3, level), b, "b", call.size(2, level));
  sum_of_products(call.ring, out, a, b, level);
  return nullptr;
}

napi_value square_method(napi_env env, napi_callback_info info) {
  const RingCall<3> call(env, info);
  const std::size_t level = call.level(2);
  u64* out = call.out(3, level);
  const std::vector<const u64*> a{call.words(1, "a", 2, level)};
  checked_sum(out, call.size(3, level), a, "a", call.size(2, level));
  sum_of_products(call.ring, out, a, a, level);
  return nullptr;
}

napi_value sum_of_products_method(napi_env env, napi_callback_info info) {
  const RingCall<4> call(env, info);
  const std::size_t level = call.level(3);
  u64* out = call.out(3, level);
  const auto a = call.list(1, "a", MAX_TERMS, 2, level), b = call.list(2, "b", MAX_TERMS, 2, level);
  if (a.size() != b.size())
    throw_range(std::to_string(a.size()) + " and " + std::to_string(b.size()) +
                " operands: as many of one as of the other are needed");
  checked_sum(out, call.size(3, level), a, "a", call.size(2, level));
  checked_sum(out, call.size(3, level), b, "b", call.size(2, level));
  sum_of_products(call.ring, out, a, b, level);
  return nullptr;
}

/// Results that are no operands and not each other.
template <std::size_t count>
std::vector<u64*> separate_results(const RingCall<count>& call, napi_env env, std::span<const u64* const> operands,
                                   std::size_t operand_size, std::size_t level) {
  const std::size_t size = call.size(2, level);
  std::vector<u64*> out;
  for (napi_value value : list_of(env, call[0], "out", 1, MAX_ROTATIONS))
    out.push_back(writable_words_of(env, value, "out", size));
  if (operands.size() != out.size())
    throw_range(std::to_string(operands.size()) + " operands for " + std::to_string(out.size()) + " results");
  for (std::size_t i = 0; i < out.size(); i++) {
    for (const u64* operand : operands) check_apart("out", out[i], size, "a", operand, operand_size, false);
    for (std::size_t j = 0; j < i; j++) check_apart("out", out[i], size, "another out", out[j], size, false);
  }
  return out;
}

napi_value relinearise_method(napi_env env, napi_callback_info info) {
  const RingCall<4> call(env, info);
  const std::size_t level = call.level(2);
  const auto a = call.list(1, "a", MAX_ROTATIONS, 3, level);
  const auto out = separate_results(call, env, a, call.size(3, level), level);
  const auto key = call.key(call[3], 0);
  relinearise(call.ring, *key, out, a, level);
  return nullptr;
}

napi_value rotate_method(napi_env env, napi_callback_info info) {
  const RingCall<5> call(env, info);
  const std::size_t level = call.level(2);
  const auto a = call.list(1, "a", MAX_ROTATIONS, 2, level);
  const auto out = separate_results(call, env, a, call.size(2, level), level);
  const std::uint32_t element = call.element(call[3]);
  const auto key = call.key(call[4], slot_of(element));
  rotate(call.ring, call.object.map(element), *key, out, a, level);
  return nullptr;
}

napi_value rotate_and_sum_method(napi_env env, napi_callback_info info) {
  const RingCall<5> call(env, info);
  const std::size_t level = call.level(2), size = call.size(2, level);
  u64* out = call.out(2, level);
  const u64* a = call.words(1, "a", 2, level);
  const auto elements = list_of(env, call[3], "elements", 0, MAX_ROTATIONS),
             key_values = list_of(env, call[4], "keys", 0, MAX_ROTATIONS);
  if (elements.size() != key_values.size())
    throw_range(std::to_string(key_values.size()) + " keys for " + std::to_string(elements.size()) + " elements");
  check_apart("out", out, size, "a", a, size, true);
  std::vector<std::shared_ptr<const KeyMapping>> held;
  std::vector<const KeyMapping*> keys;
  std::vector<const GaloisMap*> maps;
  for (std::size_t i = 0; i < elements.size(); i++) {
    const std::uint32_t element = call.element(elements[i]);
    held.push_back(call.key(key_values[i], slot_of(element)));
    keys.push_back(held.back().get());
    maps.push_back(&call.object.map(element));
  }
  rotate_and_sum(call.ring, maps, keys, out, a, level);
  return nullptr;
}

napi_value rescale_method(napi_env env, napi_callback_info info) {
  const RingCall<4> call(env, info);
  const std::size_t polys = call.polys(2), level = call.level(3, 1);
  u64* out = call.out(polys, level - 1);
  const u64* a = call.words(1, "a", polys, level);
  check_apart("out", out, call.size(polys, level - 1), "a", a, call.size(polys, level), true);
  rescale(call.ring, out, a, polys, level);
  return nullptr;
}

napi_value drop_to_method(napi_env env, napi_callback_info info) {
  const RingCall<5> call(env, info);
  const std::size_t polys = call.polys(2), level = call.level(3);
  const std::size_t to = static_cast<std::size_t>(integer_of(env, call[4], "to", 0, static_cast<std::int64_t>(level)));
  u64* out = call.out(polys, to);
  const u64* a = call.words(1, "a", polys, level);
  check_apart("out", out, call.size(polys, to), "a", a, call.size(polys, level), true);
  drop_to(call.ring, out, a, polys, level, to);
  return nullptr;
}

napi_value monomial_method(napi_env env, napi_callback_info info) {
  const RingCall<3> call(env, info);
  const std::size_t level = call.level(2);
  const std::int64_t order = static_cast<std::int64_t>(2 * call.ring.n()), most = (std::int64_t{1} << 53) - 1;
  const std::int64_t power = integer_of(env, call[1], "power", -most, most) % order;
  monomial(call.ring, call.out(1, level), static_cast<std::size_t>(power < 0 ? power + order : power), level);
  return nullptr;
}

napi_value from_coefficients_method(napi_env env, napi_callback_info info) {
  const RingCall<3> call(env, info);
  const std::size_t level = call.level(2);
  from_coefficients(call.ring, call.out(1, level), doubles_of(env, call[1], "coefficients", call.ring.n()), level);
  return nullptr;
}

napi_value add_times_j_method(napi_env env, napi_callback_info info) {
  const RingCall<5> call(env, info);
  const std::size_t level = call.level(3), size = call.size(1, level);
  const std::int64_t sign = integer_of(env, call[4], "sign", -1, 1);
  if (sign == 0) throw_range("sign must be 1 or -1");
  u64* out = call.out(1, level);
  const u64* a = call.words(1, "a", 1, level);
  const u64* b = call.words(2, "b", 1, level);
  check_apart("out", out, size, "a", a, size, true);
  check_apart("out", out, size, "b", b, size, true);
  add_times_j(call.ring, out, a, b, level, sign < 0);
  return nullptr;
}

template <void (*transform)(const Ring&, u64*, std::size_t)>
napi_value transform_method(napi_env env, napi_callback_info info) {
  const RingCall<2> call(env, info);
  const std::size_t level = call.level(1);
  transform(call.ring, call.writable(0, "a", 1, level), level);
  return nullptr;
}

void set(napi_env env, napi_value object, const char* name, napi_value value) {
  check(env, napi_set_named_property(env, object, name, value));
}

/// A ParsedCiphertext.
napi_value parsed_ciphertext(napi_env env, std::size_t polys, std::size_t level, double scale, napi_value data) {
  napi_value result = nullptr;
  check(env, napi_create_object(env, &result));
  set(env, result, "polys", make_number(env, static_cast<double>(polys)));
  set(env, result, "level", make_number(env, static_cast<double>(level)));
  set(env, result, "scale", make_number(env, scale));
  set(env, result, "data", data);
  return result;
}

double scale_of(napi_env env, napi_value value) {
  const double scale = number_of(env, value, "scale");
  if (!(scale > 0) || scale > 1.7976931348623157e308) throw_range("scale must be a positive number");
  return scale;
}

napi_value read_ciphertext_method(napi_env env, napi_callback_info info) {
  const RingCall<2> call(env, info);
  const ByteArray bytes = bytes_of(env, call[0], "bytes");
  const CiphertextHeader header = parse_ciphertext(call.ring, Bytes(bytes.data, bytes.length));
  const std::size_t size = call.size(header.polys, header.level);
  napi_value data = call[1];
  napi_valuetype type = napi_undefined;
  check(env, napi_typeof(env, data, &type));
  const Words given = type == napi_undefined ? Words{nullptr, 0} : words_of(env, data, "out");
  u64* words = given.length == size ? writable_words_of(env, data, "out", size) : nullptr;
  if (words == nullptr) data = make_words(env, size, words);
  read_words(call.ring, header, words);
  return parsed_ciphertext(env, header.polys, header.level, header.scale, data);
}

napi_value write_ciphertext_method(napi_env env, napi_callback_info info) {
  const RingCall<4> call(env, info);
  const std::size_t polys = static_cast<std::size_t>(integer_of(env, call[1], "polys", 2, 3)), level = call.level(2);
  const u64* data = call.words(0, "data", polys, level);
  const double scale = scale_of(env, call[3]);
  std::uint8_t* out = nullptr;
  napi_value result = make_bytes(env, ciphertext_bytes(call.ring, polys, level), out);
  write_ciphertext(call.ring, data, polys, level, scale, out);
  return result;
}

napi_value ciphertext_file_header_method(napi_env env, napi_callback_info info) {
  const RingCall<4> call(env, info);
  const std::size_t polys = static_cast<std::size_t>(integer_of(env, call[1], "polys", 2, 3)), level = call.level(2);
  const u64* data = call.words(0, "data", polys, level);
  const double scale = scale_of(env, call[3]);
  std::uint8_t* out = nullptr;
  napi_value result = make_bytes(env, CIPHERTEXT_FILE_HEADER, out);
  write_ciphertext_header(call.ring, polys, level, scale, data, out);
  return result;
}

napi_value open_ciphertext_method(napi_env env, napi_callback_info info) {
  const RingCall<1> call(env, info);
  const MappedCiphertext mapped = open_ciphertext(call.ring, text_of(env, call[0], "path"));
  const auto [polys, level, scale] = mapped.shape;
  return parsed_ciphertext(env, polys, level, scale,
                           make_mapped_words(env, mapped.file, mapped.words(), call.size(polys, level)));
}

napi_value release_function(napi_env env, napi_callback_info info) {
  const Arguments<1> call(env, info);
  release_mapped_words(env, call[0], "words");
  return nullptr;
}

napi_value intact_function(napi_env env, napi_callback_info info) {
  const Arguments<1> call(env, info);
  const Words words = words_of(env, call[0], "words");
  const auto file = MappedFile::at(reinterpret_cast<const std::uint8_t*>(words.data) - CIPHERTEXT_FILE_HEADER);
  if (words.length == 0 || file == nullptr) throw_type("words is no file's content");
  return make_boolean(env, file->intact());
}

napi_value pack_key_method(napi_env env, napi_callback_info info) {
  const RingCall<2> call(env, info);
  const ByteArray bytes = bytes_of(env, call[0], "bytes");
  const std::int64_t place = integer_of(env, call[1], "place", 0, static_cast<std::int64_t>(call.ring.n()) - 1);
  const KeyParts key = parse_key(call.ring, Bytes(bytes.data, bytes.length));
  if (key.slot != static_cast<std::size_t>(place))
    throw FormatError("it is a key for another rotation: in place " + std::to_string(key.slot) + " of SEAL's keys, " +
                      std::to_string(place) + " expected");
  std::uint8_t* out = nullptr;
  napi_value result = make_bytes(env, key_file_bytes(call.ring), out);
  pack_key(call.ring, key, out);
  return result;
}

napi_value close_key(napi_env env, napi_callback_info info) {
  const Arguments<1> call(env, info);
  unwrap<KeyObject>(env, call.self, KEY_TAG, "a NativeKey").mapping.reset();
  return nullptr;
}

napi_value intact_key(napi_env env, napi_callback_info info) {
  const Arguments<1> call(env, info);
  const auto& mapping = unwrap<KeyObject>(env, call.self, KEY_TAG, "a NativeKey").mapping;
  return make_boolean(env, mapping == nullptr || mapping->intact());
}

napi_property_descriptor method(const char* name, napi_callback function) {
  return {name, nullptr, function, nullptr, nullptr, nullptr, napi_default_method, nullptr};
}

napi_property_descriptor value_property(const char* name, napi_value value) {
  return {name, nullptr, nullptr, nullptr, nullptr, value, napi_enumerable, nullptr};
}

napi_value open_key_method(napi_env env, napi_callback_info info) {
  const RingCall<1> call(env, info);
  auto key = std::make_unique<KeyObject>(KeyObject{KeyMapping::open(call.ring, text_of(env, call[0], "path"))});
  const double bytes = static_cast<double>(key->mapping->bytes());
  napi_value result = nullptr;
  check(env, napi_create_object(env, &result));
  wrap(env, result, std::move(key), KEY_TAG);
  const napi_property_descriptor properties[] = {value_property("bytes", make_number(env, bytes)),
                                                 method("close", callback<close_key>),
                                                 method("intact", callback<intact_key>)};
  check(env, napi_define_properties(env, result, std::size(properties), properties));
  return result;
}

napi_value kernel_names(napi_env env, const std::vector<const Kernel*>& kernels) {
  napi_value list = nullptr;
  check(env, napi_create_array_with_length(env, kernels.size(), &list));
  for (std::size_t i = 0; i < kernels.size(); i++)
    check(env, napi_set_element(env, list, static_cast<std::uint32_t>(i), make_text(env, kernels[i]->name)));
  return list;
}

napi_value kernels_function(napi_env env, napi_callback_info) { return kernel_names(env, kernels_here()); }

napi_value allocate_function(napi_env env, napi_callback_info info) {
  const Arguments<1> call(env, info);
  u64* data = nullptr;
  return make_words(env, static_cast<std::size_t>(integer_of(env, call[0], "words", 0, MAX_ALLOCATION_WORDS)), data);
}

napi_value blake2b_function(napi_env env, napi_callback_info info) {
  const Arguments<1> call(env, info);
  const ByteArray bytes = bytes_of(env, call[0], "bytes");
  const auto hash = blake2b_256({bytes.data, bytes.length});
  u64* words = nullptr;
  napi_value result = make_words(env, hash.size(), words);
  std::copy(hash.begin(), hash.end(), words);
  return result;
}

const Kernel& kernel_named(napi_env env, napi_value value) {
  napi_valuetype type = napi_undefined;
  check(env, napi_typeof(env, value, &type));
  if (type == napi_undefined) return *kernels_here().front();
  const std::string name = text_of(env, value, "kernel");
  std::string there;
  for (const Kernel* kernel : kernels_here()) {
    if (name == kernel->name) return *kernel;
    there += (there.empty() ? "" : ", ") + std::string(kernel->name);
  }
  throw_range("the kernel \"" + name + "\" does not run here; these do: " + there);
}

napi_value create_ring_function(napi_env env, napi_callback_info info) {
  const Arguments<5> call(env, info);
  const std::size_t n = static_cast<std::size_t>(integer_of(env, call[0], "ring", 1, 1 << 20));
  const Words primes = words_of(env, call[1], "primes");
  const Words parms_ids = words_of(env, call[2], "parmsIds");
  const u64* key_id = words_of(env, call[3], "keyParmsId", 4);
  if (parms_ids.length % 4 != 0)
    throw_range("parmsIds has " + std::to_string(parms_ids.length) + " words, 4 for each level are needed");
  std::vector<ParmsId> ids(parms_ids.length / 4);
  for (std::size_t i = 0; i < parms_ids.length; i++) ids[i / 4][i % 4] = parms_ids.data[i];
  auto object = std::make_unique<RingObject>();
  object->ring = Ring::open(n, std::vector<u64>(primes.data, primes.data + primes.length), ids,
                            {key_id[0], key_id[1], key_id[2], key_id[3]}, kernel_named(env, call[4]));
  std::vector<const Kernel*> kernels;
  for (std::size_t i = 0; i <= object->ring->data_primes(); i++) kernels.push_back(object->ring->prime(i).kernel);

  napi_value result = nullptr;
  check(env, napi_create_object(env, &result));
  wrap(env, result, std::move(object), RING_TAG);
  const napi_property_descriptor properties[] = {
      value_property("kernels", kernel_names(env, kernels)),
      method("add", callback<combine_method<add, false>>),
      method("subtract", callback<combine_method<subtract, false>>),
      method("negate", callback<negate_method>),
      method("addPlain", callback<combine_method<add_plain, true>>),
      method("multiplyPlain", callback<combine_method<multiply_plain, true>>),
      method("split", callback<split_method>),
      method("multiply", callback<multiply_method>),
      method("square", callback<square_method>),
      method("sumOfProducts", callback<sum_of_products_method>),
      method("relinearise", callback<relinearise_method>),
      method("rotate", callback<rotate_method>),
      method("rotateAndSum", callback<rotate_and_sum_method>),
      method("rescale", callback<rescale_method>),
      method("dropTo", callback<drop_to_method>),
      method("fromCoefficients", callback<from_coefficients_method>),
      method("monomial", callback<monomial_method>),
      method("addTimesJ", callback<add_times_j_method>),
      method("ntt", callback<transform_method<forward_ntt>>),
      method("inverseNtt", callback<transform_method<inverse_ntt>>),
      method("readCiphertext", callback<read_ciphertext_method>),
      method("writeCiphertext", callback<write_ciphertext_method>),
      method("ciphertextFileHeader", callback<ciphertext_file_header_method>),
      method("openCiphertext", callback<open_ciphertext_method>),
      method("packKey", callback<pack_key_method>),
      method("openKey", callback<open_key_method>),
  };
  check(env, napi_define_properties(env, result, std::size(properties), properties));
  return result;
}

napi_value initialise(napi_env env, napi_callback_info) {
  tune_allocator();
  napi_value exports = nullptr;
  check(env, napi_create_object(env, &exports));
  const napi_property_descriptor properties[] = {
      method("kernels", callback<kernels_function>),        method("blake2b256", callback<blake2b_function>),
      method("allocate", callback<allocate_function>),      method("release", callback<release_function>),
      method("createRing", callback<create_ring_function>), method("intact", callback<intact_function>),
  };
  check(env, napi_define_properties(env, exports, std::size(properties), properties));
  return exports;
}

}  // namespace
}  // namespace blindfit

// Nothing here belongs to one environment: main thread and workers may each load it.
NAPI_MODULE_INIT() {
  static_cast<void>(exports);
  return blindfit::at_border(env, blindfit::initialise, nullptr);
}
