import { sha256Hex } from '@blindfit/base';
import { ParameterError } from './errors.ts';
import { assertSecure, isRing, RINGS, type Ring, type SecurityLevel } from './security.ts';

/** What one may write down, or receive over the network; {@link Parameters.of} makes it a validated set. */
export interface ParametersLiteral {
  /** Polynomial degree N. */
  readonly ring: number;
  /** Bits of each prime of the ciphertext modulus, q0 (the last level's) first. */
  readonly dataBits: readonly number[];
  /** Bits of the special prime P, which exists in keys only. */
  readonly specialBits: number;
  /** log2 of the nominal scale at which features and labels are encoded. */
  readonly scaleBits: number;
}

const MIN_PRIME_BITS = 20;
const MAX_PRIME_BITS = 60;
const MAX_DATA_PRIMES = 30;

/**
 * A validated, immutable CKKS parameter set. The primes themselves are SEAL's choice for the bits
 * (`CoeffModulus::Create`), which is deterministic, so the literal says everything.
 */
export class Parameters implements ParametersLiteral {
  readonly ring: Ring;
  readonly dataBits: readonly number[];
  readonly specialBits: number;
  readonly scaleBits: number;
  readonly security: SecurityLevel;

  private constructor(literal: ParametersLiteral, ring: Ring, security: SecurityLevel) {
    this.ring = ring;
    this.dataBits = Object.freeze([...literal.dataBits]);
    this.specialBits = literal.specialBits;
    this.scaleBits = literal.scaleBits;
    this.security = security;
    Object.freeze(this);
  }

  /** @throws ParameterError naming the field that is wrong and what is allowed. */
  static of(literal: ParametersLiteral, security: SecurityLevel = '128'): Parameters {
    const { ring, dataBits, specialBits, scaleBits } = literal;
    if (!isRing(ring)) throw new ParameterError(`ring ${ring} is not supported`, `allowed: ${RINGS.join(', ')}`);
    if (dataBits.length < 1 || dataBits.length > MAX_DATA_PRIMES) {
      throw new ParameterError(`${dataBits.length} data primes`, `1 to ${MAX_DATA_PRIMES} are allowed`);
    }
    for (const bits of [...dataBits, specialBits]) {
      if (!Number.isInteger(bits) || bits < MIN_PRIME_BITS || bits > MAX_PRIME_BITS) {
        throw new ParameterError(
          `a prime of ${bits} bits`,
          `whole numbers from ${MIN_PRIME_BITS} to ${MAX_PRIME_BITS} are allowed`,
        );
      }
    }
    if (!Number.isInteger(scaleBits) || scaleBits < 10 || scaleBits > 59) {
      throw new ParameterError(`a scale of ${scaleBits} bits`, 'whole numbers from 10 to 59 are allowed');
    }
    const parameters = new Parameters(literal, ring, security);
    if (security === '128') assertSecure(ring, parameters.logQP);
    return parameters;
  }

  /** Number of slots a plaintext has: N / 2. */
  get slots(): number {
    return this.ring / 2;
  }

  /** The level of a fresh ciphertext. A ciphertext at level l has l + 1 primes; at level 0 it cannot be multiplied. */
  get maxLevel(): number {
    return this.dataBits.length - 1;
  }

  /** log2 of the whole modulus with the special prime: what security depends on. */
  get logQP(): number {
    return this.dataBits.reduce((sum, bits) => sum + bits, this.specialBits);
  }

  /** The nominal scale 2^scaleBits. */
  get scale(): number {
    return 2 ** this.scaleBits;
  }

  /** A name that says what the set is, e.g. `N16384QP380L7S45`. */
  get name(): string {
    return `N${this.ring}QP${this.logQP}L${this.dataBits.length}S${this.scaleBits}`;
  }

  /** The bits SEAL builds its primes from: the data primes, then the special one. */
  get coefficientModulusBits(): number[] {
    return [...this.dataBits, this.specialBits];
  }

  toJSON(): ParametersLiteral {
    return { ring: this.ring, dataBits: [...this.dataBits], specialBits: this.specialBits, scaleBits: this.scaleBits };
  }

  /** Hex SHA-256 of the literal: ties every blob to the parameter set it belongs to. */
  get fingerprint(): string {
    const canonical = JSON.stringify([this.ring, this.dataBits, this.specialBits, this.scaleBits]);
    return sha256Hex(new TextEncoder().encode(canonical));
  }
}
