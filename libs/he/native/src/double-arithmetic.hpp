// Arithmetic on doubles for vector-kernel.hpp, on vectors D of eight doubles: primes of at most 50 bits on processors
// with fused multiply-add but without IFMA. Included within a kernel's unnamed namespace.
//
// A value stands for its class modulo q and may be negative. A product with a factor w, |w| <= q/2, is h + l exactly;
// with c = round(x w / q), taken from a quotient that was divided beforehand, (h - c q) + l is exact and at most (1/2 +
// |x| 2^-53) q. Values stay below 5 q, all sums exact: |x| <= q at the start of a pass grows by less than q in each of
// at most four stages, and normalise() brings it back to about q/2. Rounding to a whole number is adding and
// subtracting 1.5 x 2^52.

constexpr unsigned DOUBLE_BITS = 50;

inline u64 bits_of(double value) {
  u64 bits;
  __builtin_memcpy(&bits, &value, sizeof bits);
  return bits;
}

inline Factor double_factor(const Modulus& modulus, u64 value) {
  const double centred = value > modulus.q / 2 ? -static_cast<double>(modulus.q - value) : static_cast<double>(value);
  return {bits_of(centred), bits_of(centred / static_cast<double>(modulus.q))};
}

template <typename D>
struct Doubles {
  using V = D;

  struct Context {
    D q, inverse, magic, two32, two32_quotient;
    u64 modulus;

    explicit Context(const Prime& prime) {
      modulus = prime.modulus.q;
      q = D::all(static_cast<double>(modulus));
      inverse = D::all(1.0 / static_cast<double>(modulus));
      magic = D::all(6755399441055744.0);
      const Factor factor = double_factor(prime.modulus, prime.modulus.reduce(u64{1} << 32));
      two32 = broadcast(&factor.value);
      two32_quotient = broadcast(&factor.quotient);
    }
  };

  BLINDFIT_INLINE static V load(const Context&, const u64* p) { return D::from_words(p); }
  BLINDFIT_INLINE static V load_lazy(const u64* p) { return D::load(p); }
  BLINDFIT_INLINE static V load_factor(const u64* p) { return D::load(p); }
  BLINDFIT_INLINE static V broadcast(const u64* p) {
    double value;
    __builtin_memcpy(&value, p, sizeof value);
    return D::all(value);
  }
  BLINDFIT_INLINE static V from_scalar(const Context&, u64 value) { return D::all(static_cast<double>(value)); }
  BLINDFIT_INLINE static void store(u64* p, V v) { D::to_words(p, v); }
  BLINDFIT_INLINE static void store_lazy(u64* p, V v) { D::store(p, v); }
  BLINDFIT_INLINE static void transpose(V* v) { D::transpose(v); }
  BLINDFIT_INLINE static V plus(V a, V b) { return D::add(a, b); }
  BLINDFIT_INLINE static V round(const Context& c, V x) { return D::subtract(D::add(x, c.magic), c.magic); }
  BLINDFIT_INLINE static V normalise(const Context& c, V x) {
    return D::negative_multiply_add(round(c, D::multiply(x, c.inverse)), c.q, x);
  }
  BLINDFIT_INLINE static V normalise_inverse(const Context&, V x) { return x; }
  BLINDFIT_INLINE static V operand(const Context& c, V x) { return normalise(c, x); }

  BLINDFIT_INLINE static bool takes(const Context& c, u64 bound) { return bound <= c.modulus; }

  /// x y - round q, where `round` is about x y / q.
  BLINDFIT_INLINE static V remainder(const Context& c, V x, V y, V high, V rounded) {
    const V low = D::multiply_subtract(x, y, high);
    return D::add(D::negative_multiply_add(rounded, c.q, high), low);
  }
  BLINDFIT_INLINE static V multiply(const Context& c, V x, V w, V quotient) {
    return remainder(c, x, w, D::multiply(x, w), round(c, D::multiply(x, quotient)));
  }
  /// From (-q, q).
  BLINDFIT_INLINE static V canonical(const Context& c, V x) { return D::add_where_negative(x, c.q); }
  BLINDFIT_INLINE static V canonical_lazy(const Context& c, V x) { return canonical(c, normalise(c, x)); }
  /// Of any number below 2^60: halves of 32 bits.
  BLINDFIT_INLINE static V load_reduced(const Context& c, const u64* p) {
    V high, low;
    D::halves(p, high, low);
    return normalise(c, D::add(multiply(c, high, c.two32, c.two32_quotient), low));
  }

  BLINDFIT_INLINE static void forward(const Context& c, V& a, V& b, V w, V quotient) {
    const V t = multiply(c, b, w, quotient);
    b = D::subtract(a, t);
    a = D::add(a, t);
  }
  BLINDFIT_INLINE static V sum(const Context&, V a, V b) { return D::add(a, b); }
  BLINDFIT_INLINE static V difference(const Context&, V a, V b, unsigned) { return D::subtract(a, b); }
  BLINDFIT_INLINE static void inverse(const Context& c, V& a, V& b, V w, V quotient, unsigned) {
    const V x = a, y = b;
    a = normalise(c, D::add(x, y));
    b = multiply(c, D::subtract(x, y), w, quotient);
  }
  BLINDFIT_INLINE static V minus_lazy(const Context& c, V value, V lazy) {
    return D::subtract(value, normalise(c, lazy));
  }
  BLINDFIT_INLINE static V add_canonical(const Context& c, V a, V b) {
    return D::add_where_negative(D::subtract(D::add(a, b), c.q), c.q);
  }

  /// Products are reduced at once, to at most 3/4 q; every six of them their sum.
  struct Sum {
    V total = D::all(0);
    int pending = 0;
    Sum() = default;
    BLINDFIT_INLINE explicit Sum(const Context&) {}
    BLINDFIT_INLINE void add(const Context& c, V x, V y) {
      const V high = D::multiply(x, y);
      total = D::add(total, remainder(c, x, y, high, round(c, D::multiply(high, c.inverse))));
      if (++pending == 6) {
        total = normalise(c, total);
        pending = 0;
      }
    }
    BLINDFIT_INLINE V canonical(const Context& c) const { return canonical_lazy(c, total); }
  };
};
