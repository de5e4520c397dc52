#include "modulus.hpp"
#include <initializer_list>

namespace blindfit {

bool is_prime(u64 value) {
  if (value < 2 || value % 2 == 0) return value == 2;
  if (value < 4) return true;
  const Modulus modulus(value);
  u64 odd = value - 1;
  unsigned twos = 0;
  while (odd % 2 == 0) odd /= 2, twos++;
  for (const u64 base : {2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37}) {
    if (base % value == 0) continue;
    u64 x = modulus.power(base, odd);
    if (x == 1 || x == value - 1) continue;
    bool composite = true;
    for (unsigned i = 1; i < twos && composite; i++) {
      x = modulus.multiply(x, x);
      composite = x != value - 1;
    }
    if (composite) return false;
  }
  return true;
}

}  // namespace blindfit
