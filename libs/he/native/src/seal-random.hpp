// The uniformly random polynomial that SEAL makes from a seed: what travels instead of it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include "modulus.hpp"

namespace blindfit {

constexpr std::size_t SEED_BYTES = 64;

/// Fills `out`, moduli.size() x N words, with what SEAL 4's sample_poly_uniform draws from BLAKE2Xb keyed with the seed
/// (rlwe.cpp, randomgen.cpp).
void expand_seed(std::span<const std::uint8_t, SEED_BYTES> seed, std::span<const u64> moduli, std::size_t n, u64* out);

}  // namespace blindfit
