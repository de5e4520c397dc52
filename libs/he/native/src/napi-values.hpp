// Conversion of JavaScript values to C++ and back. Every function that reads a value checks it, and throws a JsError
// that names the argument when it is not what it must be. Arrays are not copied: pointers are valid during the call.
#pragma once
#include <node_api.h>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>
#include "modulus.hpp"

namespace blindfit {

/// `pending`: Node-API has an exception already.
enum class JsErrorKind { type, range, other, pending };

/// An error that {@link at_border} turns into a JavaScript exception.
struct JsError {
  JsErrorKind kind;
  std::string text;
};

[[noreturn]] void throw_type(const std::string& text);
[[noreturn]] void throw_range(const std::string& text);
/// @throws JsError when a call of Node-API failed, which leaves an exception of its own or is out of memory
void check(napi_env env, napi_status status);

/// The content of a BigUint64Array.
struct Words {
  u64* data;
  std::size_t length;
};

/// A number that is whole and in [least, most].
std::int64_t integer_of(napi_env env, napi_value value, const char* name, std::int64_t least, std::int64_t most);
/// Any number, NaN included.
double number_of(napi_env env, napi_value value, const char* name);
/// A string without zero bytes, as UTF-8.
std::string text_of(napi_env env, napi_value value, const char* name);
/// A BigUint64Array of any length.
Words words_of(napi_env env, napi_value value, const char* name);
/// A BigUint64Array of exactly `length` words.
u64* words_of(napi_env env, napi_value value, const char* name, std::size_t length);
/// A BigUint64Array of exactly `length` words that was not made by {@link make_mapped_words}: those are read-only.
u64* writable_words_of(napi_env env, napi_value value, const char* name, std::size_t length);
/// The content of a Uint8Array.
struct ByteArray {
  const std::uint8_t* data;
  std::size_t length;
};
/// A Uint8Array of any length.
ByteArray bytes_of(napi_env env, napi_value value, const char* name);
/// A Float64Array of exactly `length` numbers.
const double* doubles_of(napi_env env, napi_value value, const char* name, std::size_t length);
/// An array of `least` to `most` elements.
std::vector<napi_value> list_of(napi_env env, napi_value value, const char* name, std::size_t least, std::size_t most);

/// Checks that two arrays are disjoint, or the same where `may_be_same`. @throws JsError naming both
void check_apart(const char* name, const u64* out, std::size_t out_length, const char* other_name, const u64* other,
                 std::size_t other_length, bool may_be_same);

napi_value make_number(napi_env env, double value);
napi_value make_boolean(napi_env env, bool value);
napi_value make_text(napi_env env, const std::string& text);
/// A new BigUint64Array outside JavaScript's heap, aligned to 64 bytes, not zeroed; `data` is set to its words.
napi_value make_words(napi_env env, std::size_t length, u64*& data);
/// A new Uint8Array outside JavaScript's heap, aligned to 64 bytes, not zeroed; `data` is set to its bytes.
napi_value make_bytes(napi_env env, std::size_t length, std::uint8_t*& data);

/// A BigUint64Array over read-only memory. It keeps `owner` alive.
napi_value make_mapped_words(napi_env env, std::shared_ptr<const void> owner, const u64* data, std::size_t length);
/// Detaches an array of {@link make_mapped_words} from its memory and releases its owner.
void release_mapped_words(napi_env env, napi_value value, const char* name);

/// Runs `body` for a call from JavaScript. Its C++ exceptions become JavaScript exceptions.
napi_value at_border(napi_env env, napi_value (*body)(napi_env, napi_callback_info), napi_callback_info info) noexcept;

/// {@link at_border} for one body, as Node-API registers it.
template <napi_value (*body)(napi_env, napi_callback_info)>
napi_value callback(napi_env env, napi_callback_info info) noexcept {
  return at_border(env, body, info);
}

}  // namespace blindfit
