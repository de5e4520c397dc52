// Division by the level's prime with rounding, as SEAL 4.1 does it.
#pragma once
#include "ring.hpp"

namespace blindfit {

/// Divides `polys` polynomials at `level` by the prime of that level; the results are at level - 1. `out` may be `a`.
void rescale(const Ring& ring, u64* out, const u64* a, std::size_t polys, std::size_t level);

}  // namespace blindfit
