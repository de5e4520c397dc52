#pragma once
#include <stdexcept>
#include <string>

namespace blindfit {

/// Bytes or a file that are not what they should be. The text says what is wrong.
struct FormatError : std::runtime_error {
  /// Whether a file is not as it was written, rather than of another kind, release or ring.
  bool damage;
  explicit FormatError(const std::string& text, bool damaged = false) : std::runtime_error(text), damage(damaged) {}
};

}  // namespace blindfit
