/**
 * A secret file under a passphrase: scrypt (RFC 7914) makes a key of that, and AES-256-GCM seals the file with it.
 *
 * ``` offset size
 *      0    8  "BFSEALD" and the version, 1
 *      8    1  log2 of scrypt's N
 *      9    1  scrypt's r
 *     10    1  scrypt's p
 *     11   16  salt
 *     27   12  nonce
 *     39   16  tag, which covers all of the above as well
 *     55       the sealed file
 * ```
 */
import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto';

const MAGIC = Buffer.from('BFSEALD\u0001');
const NONCE_AT = 27;
const TAG_AT = 39;
const HEADER_BYTES = 55;
const CIPHER = 'aes-256-gcm';

/** What a guess costs: 128 N r bytes of memory and about N r p steps. */
export interface SealingCost {
  readonly logN: number;
  readonly r: number;
  readonly p: number;
}

/** 128 MiB and some 0.4 s a guess. */
export const SEALING_COST: SealingCost = { logN: 17, r: 8, p: 1 };
/** A damaged file shall not ask for all memory or for hours. */
const MAX_MEMORY = 2 ** 30;
const MAX_P = 16;

export function isSealed(bytes: Uint8Array): boolean {
  return MAGIC.equals(bytes.subarray(0, MAGIC.length));
}

export async function sealSecret(
  bytes: Uint8Array,
  passphrase: string,
  cost: SealingCost = SEALING_COST,
): Promise<Uint8Array> {
  const header = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(header);
  header.set([cost.logN, cost.r, cost.p], 8);
  randomBytes(NONCE_AT - 11).copy(header, 11);
  randomBytes(TAG_AT - NONCE_AT).copy(header, NONCE_AT);
  const key = await keyOf(passphrase, header);
  try {
    const cipher = createCipheriv(CIPHER, key, header.subarray(NONCE_AT, TAG_AT));
    cipher.setAAD(header.subarray(0, TAG_AT));
    const body = Buffer.concat([cipher.update(bytes), cipher.final()]);
    cipher.getAuthTag().copy(header, TAG_AT);
    return Buffer.concat([header, body]);
  } finally {
    key.fill(0);
  }
}

/**
 * @returns undefined when the passphrase is another one, or a byte has changed
 * @throws RangeError for a header that nothing of ours has written
 */
export async function openSealed(bytes: Uint8Array, passphrase: string): Promise<Uint8Array | undefined> {
  if (!isSealed(bytes) || bytes.length < HEADER_BYTES) throw new RangeError('it is cut off');
  const header = Buffer.from(bytes.subarray(0, HEADER_BYTES));
  const key = await keyOf(passphrase, header);
  try {
    const decipher = createDecipheriv(CIPHER, key, header.subarray(NONCE_AT, TAG_AT));
    decipher.setAAD(header.subarray(0, TAG_AT));
    decipher.setAuthTag(header.subarray(TAG_AT));
    const begun = decipher.update(bytes.subarray(HEADER_BYTES));
    try {
      const rest = decipher.final();
      return rest.length === 0 ? begun : Buffer.concat([begun, rest]);
    } catch {
      begun.fill(0);
      return undefined;
    }
  } finally {
    key.fill(0);
  }
}

function keyOf(passphrase: string, header: Buffer): Promise<Buffer> {
  const [logN = 0, r = 0, p = 0] = header.subarray(8, 11);
  const memory = 128 * 2 ** logN * r;
  if (logN < 1 || r < 1 || p < 1 || p > MAX_P || memory > MAX_MEMORY)
    throw new RangeError(`it asks for scrypt with N = 2^${logN}, r = ${r}, p = ${p}`);
  // The same text in either form of Unicode is the same passphrase.
  const text = passphrase.normalize('NFC');
  return new Promise((done, failed) => {
    // Node counts some more than the table itself.
    scrypt(
      text,
      header.subarray(11, NONCE_AT),
      32,
      { N: 2 ** logN, r, p, maxmem: 2 * memory + 2 ** 20 },
      (error, key) => (error === null ? done(key) : failed(error)),
    );
  });
}
