// What the native tests share: a check that ends the program, numbers from a seed, and primes for a ring.
#pragma once
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>
#include "../src/ring.hpp"

#define CHECK(condition, ...)                                                    \
  do {                                                                           \
    if (!(condition)) {                                                          \
      std::fprintf(stderr, "%s:%d: %s fails: ", __FILE__, __LINE__, #condition); \
      std::fprintf(stderr, __VA_ARGS__);                                         \
      std::fputc('\n', stderr);                                                  \
      std::abort();                                                              \
    }                                                                            \
  } while (false)

namespace blindfit {

/// xorshift64.
class Random {
 public:
  explicit Random(u64 seed) : state_(seed * 0x9e3779b97f4a7c15 + 1) {}
  u64 next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
  }
  u64 below(u64 limit) { return next() % limit; }
  /// Often 0, 1, limit - 1.
  u64 value(u64 limit) {
    switch (below(8)) {
      case 0:
        return 0;
      case 1:
        return 1;
      case 2:
        return limit - 1;
      default:
        return below(limit);
    }
  }

 private:
  u64 state_;
};

/// The largest primes of that many bits that are 1 modulo 2N, `skip` of them left out.
inline u64 prime_for(unsigned log_n, unsigned bits, unsigned skip = 0) {
  const u64 step = u64{2} << log_n;
  for (u64 candidate = (u64{1} << bits) - step + 1;; candidate -= step) {
    if (is_prime(candidate) && skip-- == 0) return candidate;
  }
}

inline std::shared_ptr<const Ring> test_ring(unsigned log_n, const std::vector<unsigned>& bits, const Kernel& kernel) {
  std::vector<u64> primes;
  for (unsigned i = 0; i < bits.size(); i++) {
    unsigned before = 0;
    for (unsigned k = 0; k < i; k++) before += bits[k] == bits[i];
    primes.push_back(prime_for(log_n, bits[i], before));
  }
  std::vector<ParmsId> ids;
  for (u64 level = 0; level + 1 < primes.size(); level++) ids.push_back({level + 1, 2, 3, 4});
  return Ring::open(std::size_t{1} << log_n, primes, ids, {9, 9, 9, 9}, kernel);
}

}  // namespace blindfit
