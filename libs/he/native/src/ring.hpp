// One parameter set: its primes with their tables, and the constants that link them. Immutable, shared by all threads.
#pragma once
#include <array>
#include <memory>
#include <vector>
#include "prime.hpp"

namespace blindfit {

using ParmsId = std::array<u64, 4>;

constexpr unsigned MIN_LOG_N = 10;
constexpr unsigned MAX_LOG_N = 15;
constexpr std::size_t MAX_DATA_PRIMES = 31;
constexpr unsigned MAX_PRIME_BITS = 60;

/// The primes of a parameter set and their tables.
class Ring {
 public:
  /// The ring of these parameters; one that the process has already is shared. @throws std::range_error naming what is
  /// wrong
  static std::shared_ptr<const Ring> open(std::size_t n, const std::vector<u64>& primes,
                                          const std::vector<ParmsId>& parms_ids, const ParmsId& key_parms_id,
                                          const Kernel& kernel);

  Ring(unsigned log_n, const std::vector<u64>& primes, const std::vector<ParmsId>& parms_ids,
       const ParmsId& key_parms_id, const Kernel& kernel);

  unsigned log_n() const { return log_n_; }
  std::size_t n() const { return n_; }
  std::size_t data_primes() const { return primes_.size() - 1; }
  /// Data primes by level, then the special one.
  const Prime& prime(std::size_t i) const { return *primes_[i]; }
  std::size_t special() const { return primes_.size() - 1; }
  /// Moduli of all primes, in their order.
  const std::vector<u64>& moduli() const { return moduli_; }
  const ParmsId& parms_id(std::size_t level) const { return parms_ids_[level]; }
  const ParmsId& key_parms_id() const { return key_parms_id_; }
  /// 1 / prime(last) modulo prime(i), for i < last.
  Factor inverse_of(std::size_t last, std::size_t i) const { return inverses_[last * primes_.size() + i]; }

 private:
  unsigned log_n_;
  std::size_t n_;
  std::vector<u64> moduli_;
  std::vector<std::unique_ptr<const Prime>> primes_;
  std::vector<ParmsId> parms_ids_;
  ParmsId key_parms_id_;
  std::vector<Factor> inverses_;
};

}  // namespace blindfit
