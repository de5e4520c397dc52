#include "seal-random.hpp"
#include "blake2.hpp"

namespace blindfit {

void expand_seed(std::span<const std::uint8_t, SEED_BYTES> seed, std::span<const u64> moduli, std::size_t n, u64* out) {
  Blake2xbStream random(seed);
  random.read(out, moduli.size() * n);
  for (const u64 q : moduli) {
    const Modulus modulus(q);
    // The largest multiple of q that fits, so that every residue is as likely as any other.
    const u64 max_multiple = ~u64{0} - modulus.reduce(~u64{0}) - 1;
    for (std::size_t i = 0; i < n; i++) {
      u64 drawn = out[i];
      while (drawn >= max_multiple) random.read(&drawn, 1);
      out[i] = modulus.reduce(drawn);
    }
    out += n;
  }
}

}  // namespace blindfit
