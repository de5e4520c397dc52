// One prime q = 1 mod 2N with the tables of its negacyclic NTT, in the form its kernel wants. Immutable once made.
#pragma once
#include "kernel.hpp"
#include "memory.hpp"

namespace blindfit {

/// A prime with the tables of its transforms.
struct Prime {
  Modulus modulus;
  unsigned log_n;
  std::size_t n;
  const Kernel* kernel;
  /// The smallest primitive 2N-th root of unity, as SEAL chooses it.
  u64 psi;
  /// Factors psi^bitrev(i) and their inverses, i from 0; all N for kernels without lanes, the first N / 8 for those
  /// with.
  WordBuffer forward;
  WordBuffer inverse;
  /// The last three stages of a forward transform by lane: per block of 64 values 7 vectors of factors' values (1 for
  /// the stage of distance 4, 2 for 2, 4 for 1) and 7 of their quotients; the inverses likewise.
  WordBuffer forward_lanes;
  WordBuffer inverse_lanes;
  /// 1 / N, and it times the factor of the inverse transform's last stage.
  Factor inverse_n;
  Factor inverse_n_root;

  /// Makes the tables.
  Prime(u64 q, unsigned log_n, const Kernel& kernel);

  /// psi^exponent, for any exponent.
  u64 power_of_psi(u64 exponent) const { return modulus.power(psi, exponent % (2 * n)); }
  Factor factor(u64 value) const { return kernel->factor(modulus, value); }
};

/// The lowest `bits` bits of a value in reverse order.
inline std::size_t reverse_bits(std::size_t value, unsigned bits) {
  std::size_t result = 0;
  for (unsigned i = 0; i < bits; i++) result |= ((value >> i) & 1) << (bits - 1 - i);
  return result;
}

}  // namespace blindfit
