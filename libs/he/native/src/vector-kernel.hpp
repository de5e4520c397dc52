// The loops of the vector kernels, for an arithmetic A on vectors of eight values. A kernel's file includes this within
// its own unnamed namespace; see kernel-ifma.cpp for what A has to have.
//
// A forward transform is a first pass over the whole polynomial (3 or 4 stages), after which its parts (8 or 16) are
// independent and fit the first-level cache; each is finished in further passes and in blocks of 64: three stages
// between vectors, an 8 x 8 transposition, three stages within. The result is left transposed ("blocked" order) unless
// SEAL's order is wanted. Inside a key switch each block of a row is multiplied with the key as soon as it is finished:
// the key, which comes from memory, arrives while the transforms keep the processor busy, because it is asked for some
// rows before.

/// Stages of the first pass.
inline unsigned first_stages(unsigned log_n) { return log_n == 11 || log_n == 12 ? 3 : 4; }

template <typename A, int R>
BLINDFIT_INLINE void forward_stages(const typename A::Context& c, typename A::V* v, const u64* roots,
                                    std::size_t group) {
#pragma GCC unroll 4
  for (int s = 0; s < R; s++) {
#pragma GCC unroll 8
    for (int b = 0; b < 1 << s; b++) {
      const u64* root = roots + 2 * ((group << s) + static_cast<std::size_t>(b));
      const typename A::V w = A::broadcast(root), p = A::broadcast(root + 1);
      const int half = 1 << (R - s - 1);
#pragma GCC unroll 8
      for (int j = 0; j < half; j++) A::forward(c, v[2 * half * b + j], v[2 * half * b + j + half], w, p);
    }
  }
}

/// Stages of the group of `span` words: load(i) gives the vector at word i.
template <typename A, int R, typename Load>
BLINDFIT_INLINE void forward_pass(const typename A::Context& c, const u64* roots, std::size_t group, std::size_t span,
                                  u64* out, Load load) {
  const std::size_t step = span >> R;
  for (std::size_t column = 0; column < step; column += LANES) {
    typename A::V v[1 << R];
#pragma GCC unroll 16
    for (int k = 0; k < 1 << R; k++) v[k] = load(static_cast<std::size_t>(k) * step + column);
    forward_stages<A, R>(c, v, roots, group);
#pragma GCC unroll 16
    for (int k = 0; k < 1 << R; k++) A::store_lazy(out + static_cast<std::size_t>(k) * step + column, v[k]);
  }
}

template <typename A, int R>
BLINDFIT_INLINE void forward_pass_in_place(const typename A::Context& c, const u64* roots, std::size_t group,
                                           std::size_t span, u64* values) {
  forward_pass<A, R>(c, roots, group, span, values,
                     [&](std::size_t i) { return A::normalise(c, A::load_lazy(values + i)); });
}

/// All stages of block `block`, from lazy to lazy, in blocked order.
template <typename A>
BLINDFIT_INLINE void forward_block(const typename A::Context& c, const Prime& prime, std::size_t block,
                                   const u64* values, typename A::V* v) {
#pragma GCC unroll 8
  for (int k = 0; k < 8; k++) v[k] = A::normalise(c, A::load_lazy(values + 8 * k));
  forward_stages<A, 3>(c, v, prime.forward.data(), prime.n / BLOCK + block);
  A::transpose(v);
#pragma GCC unroll 8
  for (int k = 0; k < 8; k++) v[k] = A::normalise(c, v[k]);
  const u64* lanes = prime.forward_lanes.data() + block * 14 * LANES;
  const auto w = [&](int k) { return A::load_factor(lanes + 8 * k); };
#pragma GCC unroll 4
  for (int j = 0; j < 4; j++) A::forward(c, v[j], v[j + 4], w(0), w(7));
#pragma GCC unroll 2
  for (int g = 0; g < 2; g++) {
    A::forward(c, v[4 * g], v[4 * g + 2], w(1 + g), w(8 + g));
    A::forward(c, v[4 * g + 1], v[4 * g + 3], w(1 + g), w(8 + g));
  }
#pragma GCC unroll 4
  for (int g = 0; g < 4; g++) A::forward(c, v[2 * g], v[2 * g + 1], w(3 + g), w(10 + g));
}

template <typename A, typename Load>
void forward_first(const typename A::Context& c, const Prime& prime, u64* out, Load load) {
  const u64* roots = prime.forward.data();
  if (first_stages(prime.log_n) == 3)
    forward_pass<A, 3>(c, roots, 1, prime.n, out, load);
  else
    forward_pass<A, 4>(c, roots, 1, prime.n, out, load);
}

/// The passes over part `part` of a row between the first pass and the blocks.
template <typename A>
BLINDFIT_INLINE void forward_middle(const typename A::Context& c, const Prime& prime, u64* row, std::size_t part) {
  const unsigned first = first_stages(prime.log_n);
  const std::size_t span = prime.n >> first, group = (std::size_t{1} << first) + part;
  u64* values = row + part * span;
  const u64* roots = prime.forward.data();
  switch (prime.log_n) {
    case 11:
      forward_pass_in_place<A, 2>(c, roots, group, span, values);
      break;
    case 12:
    case 13:
      forward_pass_in_place<A, 3>(c, roots, group, span, values);
      break;
    case 14:
      forward_pass_in_place<A, 4>(c, roots, group, span, values);
      break;
    case 15:
      forward_pass_in_place<A, 3>(c, roots, group, span, values);
      for (std::size_t h = 0; h < 8; h++)
        forward_pass_in_place<A, 2>(c, roots, 8 * group + h, span / 8, values + h * (span / 8));
      break;
    default:
      break;
  }
}

/// Finishes part `part` of a row after its first pass; sink(block, v) takes the lazy values of each block, in blocked
/// order.
template <typename A, typename Sink>
BLINDFIT_INLINE void forward_part(const typename A::Context& c, const Prime& prime, u64* row, std::size_t part,
                                  Sink sink) {
  forward_middle<A>(c, prime, row, part);
  const std::size_t blocks = (prime.n >> first_stages(prime.log_n)) / BLOCK;
  for (std::size_t block = part * blocks; block < (part + 1) * blocks; block++) {
    typename A::V v[8];
    forward_block<A>(c, prime, block, row + block * BLOCK, v);
    sink(block, v);
  }
}

template <typename A, typename Sink>
BLINDFIT_INLINE void forward_parts(const typename A::Context& c, const Prime& prime, u64* row, Sink sink) {
  const std::size_t parts = std::size_t{1} << first_stages(prime.log_n);
  for (std::size_t part = 0; part < parts; part++) forward_part<A>(c, prime, row, part, sink);
}

template <typename A>
void vector_forward(const Prime& prime, u64* values) {
  const typename A::Context c(prime);
  forward_first<A>(c, prime, values, [&](std::size_t i) { return A::load(c, values + i); });
  forward_parts<A>(c, prime, values, [&](std::size_t block, typename A::V* v) {
#pragma GCC unroll 8
    for (int k = 0; k < 8; k++) v[k] = A::canonical_lazy(c, v[k]);
    A::transpose(v);
#pragma GCC unroll 8
    for (int k = 0; k < 8; k++) A::store(values + block * BLOCK + 8 * k, v[k]);
  });
}

/// Stages R - 1 down to `last`. @param doublings how often values were added up since they were below q
template <typename A, int R, int last>
BLINDFIT_INLINE void inverse_stages(const typename A::Context& c, typename A::V* v, const u64* roots, std::size_t group,
                                    unsigned doublings) {
#pragma GCC unroll 4
  for (int s = R - 1; s >= last; s--) {
#pragma GCC unroll 8
    for (int b = 0; b < 1 << s; b++) {
      const u64* root = roots + 2 * ((group << s) + static_cast<std::size_t>(b));
      const typename A::V w = A::broadcast(root), p = A::broadcast(root + 1);
      const int half = 1 << (R - s - 1);
#pragma GCC unroll 8
      for (int j = 0; j < half; j++)
        A::inverse(c, v[2 * half * b + j], v[2 * half * b + j + half], w, p,
                   doublings + static_cast<unsigned>(R - 1 - s));
    }
  }
}

/// body(column, v) gets the values of every column for 2^R stages. The last stage before left sums in the first half of
/// them, which have grown, and products in the second.
template <typename A, int R, typename Body>
BLINDFIT_INLINE void inverse_columns(const typename A::Context& c, const u64* values, std::size_t step, Body body) {
  for (std::size_t column = 0; column < step; column += LANES) {
    typename A::V v[1 << R];
#pragma GCC unroll 16
    for (int k = 0; k < 1 << R; k++) v[k] = A::load_lazy(values + static_cast<std::size_t>(k) * step + column);
    if (column < step / 2) {
#pragma GCC unroll 16
      for (int k = 0; k < 1 << R; k++) v[k] = A::normalise_inverse(c, v[k]);
    }
    body(column, v);
  }
}

template <typename A, int R>
BLINDFIT_INLINE void inverse_pass(const typename A::Context& c, const u64* roots, std::size_t group, std::size_t span,
                                  u64* values) {
  const std::size_t step = span >> R;
  inverse_columns<A, R>(c, values, step, [&](std::size_t column, typename A::V* v) {
    inverse_stages<A, R, 0>(c, v, roots, group, 1);
#pragma GCC unroll 16
    for (int k = 0; k < 1 << R; k++) A::store_lazy(values + static_cast<std::size_t>(k) * step + column, v[k]);
  });
}

/// The last pass, whose last stage divides by N: canonical results.
template <typename A, int R>
BLINDFIT_INLINE void inverse_last(const typename A::Context& c, const Prime& prime, u64* values) {
  const std::size_t step = prime.n >> R;
  inverse_columns<A, R>(c, values, step, [&](std::size_t column, typename A::V* v) {
    inverse_stages<A, R, 1>(c, v, prime.inverse.data(), 1, 1);
    const typename A::V n_value = A::broadcast(&prime.inverse_n.value),
                        n_quotient = A::broadcast(&prime.inverse_n.quotient);
    const typename A::V root_value = A::broadcast(&prime.inverse_n_root.value),
                        root_quotient = A::broadcast(&prime.inverse_n_root.quotient);
    constexpr int half = 1 << (R - 1);
#pragma GCC unroll 8
    for (int k = 0; k < half; k++) {
      const typename A::V sum = A::sum(c, v[k], v[k + half]), difference = A::difference(c, v[k], v[k + half], R);
      A::store(values + static_cast<std::size_t>(k) * step + column,
               A::canonical(c, A::multiply(c, sum, n_value, n_quotient)));
      A::store(values + static_cast<std::size_t>(k + half) * step + column,
               A::canonical(c, A::multiply(c, difference, root_value, root_quotient)));
    }
  });
}

template <typename A>
void vector_inverse(const Prime& prime, u64* out, const u64* values, Order order) {
  const typename A::Context c(prime);
  const u64* roots = prime.inverse.data();
  const unsigned first = first_stages(prime.log_n);
  const std::size_t span = prime.n >> first, parts = std::size_t{1} << first;
  for (std::size_t part = 0; part < parts; part++) {
    for (std::size_t block = part * span / BLOCK; block < (part + 1) * span / BLOCK; block++) {
      typename A::V v[8];
#pragma GCC unroll 8
      for (int k = 0; k < 8; k++) v[k] = A::load(c, values + block * BLOCK + 8 * k);
      if (order == Order::seal) A::transpose(v);
      const u64* lanes = prime.inverse_lanes.data() + block * 14 * LANES;
      const auto w = [&](int k) { return A::load_factor(lanes + 8 * k); };
#pragma GCC unroll 4
      for (int g = 0; g < 4; g++) A::inverse(c, v[2 * g], v[2 * g + 1], w(3 + g), w(10 + g), 0);
#pragma GCC unroll 2
      for (int g = 0; g < 2; g++) {
        A::inverse(c, v[4 * g], v[4 * g + 2], w(1 + g), w(8 + g), 1);
        A::inverse(c, v[4 * g + 1], v[4 * g + 3], w(1 + g), w(8 + g), 1);
      }
#pragma GCC unroll 4
      for (int j = 0; j < 4; j++) A::inverse(c, v[j], v[j + 4], w(0), w(7), 2);
      A::transpose(v);
      inverse_stages<A, 3, 0>(c, v, roots, prime.n / BLOCK + block, 3);
#pragma GCC unroll 8
      for (int k = 0; k < 8; k++) A::store_lazy(out + block * BLOCK + 8 * k, v[k]);
    }
    const std::size_t group = parts + part;
    u64* here = out + part * span;
    switch (prime.log_n) {
      case 11:
        inverse_pass<A, 2>(c, roots, group, span, here);
        break;
      case 12:
      case 13:
        inverse_pass<A, 3>(c, roots, group, span, here);
        break;
      case 14:
        inverse_pass<A, 4>(c, roots, group, span, here);
        break;
      case 15:
        for (std::size_t h = 0; h < 8; h++)
          inverse_pass<A, 2>(c, roots, 8 * group + h, span / 8, here + h * (span / 8));
        inverse_pass<A, 3>(c, roots, group, span, here);
        break;
      default:
        break;
    }
  }
  if (first == 3)
    inverse_last<A, 3>(c, prime, out);
  else
    inverse_last<A, 4>(c, prime, out);
}

/// Rows that a key is asked for ahead of its use: about what memory takes to answer.
constexpr std::size_t KEY_AHEAD = 3;

/// The first polynomial's values of block `at` (in words) of a row of a key; the second's are KEY_TILE further on.
BLINDFIT_INLINE const u64* key_block(const InnerProducts& job, std::size_t at, std::size_t row) {
  return job.key + (at / KEY_TILE * job.key_rows + row) * 2 * KEY_TILE + at % KEY_TILE;
}

/// Processors follow one stream by themselves, but not as many as a key has rows, each in steps of a block. (Past the
/// end of the key nothing happens.)
BLINDFIT_INLINE void prefetch_key(const InnerProducts& job, std::size_t at, std::size_t row) {
  for (; row >= job.rows; row -= job.rows) at += BLOCK;
  const u64* block = key_block(job, at, row);
#pragma GCC unroll 8
  for (std::size_t k = 0; k < BLOCK; k += LANES) {
    __builtin_prefetch(block + k);
    __builtin_prefetch(block + KEY_TILE + k);
  }
}

template <typename A>
void vector_inner_products(const Prime& prime, const InnerProducts& job) {
  const typename A::Context c(prime);
  const std::size_t n = prime.n;
  for (std::size_t row = 0; row < job.rows; row++) {
    if (row == job.known_row) continue;
    const u64* from = job.coefficients + row * n;
    u64* to = job.scratch + row * n;
    if (A::takes(c, job.source_primes[row]))
      forward_first<A>(c, prime, to, [&](std::size_t i) { return A::load(c, from + i); });
    else
      forward_first<A>(c, prime, to, [&](std::size_t i) { return A::load_reduced(c, from + i); });
  }
  const unsigned first = first_stages(prime.log_n);
  const std::size_t span = n >> first;
  for (std::size_t part = 0; part < std::size_t{1} << first; part++) {
    for (std::size_t row = 0; row < job.rows; row++) {
      if (row != job.known_row) forward_middle<A>(c, prime, job.scratch + row * n, part);
    }
    for (std::size_t at = part * span; at < (part + 1) * span; at += BLOCK) {
      typename A::Sum sums[LANES][2];
      for (auto& pair : sums) pair[0] = pair[1] = typename A::Sum(c);
      for (std::size_t row = 0; row < job.rows; row++) {
        prefetch_key(job, at, row + KEY_AHEAD);
        const u64* key = key_block(job, at, row);
        typename A::V v[8];
        if (row == job.known_row) {
#pragma GCC unroll 8
          for (int k = 0; k < 8; k++) v[k] = A::load(c, job.known + at + 8 * k);
          A::transpose(v);
        } else {
          forward_block<A>(c, prime, at / BLOCK, job.scratch + row * n + at, v);
        }
#pragma GCC unroll 8
        for (int k = 0; k < 8; k++) {
          const typename A::V x = A::operand(c, v[k]);
          sums[k][0].add(c, x, A::load(c, key + 8 * k));
          sums[k][1].add(c, x, A::load(c, key + KEY_TILE + 8 * k));
        }
      }
#pragma GCC unroll 8
      for (int k = 0; k < 8; k++) {
        A::store(job.out0 + at + 8 * k, sums[k][0].canonical(c));
        A::store(job.out1 + at + 8 * k, sums[k][1].canonical(c));
      }
    }
  }
}

template <typename A>
void vector_divide(const Prime& prime, const Division& job) {
  const typename A::Context c(prime);
  const Modulus& modulus = prime.modulus;
  const u64 fix = modulus.negate(modulus.reduce(job.last >> 1));
  const typename A::V fix_v = A::from_scalar(c, fix);
  if (A::takes(c, job.last + modulus.q))
    forward_first<A>(c, prime, job.scratch,
                     [&](std::size_t i) { return A::plus(A::load(c, job.remainder + i), fix_v); });
  else
    forward_first<A>(c, prime, job.scratch,
                     [&](std::size_t i) { return A::plus(A::load_reduced(c, job.remainder + i), fix_v); });
  const typename A::V inverse = A::broadcast(&job.inverse.value), quotient = A::broadcast(&job.inverse.quotient);
  const auto finish = [&](std::size_t block, typename A::V* v, bool blocked) {
    if (!blocked) {
#pragma GCC unroll 8
      for (int k = 0; k < 8; k++) v[k] = A::operand(c, v[k]);
      A::transpose(v);
    }
#pragma GCC unroll 8
    for (int k = 0; k < 8; k++) {
      const typename A::V d = A::minus_lazy(c, A::load(c, job.value + block * BLOCK + 8 * k), v[k]);
      v[k] = A::canonical(c, A::multiply(c, d, inverse, quotient));
    }
    if (blocked) A::transpose(v);
#pragma GCC unroll 8
    for (int k = 0; k < 8; k++) {
      const std::size_t at = block * BLOCK + 8 * static_cast<std::size_t>(k);
      A::store(job.out + at, job.addend == nullptr ? v[k] : A::add_canonical(c, v[k], A::load(c, job.addend + at)));
    }
  };
  if (job.value_order == Order::blocked)
    forward_parts<A>(c, prime, job.scratch, [&](std::size_t block, typename A::V* v) { finish(block, v, true); });
  else
    forward_parts<A>(c, prime, job.scratch, [&](std::size_t block, typename A::V* v) { finish(block, v, false); });
}

template <typename A>
void vector_multiply(const Prime& prime, u64* out, const u64* a, const u64* b, std::size_t count) {
  const typename A::Context c(prime);
  for (std::size_t i = 0; i < count; i += LANES) {
    typename A::Sum sum(c);
    sum.add(c, A::load(c, a + i), A::load(c, b + i));
    A::store(out + i, sum.canonical(c));
  }
}

template <typename A>
void vector_multiply_factor(const Prime& prime, u64* out, const u64* a, Factor factor, std::size_t count) {
  const typename A::Context c(prime);
  const typename A::V value = A::broadcast(&factor.value), quotient = A::broadcast(&factor.quotient);
  for (std::size_t i = 0; i < count; i += LANES)
    A::store(out + i, A::canonical(c, A::multiply(c, A::load(c, a + i), value, quotient)));
}

/// Values that a sum of many products does at a time: operands come in pieces long enough for the processor to see what
/// is read next.
constexpr std::size_t SUM_TILE = 256;
/// From here on operands are more streams than it can follow at once.
constexpr std::size_t MANY_TERMS = 5;

template <typename A>
void vector_sum_products(const Prime& prime, u64* const out[3], const u64* const* a, const u64* const* b,
                         std::size_t offset, std::size_t stride, std::size_t terms, std::size_t count) {
  const typename A::Context c(prime);
  using Sum = typename A::Sum;
  const auto add = [&](Sum& sum0, Sum& sum1, Sum& sum2, std::size_t k, std::size_t i) {
    const typename A::V a0 = A::load(c, a[k] + offset + i), a1 = A::load(c, a[k] + offset + stride + i);
    const typename A::V b0 = A::load(c, b[k] + offset + i), b1 = A::load(c, b[k] + offset + stride + i);
    sum0.add(c, a0, b0);
    sum1.add(c, a0, b1);
    sum1.add(c, a1, b0);
    sum2.add(c, a1, b1);
  };
  const auto store = [&](Sum& sum0, Sum& sum1, Sum& sum2, std::size_t i) {
    A::store(out[0] + i, sum0.canonical(c));
    A::store(out[1] + i, sum1.canonical(c));
    A::store(out[2] + i, sum2.canonical(c));
  };
  if (terms < MANY_TERMS || count % SUM_TILE != 0) {
    for (std::size_t i = 0; i < count; i += LANES) {
      Sum sum0(c), sum1(c), sum2(c);
      for (std::size_t k = 0; k < terms; k++) add(sum0, sum1, sum2, k, i);
      store(sum0, sum1, sum2, i);
    }
    return;
  }
  for (std::size_t tile = 0; tile < count; tile += SUM_TILE) {
    constexpr std::size_t vectors = SUM_TILE / LANES;
    Sum sums[3 * vectors];
    for (Sum& sum : sums) sum = Sum(c);
    for (std::size_t k = 0; k < terms; k++) {
      for (std::size_t i = 0; i < vectors; i++) add(sums[3 * i], sums[3 * i + 1], sums[3 * i + 2], k, tile + i * LANES);
    }
    for (std::size_t i = 0; i < vectors; i++) store(sums[3 * i], sums[3 * i + 1], sums[3 * i + 2], tile + i * LANES);
  }
}

// What the compiler makes vectors of by itself. Sums are below 2^61, so a sign bit says which is less.
inline u64 less(u64 x, u64 q) { return static_cast<std::int64_t>(x - q) < 0 ? x : x - q; }

inline void vector_add(const Prime& prime, u64* out, const u64* a, const u64* b, std::size_t count) {
  const u64 q = prime.modulus.q;
#pragma GCC ivdep
  for (std::size_t i = 0; i < count; i++) out[i] = less(a[i] + b[i], q);
}

inline void vector_subtract(const Prime& prime, u64* out, const u64* a, const u64* b, std::size_t count) {
  const u64 q = prime.modulus.q;
#pragma GCC ivdep
  for (std::size_t i = 0; i < count; i++) out[i] = less(a[i] + q - b[i], q);
}

inline void vector_negate(const Prime& prime, u64* out, const u64* a, std::size_t count) {
  const u64 q = prime.modulus.q;
#pragma GCC ivdep
  for (std::size_t i = 0; i < count; i++) out[i] = less(q - a[i], q);
}

inline void vector_add_scalar(const Prime& prime, u64* out, const u64* a, u64 scalar, std::size_t count) {
  const u64 q = prime.modulus.q;
#pragma GCC ivdep
  for (std::size_t i = 0; i < count; i++) out[i] = less(a[i] + scalar, q);
}
