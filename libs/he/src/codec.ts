import type { Ciphertext } from './ciphertext.ts';
import type { Parameters } from './parameters.ts';

/** SEAL's bytes to ciphertexts of one evaluator, and back. */
export interface CiphertextCodec {
  readonly parameters: Parameters;
  /** The caller disposes of it. @throws WireError, SealError when the bytes are no ciphertext of these parameters */
  loadCiphertext(bytes: Uint8Array): Ciphertext;
  saveCiphertext(ciphertext: Ciphertext): Uint8Array;
}
