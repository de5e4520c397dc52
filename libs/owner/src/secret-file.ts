/**
 * The file of a secret key. It is not Blindfit's wire format, on purpose: no server-side code can mistake it for a
 * blob.
 *
 * ``` offset size
 *      0    8  "BFSECRT" and the version, 1
 *      8   16  random name of the key, which its public files repeat
 *     24   32  SHA-256 of the parameter set
 *     56   32  SHA-256 of the payload
 *     88       payload: SEAL's serialisation
 * ```
 */
import { messageWithHint, sha256Hex } from '@blindfit/base';
import { SealError } from '@blindfit/he';
import { type SealBackend } from '@blindfit/he/seal';
import { KeysetError } from './errors.ts';
import type { KeysetFiles } from './key-store.ts';
import { SecretKeyHolder } from './secret-key.ts';

export const SECRET_FILE = 'secret.key';
const MAGIC = new TextEncoder().encode('BFSECRT\u0001');
const HEADER_BYTES = 88;
const RESTORE = 'restore it from your backup; without it, models trained with this keyset cannot be opened';

export interface StoredSecret {
  readonly secret: SecretKeyHolder;
  /** Hex. Not secret. */
  readonly name: string;
}

/**
 * @returns undefined when there is no such file
 * @throws KeysetError when others may read it, or it is damaged or of other parameters
 */
export async function readSecret(files: KeysetFiles, backend: SealBackend): Promise<StoredSecret | undefined> {
  const path = files.pathOf(SECRET_FILE);
  const bytes = await files.readSecret(SECRET_FILE);
  if (bytes === undefined) return undefined;
  try {
    if (bytes.length <= HEADER_BYTES || MAGIC.some((byte, at) => bytes[at] !== byte))
      throw new KeysetError('KEYSET_CORRUPT', `${path} is no secret key of Blindfit`, RESTORE);
    if (toHex(bytes.subarray(24, 56)) !== backend.parameters.fingerprint) {
      throw new KeysetError(
        'KEYSET_FOREIGN',
        `${path} is a key of other parameters than ${backend.parameters.name}`,
        'move it back to the directory it comes from',
      );
    }
    const payload = bytes.subarray(HEADER_BYTES);
    if (toHex(bytes.subarray(56, 88)) !== sha256Hex(payload))
      throw new KeysetError('KEYSET_CORRUPT', `${path} is damaged`, RESTORE);
    try {
      return { secret: SecretKeyHolder.load(backend, payload), name: toHex(bytes.subarray(8, 24)) };
    } catch (error) {
      if (error instanceof SealError)
        throw new KeysetError('KEYSET_CORRUPT', `${path} is damaged: ${messageWithHint(error)}`, RESTORE);
      throw error;
    }
  } finally {
    bytes.fill(0);
  }
}

/** Makes a secret key and writes it. Never overwrites one. @throws what the store throws when there is one */
export async function createSecret(files: KeysetFiles, backend: SealBackend): Promise<StoredSecret> {
  const secret = SecretKeyHolder.generate(backend);
  const payload = secret.save();
  const name = crypto.getRandomValues(new Uint8Array(16));
  const bytes = new Uint8Array(HEADER_BYTES + payload.length);
  bytes.set(MAGIC, 0);
  bytes.set(name, 8);
  bytes.set(fromHex(backend.parameters.fingerprint), 24);
  bytes.set(fromHex(sha256Hex(payload)), 56);
  bytes.set(payload, HEADER_BYTES);
  try {
    await files.createSecret(SECRET_FILE, bytes);
  } catch (error) {
    secret[Symbol.dispose]();
    throw error;
  } finally {
    bytes.fill(0);
    payload.fill(0);
  }
  return { secret, name: toHex(name) };
}

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function fromHex(text: string): Uint8Array {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}
