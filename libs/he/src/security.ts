/**
 * Upper bounds on log2(QP), the total modulus with the special prime, for 128-bit security with a ternary secret.
 *
 * Two tables are kept, and the stricter one rules: the 2024 guidelines (Security Guidelines for Implementing
 * Homomorphic Encryption, Table 5.2) and the older one that SEAL itself enforces (HomomorphicEncryption.org, 2018).
 */
import { ParameterError } from './errors.ts';

/** Rings a parameter set may use: the polynomial degree N. Slots are N / 2. */
export const RINGS = [1024, 2048, 4096, 8192, 16384, 32768] as const;
export type Ring = (typeof RINGS)[number];

export type SecurityTable = Readonly<Record<Ring, number>>;

export const GUIDELINES_2024: SecurityTable = {
  1024: 26,
  2048: 53,
  4096: 106,
  8192: 214,
  16384: 430,
  32768: 868,
};

export const SEAL_128: SecurityTable = {
  1024: 27,
  2048: 54,
  4096: 109,
  8192: 218,
  16384: 438,
  32768: 881,
};

/** `128`: checked against both tables. `none`: small rings for unit tests; services refuse it. */
export type SecurityLevel = '128' | 'none';

export function isRing(value: number): value is Ring {
  return (RINGS as readonly number[]).includes(value);
}

/** The largest log2(QP) allowed for a ring at 128 bits, by the stricter table. */
export function maxLogQP(ring: Ring): number {
  return Math.min(GUIDELINES_2024[ring], SEAL_128[ring]);
}

/** @throws ParameterError when log2(QP) exceeds what the ring carries at 128 bits. */
export function assertSecure(ring: Ring, logQP: number): void {
  const limit = maxLogQP(ring);
  if (logQP > limit) {
    throw new ParameterError(
      `log2(QP) = ${logQP} is not 128-bit secure at N = ${ring}`,
      `at most ${limit} bits (guidelines of 2024: ${GUIDELINES_2024[ring]}, SEAL: ${SEAL_128[ring]}); ` +
        'use fewer levels, a smaller scale or a larger ring',
    );
  }
}
