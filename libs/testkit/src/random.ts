/** Random numbers for tests: the same numbers from the same seed in every run. Not for secrets. */

/** A source of reals in [0, 1), from the linear congruential generator of Numerical Recipes. */
export function randomReals(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** A source of reals in [-1, 1). */
export function signedReals(seed: number): () => number {
  const random = randomReals(seed);
  return () => 2 * random() - 1;
}

/** A source of integers in [0, below). */
export function randomIntegers(seed: number): (below: number) => number {
  const random = randomReals(seed);
  return (below) => Math.floor(random() * below);
}

/** Reals in [-1, 1). */
export function randomVector(length: number, seed: number): Float64Array {
  return Float64Array.from({ length }, signedReals(seed));
}
