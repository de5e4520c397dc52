import { randomBytes } from 'node:crypto';
import { digestOf, type Digest } from '@blindfit/base';

/** Random bytes and their digest. */
export function randomBlob(size: number): { bytes: Uint8Array<ArrayBuffer>; digest: Digest } {
  const bytes = new Uint8Array(randomBytes(size));
  return { bytes, digest: digestOf(bytes) };
}
