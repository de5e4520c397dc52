#include "ring.hpp"
#include <algorithm>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include "cpu.hpp"

namespace blindfit {

namespace {

/// All that rings differ in.
using RingKey = std::vector<u64>;

/// Rings in use by parameters. A ring goes with its last user.
struct Registry {
  std::mutex mutex;
  std::map<RingKey, std::weak_ptr<const Ring>> rings;
};

Registry& registry() {
  static Registry* shared = new Registry;  // never destroyed: threads may end after static destructors ran
  return *shared;
}

unsigned checked_log_n(std::size_t n) {
  for (unsigned log_n = MIN_LOG_N; log_n <= MAX_LOG_N; log_n++) {
    if (n == std::size_t{1} << log_n) return log_n;
  }
  throw std::range_error("ring " + std::to_string(n) + " is not supported: powers of two from 1024 to 32768 are");
}

void check_primes(std::size_t n, const std::vector<u64>& primes) {
  if (primes.size() < 2 || primes.size() - 1 > MAX_DATA_PRIMES) {
    throw std::range_error(std::to_string(primes.size()) + " primes: 1 to " + std::to_string(MAX_DATA_PRIMES) +
                           " data primes and the special one are needed");
  }
  for (std::size_t i = 0; i < primes.size(); i++) {
    const u64 q = primes[i];
    if (q >> MAX_PRIME_BITS != 0 || q % (2 * n) != 1 || !is_prime(q)) {
      throw std::range_error(std::to_string(q) + " is not a prime of at most 60 bits that is 1 modulo 2N");
    }
    if (std::find(primes.begin(), primes.begin() + static_cast<std::ptrdiff_t>(i), q) !=
        primes.begin() + static_cast<std::ptrdiff_t>(i)) {
      throw std::range_error("the prime " + std::to_string(q) + " is there twice");
    }
  }
}

}  // namespace

std::shared_ptr<const Ring> Ring::open(std::size_t n, const std::vector<u64>& primes,
                                       const std::vector<ParmsId>& parms_ids, const ParmsId& key_parms_id,
                                       const Kernel& kernel) {
  const unsigned log_n = checked_log_n(n);
  check_primes(n, primes);
  if (parms_ids.size() != primes.size() - 1) {
    throw std::range_error(std::to_string(parms_ids.size()) + " parms_ids for " + std::to_string(primes.size() - 1) +
                           " levels");
  }
  RingKey key{n, static_cast<u64>(reinterpret_cast<std::uintptr_t>(&kernel))};
  key.insert(key.end(), primes.begin(), primes.end());
  for (const ParmsId& id : parms_ids) key.insert(key.end(), id.begin(), id.end());
  key.insert(key.end(), key_parms_id.begin(), key_parms_id.end());

  Registry& shared = registry();
  const std::lock_guard lock(shared.mutex);
  std::erase_if(shared.rings, [](const auto& entry) { return entry.second.expired(); });
  if (auto known = shared.rings[key].lock()) return known;
  auto made = std::make_shared<const Ring>(log_n, primes, parms_ids, key_parms_id, kernel);
  shared.rings[key] = made;
  return made;
}

Ring::Ring(unsigned log_n, const std::vector<u64>& primes, const std::vector<ParmsId>& parms_ids,
           const ParmsId& key_parms_id, const Kernel& kernel)
    : log_n_(log_n),
      n_(std::size_t{1} << log_n),
      moduli_(primes),
      parms_ids_(parms_ids),
      key_parms_id_(key_parms_id),
      inverses_(primes.size() * primes.size()) {
  for (const u64 q : primes)
    primes_.push_back(std::make_unique<const Prime>(q, log_n, kernel_for(Modulus(q).bits, kernel)));
  for (std::size_t last = 1; last < primes.size(); last++) {
    for (std::size_t i = 0; i < last; i++) {
      const Modulus& modulus = primes_[i]->modulus;
      inverses_[last * primes.size() + i] = primes_[i]->factor(modulus.inverse(modulus.reduce(primes[last])));
    }
  }
}

}  // namespace blindfit
