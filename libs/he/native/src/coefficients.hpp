// From real coefficients to a polynomial: the end of CKKS encoding.
#pragma once
#include "ring.hpp"

namespace blindfit {

/// Rounds N coefficients to the nearest integers, halves away from zero, and transforms them: (level + 1) x N words.
/// @throws std::range_error when one is not finite or not below 2^1000
void from_coefficients(const Ring& ring, u64* out, const double* coefficients, std::size_t level);

}  // namespace blindfit
