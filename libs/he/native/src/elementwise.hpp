// Operations coefficient by coefficient, over all polynomials and primes of a ciphertext. Arrays are polys x (level +
// 1) x N.
#pragma once
#include <span>
#include "ring.hpp"

namespace blindfit {

void add(const Ring& ring, u64* out, const u64* a, const u64* b, std::size_t polys, std::size_t level);
void subtract(const Ring& ring, u64* out, const u64* a, const u64* b, std::size_t polys, std::size_t level);
void negate(const Ring& ring, u64* out, const u64* a, std::size_t polys, std::size_t level);
void add_plain(const Ring& ring, u64* out, const u64* a, const u64* plain, std::size_t polys, std::size_t level);
void multiply_plain(const Ring& ring, u64* out, const u64* a, const u64* plain, std::size_t polys, std::size_t level);
/// a <- a + b and b <- (a - b) plain, for ciphertexts of 2 polynomials: each value is read once and written once.
void split(const Ring& ring, u64* a, u64* b, const u64* plain, std::size_t level);
/// Sum of products of ciphertexts of 2 polynomials: 3 of them. `out` is no operand. At most MAX_TERMS.
void sum_of_products(const Ring& ring, u64* out, std::span<const u64* const> a, std::span<const u64* const> b,
                     std::size_t level);
/// Drops the primes above level `to`. `out` may start where `a` does.
void drop_to(const Ring& ring, u64* out, const u64* a, std::size_t polys, std::size_t level, std::size_t to);
/// The NTT form of X^exponent, exponent in [0, 2N).
void monomial(const Ring& ring, u64* out, std::size_t exponent, std::size_t level);
/// out = a + X^(N/2) b, or a - X^(N/2) b.
void add_times_j(const Ring& ring, u64* out, const u64* a, const u64* b, std::size_t level, bool minus);
void forward_ntt(const Ring& ring, u64* a, std::size_t level);
void inverse_ntt(const Ring& ring, u64* a, std::size_t level);

}  // namespace blindfit
