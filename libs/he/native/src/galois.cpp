#include "galois.hpp"
#include "prime.hpp"

namespace blindfit {

GaloisMap::GaloisMap(unsigned log_n, std::uint32_t element)
    : blocks_(std::size_t{1} << (log_n - 3)), patterns_(blocks_.size()) {
  const std::size_t n = std::size_t{1} << log_n;
  const auto source = [&](std::size_t i) {
    const std::size_t exponent = (u64{element} * (2 * reverse_bits(i, log_n) + 1)) & (2 * n - 1);
    return reverse_bits(exponent >> 1, log_n);
  };
  // Within eight, the top three bits t of bitrev count: t goes to t0 + element t modulo 8.
  for (std::size_t start = 0; start < LANES; start++) {
    for (std::size_t lane = 0; lane < LANES; lane++) {
      pattern_[start][lane] = static_cast<std::uint8_t>(reverse_bits((start + element * reverse_bits(lane, 3)) & 7, 3));
    }
  }
  for (std::size_t b = 0; b < blocks_.size(); b++) {
    const std::size_t first = source(LANES * b);
    blocks_[b] = static_cast<std::uint16_t>(first / LANES);
    patterns_[b] = static_cast<std::uint8_t>(reverse_bits(first % LANES, 3));
  }
}

}  // namespace blindfit
