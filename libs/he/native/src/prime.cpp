#include "prime.hpp"
#include <stdexcept>
#include <vector>

namespace blindfit {

namespace {

u64 smallest_primitive_root(const Modulus& modulus, std::size_t n) {
  const u64 exponent = (modulus.q - 1) / (2 * n);
  u64 root = 0;
  for (u64 candidate = 2;; candidate++) {
    root = modulus.power(candidate, exponent);
    if (modulus.power(root, n) == modulus.q - 1) break;
  }
  // The primitive roots are the odd powers of one.
  const u64 step = modulus.multiply(root, root);
  u64 smallest = root;
  for (std::size_t i = 1; i < n; i++) {
    root = modulus.multiply(root, step);
    if (root < smallest) smallest = root;
  }
  return smallest;
}

WordBuffer factors_of(const Prime& prime, const std::vector<u64>& roots, std::size_t count) {
  WordBuffer buffer(2 * count);
  for (std::size_t i = 0; i < count; i++) {
    const Factor factor = prime.factor(roots[i]);
    buffer[2 * i] = factor.value;
    buffer[2 * i + 1] = factor.quotient;
  }
  return buffer;
}

WordBuffer lanes_of(const Prime& prime, const std::vector<u64>& roots) {
  const std::size_t n = prime.n;
  WordBuffer buffer(n / BLOCK * 14 * LANES);
  for (std::size_t block = 0; block < n / BLOCK; block++) {
    for (std::size_t lane = 0; lane < LANES; lane++) {
      const std::size_t group = LANES * block + lane;
      for (std::size_t k = 0; k < 7; k++) {
        // k = 0: n/8 + group; 1, 2: n/4 + 2 group + (0, 1); 3 to 6: n/2 + 4 group + (0 to 3).
        const std::size_t width = k == 0 ? 1 : k < 3 ? 2 : 4;
        const Factor factor = prime.factor(roots[width * (n / 8 + group) + (k + 1 - width)]);
        buffer[(block * 14 + k) * LANES + lane] = factor.value;
        buffer[(block * 14 + 7 + k) * LANES + lane] = factor.quotient;
      }
    }
  }
  return buffer;
}

}  // namespace

Prime::Prime(u64 q, unsigned log_n_, const Kernel& kernel_)
    : modulus(q),
      log_n(log_n_),
      n(std::size_t{1} << log_n_),
      kernel(&kernel_),
      psi(smallest_primitive_root(modulus, n)) {
  std::vector<u64> roots(n), inverses(n);
  const u64 inverse_psi = modulus.inverse(psi);
  u64 power = 1, inverse_power = 1;
  for (std::size_t i = 0; i < n; i++) {
    const std::size_t at = reverse_bits(i, log_n);
    roots[at] = power;
    inverses[at] = inverse_power;
    power = modulus.multiply(power, psi);
    inverse_power = modulus.multiply(inverse_power, inverse_psi);
  }
  const std::size_t count = kernel->lanes ? n / 8 : n;
  forward = factors_of(*this, roots, count);
  inverse = factors_of(*this, inverses, count);
  if (kernel->lanes) {
    forward_lanes = lanes_of(*this, roots);
    inverse_lanes = lanes_of(*this, inverses);
  }
  const u64 inverse_of_n = modulus.inverse(n);
  inverse_n = factor(inverse_of_n);
  inverse_n_root = factor(modulus.multiply(inverse_of_n, inverses[1]));
}

}  // namespace blindfit
