#pragma once
#include <stdexcept>

namespace blindfit {

/// Bytes or a file that are not what they should be. The text says what is wrong.
struct FormatError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace blindfit
