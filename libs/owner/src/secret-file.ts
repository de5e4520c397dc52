/**
 * The file of a secret key. It is not Blindfit's wire format, on purpose: no server-side code can mistake it for a blob.
 *
 * ```
 * offset size
 *      0    8  "BFSECRT" and the version, 1
 *      8   16  random name of the key, which its public files repeat
 *     24   32  SHA-256 of the parameter set
 *     56   32  SHA-256 of the payload
 *     88       payload: SEAL's serialisation
 * ```
 */
import { createHash, randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { errnoOf } from '@blindfit/base';
import { createFile } from '@blindfit/base/node';
import { SealError } from '@blindfit/he';
import { type SealBackend } from '@blindfit/he/seal';
import { KeysetError } from './errors.ts';
import { SecretKeyHolder } from './secret-key.ts';

const MAGIC = Buffer.from('BFSECRT\u0001', 'latin1');
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
export async function readSecret(path: string, backend: SealBackend): Promise<StoredSecret | undefined> {
  const bytes = await readPrivate(path);
  if (bytes === undefined) return undefined;
  try {
    if (bytes.length <= HEADER_BYTES || !bytes.subarray(0, 8).equals(MAGIC))
      throw new KeysetError('KEYSET_CORRUPT', `${path} is no secret key of Blindfit`, RESTORE);
    if (bytes.subarray(24, 56).toString('hex') !== backend.parameters.fingerprint) {
      throw new KeysetError(
        'KEYSET_FOREIGN',
        `${path} is a key of other parameters than ${backend.parameters.name}`,
        'move it back to the directory it comes from',
      );
    }
    const payload = bytes.subarray(HEADER_BYTES);
    if (!bytes.subarray(56, 88).equals(createHash('sha256').update(payload).digest()))
      throw new KeysetError('KEYSET_CORRUPT', `${path} is damaged`, RESTORE);
    try {
      return { secret: SecretKeyHolder.load(backend, payload), name: bytes.subarray(8, 24).toString('hex') };
    } catch (error) {
      if (error instanceof SealError)
        throw new KeysetError('KEYSET_CORRUPT', `${path} is damaged: ${error.message}`, RESTORE);
      throw error;
    }
  } finally {
    bytes.fill(0);
  }
}

/** Makes a secret key and writes it, mode 0600. Never overwrites one: an error with code EEXIST instead. */
export async function createSecret(path: string, backend: SealBackend): Promise<StoredSecret> {
  const secret = SecretKeyHolder.generate(backend);
  const payload = secret.save();
  const name = randomBytes(16);
  const digest = createHash('sha256').update(payload).digest();
  const bytes = Buffer.concat([MAGIC, name, Buffer.from(backend.parameters.fingerprint, 'hex'), digest, payload]);
  try {
    await createFile(path, bytes);
  } catch (error) {
    secret[Symbol.dispose]();
    throw error;
  } finally {
    bytes.fill(0);
    payload.fill(0);
  }
  return { secret, name: name.toString('hex') };
}

async function readPrivate(path: string): Promise<Buffer | undefined> {
  let file;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    // The open file is asked, so that it cannot be exchanged between the question and the reading.
    const mode = (await file.stat()).mode & 0o777;
    if ((mode & 0o077) !== 0) {
      throw new KeysetError(
        'KEYSET_EXPOSED',
        `others may read the secret key ${path} (mode ${mode.toString(8).padStart(4, '0')})`,
        `run: chmod 600 ${path}; if others use this machine, make a new keyset`,
      );
    }
    return await file.readFile();
  } finally {
    await file.close();
  }
}
