// Operations on all coefficients of a ciphertext, one by one. Arrays are polys x (level + 1) x N words in NTT form;
// `out` may be an operand unless a function says otherwise.
#pragma once
#include <span>
#include "ring.hpp"

namespace blindfit {

/// out = a + b.
void add(const Ring& ring, u64* out, const u64* a, const u64* b, std::size_t polys, std::size_t level);
/// out = a - b.
void subtract(const Ring& ring, u64* out, const u64* a, const u64* b, std::size_t polys, std::size_t level);
/// out = -a.
void negate(const Ring& ring, u64* out, const u64* a, std::size_t polys, std::size_t level);
/// Adds a plaintext, (level + 1) x N words, to the first polynomial.
void add_plain(const Ring& ring, u64* out, const u64* a, const u64* plain, std::size_t polys, std::size_t level);
/// Multiplies every polynomial by a plaintext.
void multiply_plain(const Ring& ring, u64* out, const u64* a, const u64* plain, std::size_t polys, std::size_t level);
/// a <- a + b and b <- (a - b) plain, for ciphertexts of 2 polynomials: each value is read once and written once.
void split(const Ring& ring, u64* a, u64* b, const u64* plain, std::size_t level);
/// The sum of at most MAX_TERMS products of ciphertexts of 2 polynomials, which has 3. `out` may not be an operand.
void sum_of_products(const Ring& ring, u64* out, std::span<const u64* const> a, std::span<const u64* const> b,
                     std::size_t level);
/// Drops the primes above level `to`. `out` may start where `a` does.
void drop_to(const Ring& ring, u64* out, const u64* a, std::size_t polys, std::size_t level, std::size_t to);
/// The NTT form of X^exponent, exponent in [0, 2N).
void monomial(const Ring& ring, u64* out, std::size_t exponent, std::size_t level);
/// out = a + X^(N/2) b, or a - X^(N/2) b.
void add_times_j(const Ring& ring, u64* out, const u64* a, const u64* b, std::size_t level, bool minus);
/// Transforms one polynomial in place, from coefficients.
void forward_ntt(const Ring& ring, u64* a, std::size_t level);
/// Transforms one polynomial in place, to coefficients.
void inverse_ntt(const Ring& ring, u64* a, std::size_t level);

}  // namespace blindfit
