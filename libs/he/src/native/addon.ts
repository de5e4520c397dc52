/**
 * What the native addon offers (C++ in `libs/he/native`). Every array is checked for its length, every number for its
 * range, before a pointer is made from it; a violation throws a RangeError or TypeError and changes nothing.
 *
 * Polynomials are in NTT form in SEAL's order: a ciphertext of `polys` polynomials at level l is one array of
 * polys x (l + 1) x N words, polynomial by polynomial, prime by prime, all canonical in [0, q). Level l has the primes
 * 0 to l. `out` may be `a` (or `b`) unless said otherwise; results are SEAL 4.1's, bit for bit.
 */
export type Words = BigUint64Array;

/**
 * Instruction sets of the kernels, the fastest first. `ifma` takes primes of at most 50 bits; `avx512` takes longer
 * ones.
 */
export const KERNELS = ['ifma', 'avx512', 'avx2', 'portable'] as const;
export type Kernel = (typeof KERNELS)[number];

export interface NativeAddon {
  /** The kernels this CPU can run, the fastest first; never empty. */
  kernels(): Kernel[];
  /** BLAKE2b of 32 bytes, without key: what SEAL makes parms_ids with. */
  readonly blake2b256: (bytes: Uint8Array) => Words;
  /** Memory outside JavaScript's heap, aligned to 64 bytes, not zeroed; freed when garbage is collected. */
  allocate(words: number): Words;
  /**
   * Empties the data of {@link NativeRing.openCiphertext} now instead of at garbage collection. The pages are unmapped
   * when no thread holds them any more.
   */
  readonly release: (words: Words) => void;
  /**
   * Whether the data of {@link NativeRing.openCiphertext} are as they were written. The file is looked at; all of it is
   * read again when it was written to or touched since the last check of this process, or after ten minutes.
   */
  readonly intact: (words: Words) => boolean;
  /**
   * Tables for one parameter set. Cheap when the process has them already: threads share them, read-only.
   * @param primes the data primes, q0 first, then the special prime; each = 1 mod 2N, of at most 60 bits, all different
   * @param parmsIds SEAL's parms_id of each level, 4 words each, level 0 first
   * @param keyParmsId SEAL's parms_id of the key level (with the special prime), 4 words
   * @param kernel the fastest possible when left out
   */
  createRing(ring: number, primes: Words, parmsIds: Words, keyParmsId: Words, kernel?: Kernel): NativeRing;
}

/** One key-switching key, mapped read-only from a file; one mapping serves all threads of the process. */
export interface NativeKey {
  /** Bytes of the mapping. */
  readonly bytes: number;
  /** Whether the key is as it was written: see {@link NativeAddon.intact}. */
  intact(): boolean;
  /** Lets go of it now instead of when garbage is collected; the pages go when no thread holds it any more. */
  close(): void;
}

export interface ParsedCiphertext {
  readonly polys: number;
  readonly level: number;
  readonly scale: number;
  readonly data: Words;
}

export interface NativeRing {
  /** The kernel of each prime, data primes first. */
  readonly kernels: readonly Kernel[];

  add(out: Words, a: Words, b: Words, polys: number, level: number): void;
  subtract(out: Words, a: Words, b: Words, polys: number, level: number): void;
  negate(out: Words, a: Words, polys: number, level: number): void;
  /** Adds a plaintext to the first polynomial; `out` has the other polynomials of `a`. */
  addPlain(out: Words, a: Words, plain: Words, polys: number, level: number): void;
  multiplyPlain(out: Words, a: Words, plain: Words, polys: number, level: number): void;
  /** a <- a + b and b <- (a - b) plain, on 2 polynomials, in one pass over memory. None may be another. */
  split(a: Words, b: Words, plain: Words, level: number): void;
  /** 2 x 2 polynomials give 3. `out` must be neither `a` nor `b`. */
  multiply(out: Words, a: Words, b: Words, level: number): void;
  square(out: Words, a: Words, level: number): void;
  /**
   * Sum over i of a[i] b[i]: 3 polynomials from products of 2 x 2, with one reduction at the end. At most 64 products.
   * `out` must not be an operand.
   */
  sumOfProducts(out: Words, a: readonly Words[], b: readonly Words[], level: number): void;

  /**
   * Relinearises ciphertexts from 3 polynomials to 2, up to 8 in one pass over the key, at most 1024 in all. No `out`
   * may be an `a` or another `out`.
   */
  relinearise(out: readonly Words[], a: readonly Words[], level: number, key: NativeKey): void;
  /**
   * The automorphism X -> X^element and its key switch on ciphertexts of 2 polynomials, up to 8 in one pass over the
   * key, at most 1024 in all. No `out` may be an `a` or another `out`.
   */
  rotate(out: readonly Words[], a: readonly Words[], level: number, element: number, key: NativeKey): void;
  /** Starts with out = a and computes out = out + rotate(out) for one element after the other. */
  rotateAndSum(out: Words, a: Words, level: number, elements: readonly number[], keys: readonly NativeKey[]): void;

  /** Divides by the level's prime with rounding: `out` is at level - 1. */
  rescale(out: Words, a: Words, polys: number, level: number): void;
  /** Drops the primes above level `to`. */
  dropTo(out: Words, a: Words, polys: number, level: number, to: number): void;

  /**
   * The NTT form of a polynomial with real coefficients, each rounded to the nearest integer, halves away from zero.
   * @param coefficients N finite numbers below 2^1000
   */
  fromCoefficients(out: Words, coefficients: Float64Array, level: number): void;
  /** The NTT form of X^power (any whole number) at a level: (level + 1) x N words. */
  monomial(out: Words, power: number, level: number): void;
  /** out = a + X^(N/2) b, for plaintexts. `sign` is 1 or -1, of the second term. */
  addTimesJ(out: Words, a: Words, b: Words, level: number, sign: number): void;
  /** Forward or inverse NTT of one polynomial at a level, in place: for tests and benchmarks. */
  ntt(a: Words, level: number): void;
  inverseNtt(a: Words, level: number): void;

  /**
   * Reads SEAL's uncompressed serialisation of a ciphertext of this ring and checks all of it: framing, parms_id, NTT
   * form, size 2 or 3, N, primes, correction factor 1, every coefficient below its prime. A second polynomial that is
   * given as a seed is expanded by BLAKE2Xb as SEAL does it.
   * @param out becomes the data when it has the right length; otherwise memory is allocated. Undefined after an error
   * @throws Error saying what is wrong
   */
  readCiphertext(bytes: Uint8Array, out?: Words): ParsedCiphertext;
  /** SEAL's uncompressed serialisation, byte for byte as node-seal's saveToArray(ComprModeType.none). */
  writeCiphertext(data: Words, polys: number, level: number, scale: number): Uint8Array;
  /**
   * What comes first in the file of a ciphertext, 4096 bytes with a checksum of the words; behind it come its words as
   * they are in memory.
   */
  ciphertextFileHeader(data: Words, polys: number, level: number, scale: number): Uint8Array;
  /**
   * Maps such a file and checks it. Its data serves as an operand only: as `out` it is refused.
   * @throws Error when it is of another ring or version; with the code `DAMAGED_FILE` when it is not as it was written
   */
  openCiphertext(path: string): ParsedCiphertext;
  /**
   * Turns SEAL's uncompressed serialisation, seeded or not, of relinearisation or Galois keys that hold exactly one key
   * into the content of a key file: a header (magic, version, N, primes, layout, checksums) and the values
   * in the order in which the kernels read them.
   * @param place where SEAL keeps it: 0 for the relinearisation key, (element - 1) / 2 for a Galois key
   * @throws Error as {@link readCiphertext}; also when the key is in another place
   */
  packKey(bytes: Uint8Array, place: number): Uint8Array;
  /** Maps a key file and checks it. @throws as {@link openCiphertext} */
  openKey(path: string): NativeKey;
}
