// JavaScript's values as C++ ones, checked: every function throws a JsError when a value is not what it must be.
#pragma once
#include <node_api.h>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>
#include "modulus.hpp"

namespace blindfit {

enum class JsErrorKind { type, range, other, pending };

/// On its way to becoming a JavaScript exception at the border.
struct JsError {
  JsErrorKind kind;
  std::string text;
};

[[noreturn]] void throw_type(const std::string& text);
[[noreturn]] void throw_range(const std::string& text);
/// @throws JsError when a call of Node-API failed, which leaves an exception of its own or is out of memory
void check(napi_env env, napi_status status);

/// A BigUint64Array.
struct Words {
  u64* data;
  std::size_t length;
};

std::int64_t integer_of(napi_env env, napi_value value, const char* name, std::int64_t least, std::int64_t most);
double number_of(napi_env env, napi_value value, const char* name);
std::string text_of(napi_env env, napi_value value, const char* name);
Words words_of(napi_env env, napi_value value, const char* name);
/// Of exactly that many words.
u64* words_of(napi_env env, napi_value value, const char* name, std::size_t length);
/// As the others, and none of {@link make_mapped_words}.
u64* writable_words_of(napi_env env, napi_value value, const char* name, std::size_t length);
struct ByteArray {
  const std::uint8_t* data;
  std::size_t length;
};
ByteArray bytes_of(napi_env env, napi_value value, const char* name);
/// A Float64Array of exactly that many numbers.
const double* doubles_of(napi_env env, napi_value value, const char* name, std::size_t length);
std::vector<napi_value> list_of(napi_env env, napi_value value, const char* name, std::size_t least, std::size_t most);

/// Two arrays are the same or have nothing in common; the same only where allowed.
void check_apart(const char* name, const u64* out, std::size_t out_length, const char* other_name, const u64* other,
                 std::size_t other_length, bool may_be_same);

napi_value make_number(napi_env env, double value);
napi_value make_text(napi_env env, const std::string& text);
/// A BigUint64Array outside JavaScript's heap, aligned to 64 bytes, not zeroed.
napi_value make_words(napi_env env, std::size_t length, u64*& data);
/// A Uint8Array outside JavaScript's heap, aligned to 64 bytes, not zeroed.
napi_value make_bytes(napi_env env, std::size_t length, std::uint8_t*& data);

/// A BigUint64Array over memory that nobody may write to, and the owner it keeps alive.
napi_value make_mapped_words(napi_env env, std::shared_ptr<const void> owner, const u64* data, std::size_t length);
/// Empties an array of {@link make_mapped_words} and lets go of its owner.
void release_mapped_words(napi_env env, napi_value value, const char* name);

/// Runs a body at the border: what it throws becomes a JavaScript exception.
napi_value at_border(napi_env env, napi_value (*body)(napi_env, napi_callback_info), napi_callback_info info) noexcept;

template <napi_value (*body)(napi_env, napi_callback_info)>
napi_value callback(napi_env env, napi_callback_info info) noexcept {
  return at_border(env, body, info);
}

}  // namespace blindfit
