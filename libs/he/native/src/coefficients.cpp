#include "coefficients.hpp"
#include <cmath>
#include <stdexcept>

namespace blindfit {

void from_coefficients(const Ring& ring, u64* out, const double* coefficients, std::size_t level) {
  constexpr int mantissa_bits = 53;
  const std::size_t n = ring.n();
  for (std::size_t i = 0; i < n; i++) {
    if (!(std::abs(coefficients[i]) < 0x1p1000)) throw std::range_error("a coefficient is too large, or no number");
  }
  for (std::size_t row = 0; row <= level; row++) {
    const Prime& prime = ring.prime(row);
    const Modulus& modulus = prime.modulus;
    for (std::size_t i = 0; i < n; i++) {
      const double rounded = std::round(coefficients[i]), magnitude = std::abs(rounded);
      u64 residue;
      if (magnitude < 0x1p63) {
        residue = modulus.reduce(static_cast<u64>(magnitude));
      } else {
        int exponent = 0;
        const double fraction = std::frexp(magnitude, &exponent);
        residue = modulus.multiply(modulus.reduce(static_cast<u64>(std::ldexp(fraction, mantissa_bits))),
                                   modulus.power(2, static_cast<u64>(exponent - mantissa_bits)));
      }
      out[row * n + i] = rounded < 0 ? modulus.negate(residue) : residue;
    }
    prime.kernel->forward(prime, out + row * n);
  }
}

}  // namespace blindfit
