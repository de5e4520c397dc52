#include "napi-values.hpp"
#include <cmath>
#include <cstdlib>
#include <memory>
#include <new>
#include <stdexcept>
#include <system_error>
#include "format-error.hpp"
#include "memory.hpp"

namespace blindfit {

void throw_type(const std::string& text) { throw JsError{JsErrorKind::type, text}; }
void throw_range(const std::string& text) { throw JsError{JsErrorKind::range, text}; }

void check(napi_env env, napi_status status) {
  if (status == napi_ok) return;
  const napi_extended_error_info* info = nullptr;
  std::string text = "Node-API refused";
  if (napi_get_last_error_info(env, &info) == napi_ok && info != nullptr && info->error_message != nullptr)
    text = info->error_message;
  throw JsError{status == napi_pending_exception ? JsErrorKind::pending : JsErrorKind::other, text};
}

std::int64_t integer_of(napi_env env, napi_value value, const char* name, std::int64_t least, std::int64_t most) {
  const double number = number_of(env, value, name);
  if (!(number >= static_cast<double>(least) && number <= static_cast<double>(most)) || number != std::floor(number)) {
    throw_range(std::string(name) + " must be a whole number from " + std::to_string(least) + " to " +
                std::to_string(most));
  }
  return static_cast<std::int64_t>(number);
}

double number_of(napi_env env, napi_value value, const char* name) {
  double number = 0;
  if (napi_get_value_double(env, value, &number) != napi_ok) throw_type(std::string(name) + " must be a number");
  return number;
}

std::string text_of(napi_env env, napi_value value, const char* name) {
  std::size_t length = 0;
  if (napi_get_value_string_utf8(env, value, nullptr, 0, &length) != napi_ok)
    throw_type(std::string(name) + " must be a string");
  std::string text(length + 1, '\0');
  check(env, napi_get_value_string_utf8(env, value, text.data(), text.size(), &length));
  text.resize(length);
  if (text.find('\0') != std::string::npos) throw_range(std::string(name) + " has a zero byte");
  return text;
}

namespace {

/// Asked before napi_get_typedarray_info, which takes nothing else.
bool is_typed_array(napi_env env, napi_value value) {
  bool result = false;
  return napi_is_typedarray(env, value, &result) == napi_ok && result;
}

/// Of the buffers over mapped memory: writing there would end the process.
constexpr napi_type_tag MAPPED_TAG = {0x3d9c1b7a5e8f4260, 0xb1a7c45f20e96d83};

/// The buffer below a typed array.
napi_value buffer_of(napi_env env, napi_value value) {
  napi_value buffer = nullptr;
  check(env, napi_get_typedarray_info(env, value, nullptr, nullptr, nullptr, &buffer, nullptr));
  return buffer;
}

bool is_mapped(napi_env env, napi_value buffer) {
  bool tagged = false;
  check(env, napi_check_object_type_tag(env, buffer, &MAPPED_TAG, &tagged));
  return tagged;
}

}  // namespace

Words words_of(napi_env env, napi_value value, const char* name) {
  napi_typedarray_type type = napi_int8_array;
  std::size_t length = 0;
  void* data = nullptr;
  if (is_typed_array(env, value))
    check(env, napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr));
  if (type != napi_biguint64_array) throw_type(std::string(name) + " must be a BigUint64Array");
  if (length > 0 && data == nullptr) throw_type(std::string(name) + " is detached");
  return {static_cast<u64*>(data), length};
}

u64* words_of(napi_env env, napi_value value, const char* name, std::size_t length) {
  const Words words = words_of(env, value, name);
  if (words.length != length)
    throw_range(std::string(name) + " has " + std::to_string(words.length) + " words, " + std::to_string(length) +
                " are needed");
  return words.data;
}

u64* writable_words_of(napi_env env, napi_value value, const char* name, std::size_t length) {
  u64* words = words_of(env, value, name, length);
  if (is_mapped(env, buffer_of(env, value)))
    throw_type(std::string(name) + " is a file's content, which cannot be written to");
  return words;
}

ByteArray bytes_of(napi_env env, napi_value value, const char* name) {
  napi_typedarray_type type = napi_int8_array;
  std::size_t length = 0;
  void* data = nullptr;
  if (is_typed_array(env, value))
    check(env, napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr));
  if (type != napi_uint8_array) throw_type(std::string(name) + " must be a Uint8Array");
  return {static_cast<const std::uint8_t*>(data), data == nullptr ? 0 : length};
}

const double* doubles_of(napi_env env, napi_value value, const char* name, std::size_t length) {
  napi_typedarray_type type = napi_int8_array;
  std::size_t found = 0;
  void* data = nullptr;
  if (is_typed_array(env, value))
    check(env, napi_get_typedarray_info(env, value, &type, &found, &data, nullptr, nullptr));
  if (type != napi_float64_array) throw_type(std::string(name) + " must be a Float64Array");
  if (found != length)
    throw_range(std::string(name) + " has " + std::to_string(found) + " numbers, " + std::to_string(length) +
                " are needed");
  return static_cast<const double*>(data);
}

std::vector<napi_value> list_of(napi_env env, napi_value value, const char* name, std::size_t least, std::size_t most) {
  bool is_array = false;
  if (napi_is_array(env, value, &is_array) != napi_ok || !is_array) throw_type(std::string(name) + " must be an array");
  std::uint32_t length = 0;
  check(env, napi_get_array_length(env, value, &length));
  if (length < least || length > most)
    throw_range(std::string(name) + " has " + std::to_string(length) + " elements, " + std::to_string(least) + " to " +
                std::to_string(most) + " are allowed");
  std::vector<napi_value> list(length);
  for (std::uint32_t i = 0; i < length; i++) check(env, napi_get_element(env, value, i, &list[i]));
  return list;
}

void check_apart(const char* name, const u64* out, std::size_t out_length, const char* other_name, const u64* other,
                 std::size_t other_length, bool may_be_same) {
  if (may_be_same && out == other) return;
  if (out < other + other_length && other < out + out_length) {
    throw_range(std::string(name) + (may_be_same ? " overlaps " : " must not be ") + other_name);
  }
}

napi_value make_number(napi_env env, double value) {
  napi_value result = nullptr;
  check(env, napi_create_double(env, value, &result));
  return result;
}

napi_value make_boolean(napi_env env, bool value) {
  napi_value result = nullptr;
  check(env, napi_get_boolean(env, value, &result));
  return result;
}

napi_value make_text(napi_env env, const std::string& text) {
  napi_value result = nullptr;
  check(env, napi_create_string_utf8(env, text.data(), text.size(), &result));
  return result;
}

namespace {

napi_value make_buffer(napi_env env, std::size_t bytes, void*& data) {
  std::unique_ptr<void, decltype(&std::free)> block(allocate_aligned(bytes), std::free);
  napi_value buffer = nullptr;
  // The finaliser may run on any thread and after the environment: it only frees.
  check(env, napi_create_external_arraybuffer(
                 env, block.get(), bytes, [](napi_env, void* memory, void*) { std::free(memory); }, nullptr, &buffer));
  data = block.release();
  return buffer;
}

napi_value make_array(napi_env env, napi_typedarray_type type, std::size_t length, std::size_t element, void*& data) {
  napi_value array = nullptr;
  check(env, napi_create_typedarray(env, type, length, make_buffer(env, length * element, data), 0, &array));
  return array;
}

}  // namespace

napi_value make_words(napi_env env, std::size_t length, u64*& data) {
  void* memory = nullptr;
  napi_value array = make_array(env, napi_biguint64_array, length, sizeof(u64), memory);
  data = static_cast<u64*>(memory);
  return array;
}

napi_value make_bytes(napi_env env, std::size_t length, std::uint8_t*& data) {
  void* memory = nullptr;
  napi_value array = make_array(env, napi_uint8_array, length, 1, memory);
  data = static_cast<std::uint8_t*>(memory);
  return array;
}

napi_value make_mapped_words(napi_env env, std::shared_ptr<const void> owner, const u64* data, std::size_t length) {
  auto held = std::make_unique<std::shared_ptr<const void>>(std::move(owner));
  napi_value buffer = nullptr, array = nullptr;
  check(env, napi_create_external_arraybuffer(
                 env, const_cast<u64*>(data), length * sizeof(u64),
                 [](napi_env, void*, void* hint) { delete static_cast<std::shared_ptr<const void>*>(hint); },
                 held.get(), &buffer));
  held.release();
  check(env, napi_type_tag_object(env, buffer, &MAPPED_TAG));
  check(env, napi_create_typedarray(env, napi_biguint64_array, length, buffer, 0, &array));
  return array;
}

void release_mapped_words(napi_env env, napi_value value, const char* name) {
  words_of(env, value, name);
  const napi_value buffer = buffer_of(env, value);
  if (!is_mapped(env, buffer)) throw_type(std::string(name) + " is no file's content");
  check(env, napi_detach_arraybuffer(env, buffer));
}

napi_value at_border(napi_env env, napi_value (*body)(napi_env, napi_callback_info), napi_callback_info info) noexcept {
  JsErrorKind kind = JsErrorKind::other;
  std::string text;
  const char* code = nullptr;
  try {
    try {
      return body(env, info);
    } catch (const JsError& error) {
      kind = error.kind;
      text = error.text;
    } catch (const std::range_error& error) {
      kind = JsErrorKind::range;
      text = error.what();
    } catch (const FormatError& error) {
      text = error.what();
      if (error.damage) code = "DAMAGED_FILE";
    } catch (const std::bad_alloc&) {
      text = "out of memory";
    } catch (const std::exception& error) {
      text = error.what();
    }
  } catch (...) {
    // Not even the memory for the text of an error.
  }
  if (kind == JsErrorKind::type)
    napi_throw_type_error(env, nullptr, text.c_str());
  else if (kind == JsErrorKind::range)
    napi_throw_range_error(env, nullptr, text.c_str());
  else if (kind == JsErrorKind::other)
    napi_throw_error(env, code, text.c_str());
  return nullptr;
}

}  // namespace blindfit
