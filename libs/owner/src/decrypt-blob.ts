import { checkHeader, parseHeader, WIRE_HEADER_BYTES, type PairedSlots } from '@blindfit/he';
import { ModelError } from './errors.ts';
import type { Keyset } from './keyset.ts';

/**
 * Decrypts a blob whose scale is its sender's to say.
 * @param what names it in messages: a model, a score
 * @param expected level
 * @throws WireError, SealError when it is no ciphertext of this keyset; ModelError when it is not what its header says
 */
export function decryptBlob(keyset: Keyset, what: string, blob: Uint8Array, expected: number): PairedSlots {
  const header = parseHeader(blob);
  if (!(Number.isFinite(header.scale) && header.scale > 0))
    throw new ModelError(`a ${what} of scale ${header.scale}`, 'scales are finite and positive');
  // The last factors live in the scale: any value may be right, if SEAL's own says the same.
  checkHeader(header, blob.length, {
    parameters: keyset.parameters,
    fields: { kind: 'ciphertext', level: expected, scale: header.scale },
  });
  using ciphertext = keyset.backend.loadCiphertext(blob.subarray(WIRE_HEADER_BYTES));
  const { level, scale, size } = ciphertext;
  if (level !== expected || scale !== header.scale || size !== 2) {
    throw new ModelError(
      `a ${what} ciphertext at level ${level}, scale ${scale}, of ${size} polynomials`,
      `level ${expected} and, by its header, scale ${header.scale} and 2 polynomials are expected`,
    );
  }
  return keyset.secret.decrypt(ciphertext);
}
