// Key switching by RNS decomposition with one special prime, as SEAL 4.1 does it.
#pragma once
#include <span>
#include "galois.hpp"
#include "key-file.hpp"
#include "ring.hpp"

namespace blindfit {

/// Relinearises several ciphertexts in one pass over the key: (a0, a1, a2) becomes (out0, out1), polynomials of level +
/// 1 primes. An `out` may be its own `a`.
void relinearise(const Ring& ring, const KeyMapping& key, std::span<u64* const> out, std::span<const u64* const> a,
                 std::size_t level);

/// Rotates several ciphertexts of two polynomials in one pass over the key. No `out` may be an `a`.
void rotate(const Ring& ring, const GaloisMap& map, const KeyMapping& key, std::span<u64* const> out,
            std::span<const u64* const> a, std::size_t level);

/// Sets out to a, then out += rotation(out) for each element in turn. `out` may be `a`.
void rotate_and_sum(const Ring& ring, std::span<const GaloisMap* const> maps, std::span<const KeyMapping* const> keys,
                    u64* out, const u64* a, std::size_t level);

}  // namespace blindfit
