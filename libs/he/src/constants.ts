/** Constant polynomials: the same residue at every point of the NTT form. */

/** The integer that stands for `value` at a scale. */
export function constantContent(value: number, scale: number): bigint {
  return BigInt(Math.round(value * scale));
}

/** In [0, prime). */
export function residue(content: bigint, prime: bigint): bigint {
  const remainder = content % prime;
  return remainder < 0n ? remainder + prime : remainder;
}
