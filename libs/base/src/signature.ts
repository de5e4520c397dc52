import { ed25519 } from '@noble/curves/ed25519.js';
import { hkdf } from '@noble/hashes/hkdf.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import { builtinModule } from './builtin.ts';

/** OpenSSL verifies 20 times as fast; browsers have to do without. */
const crypto = builtinModule?.('node:crypto');
/** A public key in DER (RFC 8410) is this and its 32 bytes. */
const DER_PREFIX = hexToBytes('302a300506032b6570032100');

/** `ed25519:` and 64 lower-case hex digits: the public half of a signing key (RFC 8032). */
export type SignerName = string;

/** `ed25519:` and 64 lower-case hex digits. */
export const SIGNER_PATTERN = '^ed25519:[0-9a-f]{64}$';
/** 128 lower-case hex digits. */
export const SIGNATURE_PATTERN = '^[0-9a-f]{128}$';

/** An Ed25519 key that signs texts. */
export interface SigningKey {
  readonly name: SignerName;
  /** @returns 128 hex digits; the same text gives the same signature */
  sign(text: string): string;
}

/** @param seed 32 bytes; copied */
export function signingKey(seed: Uint8Array): SigningKey {
  const secret = seed.slice();
  return {
    name: `ed25519:${bytesToHex(ed25519.getPublicKey(secret))}`,
    sign: (text) => bytesToHex(ed25519.sign(utf8ToBytes(text), secret)),
  };
}

/** A signing key that follows from another secret by HKDF-SHA-256 (RFC 5869). @param purpose names the use */
export function deriveSigningKey(secret: Uint8Array, purpose: string): SigningKey {
  const seed = hkdf(sha256, secret, undefined, utf8ToBytes(purpose), 32);
  try {
    return signingKey(seed);
  } finally {
    seed.fill(0);
  }
}

/**
 * Whether the signer has signed exactly this text. Strict rules of RFC 8032: keys and signatures have one encoding, and
 * a key of small order, for which one signature fits every text, is refused.
 */
export function isSignedBy(signer: SignerName, text: string, signature: string): boolean {
  if (!new RegExp(SIGNER_PATTERN).test(signer) || !new RegExp(SIGNATURE_PATTERN).test(signature)) return false;
  const key = hexToBytes(signer.slice('ed25519:'.length));
  const [bytes, message] = [hexToBytes(signature), utf8ToBytes(text)];
  try {
    if (crypto === undefined) return ed25519.verify(bytes, message, key, { zip215: false });
    // OpenSSL takes keys of small order and keys in a second encoding.
    if (!isStrictKey(key)) return false;
    const der = { key: Buffer.from([...DER_PREFIX, ...key]), format: 'der', type: 'spki' } as const;
    return crypto.verify(null, message, crypto.createPublicKey(der), bytes);
  } catch {
    return false;
  }
}

/** @throws Error when it is no point of the curve, or not in its one encoding */
function isStrictKey(key: Uint8Array): boolean {
  return !ed25519.Point.fromBytes(key, false).isSmallOrder();
}
