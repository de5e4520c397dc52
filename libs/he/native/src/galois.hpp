// The automorphism X -> X^element as a permutation of NTT values.
//
// Value i is the polynomial at psi^(2 bitrev(i) + 1), so the automorphism takes value j with 2 bitrev(j) + 1 = element
// x (2 bitrev(i) + 1) to place i. Eight values that lie together share all but the top three bits of bitrev(i), so they
// come from eight that lie together: a permutation of blocks, and one of eight patterns within each.
#pragma once
#include <cstdint>
#include <vector>
#include "kernel.hpp"

namespace blindfit {

/// The permutation of one Galois element.
class GaloisMap {
 public:
  /// @param element odd and below 2 N
  GaloisMap(unsigned log_n, std::uint32_t element);
  /// Permutes the N values of one prime. `out` must not be `in`.
  void apply(const Kernel& kernel, u64* out, const u64* in) const {
    kernel.permute(out, in, blocks_.data(), patterns_.data(), pattern_, blocks_.size() * LANES);
  }

 private:
  std::vector<std::uint16_t> blocks_;
  std::vector<std::uint8_t> patterns_;
  std::uint8_t pattern_[LANES][LANES];
};

}  // namespace blindfit
