/** An encrypted vector. Its memory lies outside JavaScript's heap: free it with `using`. */
export interface Ciphertext extends Disposable {
  /** Primes left minus one. */
  readonly level: number;
  readonly scale: number;
  /** Polynomials: 2, or 3 after a product that is not relinearised yet. */
  readonly size: number;
}

export interface Plaintext extends Disposable {
  readonly level: number;
  readonly scale: number;
}
