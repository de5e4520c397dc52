/**
 * Roots of unity as SEAL chooses them, and the monomials X^power in the form SEAL computes with.
 *
 * In NTT form, entry i of prime q is the polynomial's value at psi^(2 bitrev(i) + 1), psi being the smallest primitive
 * 2N-th root of unity modulo q. A monomial is a table look-up there. J = X^(N/2) squares to X^N = -1: at every
 * slot it is i or -i, i on even and -i on odd ones, because SEAL orders the slots by powers of 3.
 */

function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n;
  let square = base % modulus;
  for (let e = exponent; e > 0n; e >>= 1n) {
    if (e & 1n) result = (result * square) % modulus;
    square = (square * square) % modulus;
  }
  return result;
}

/** The smallest primitive 2N-th root of unity modulo a prime q = 1 mod 2N, as SEAL's NTT tables use it. */
export function smallestPrimitiveRoot(ring: number, prime: bigint): bigint {
  const order = BigInt(2 * ring);
  let root = 0n;
  for (let candidate = 2n; ; candidate++) {
    root = power(candidate, (prime - 1n) / order, prime);
    if (power(root, BigInt(ring), prime) === prime - 1n) break;
  }
  // All primitive roots are the odd powers of one.
  const step = (root * root) % prime;
  let smallest = root;
  for (let i = 1, current = root; i < ring; i++) {
    current = (current * step) % prime;
    if (current < smallest) smallest = current;
  }
  return smallest;
}

function bitReversed(index: number, bits: number): number {
  let result = 0;
  for (let bit = 0; bit < bits; bit++) if (index & (1 << bit)) result |= 1 << (bits - 1 - bit);
  return result;
}

/** All powers of psi for one prime, from which any monomial's NTT form is read off. */
export class RootTable {
  readonly prime: bigint;
  readonly #ring: number;
  readonly #powers: BigUint64Array;
  readonly #exponents: Uint32Array;

  constructor(ring: number, prime: bigint) {
    this.#ring = ring;
    this.prime = prime;
    const psi = smallestPrimitiveRoot(ring, prime);
    this.#powers = new BigUint64Array(2 * ring);
    let current = 1n;
    for (let i = 0; i < 2 * ring; i++) {
      this.#powers[i] = current;
      current = (current * psi) % prime;
    }
    const bits = Math.log2(ring);
    this.#exponents = Uint32Array.from({ length: ring }, (_, i) => 2 * bitReversed(i, bits) + 1);
  }

  /** Writes the NTT form of X^power into `target` (N entries). */
  writeMonomial(power: number, target: BigUint64Array): void {
    const order = 2 * this.#ring;
    const reduced = ((power % order) + order) % order;
    for (let i = 0; i < this.#ring; i++) target[i] = this.#powers[(reduced * (this.#exponents[i] ?? 0)) % order] ?? 0n;
  }

  /** I = psi^(N/2): the NTT form of J is I in the first half and -I in the second. */
  get imaginaryUnit(): bigint {
    return this.#powers[this.#ring / 2] ?? 0n;
  }
}
