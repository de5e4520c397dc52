import { seededUint32 } from '@blindfit/base';

/** Deterministic random reals in [0, 1): the same numbers from the same seed on every machine. */
export function randomReals(seed: number): () => number {
  const random = seededUint32(seed);
  return () => random() / 2 ** 32;
}
