import { randomBytes } from 'node:crypto';
import { digestOf, type Digest } from '@blindfit/base';

/** Random bytes and their digest. */
export function randomBlob(size: number): { bytes: Uint8Array; digest: Digest } {
  const bytes = new Uint8Array(randomBytes(size));
  return { bytes, digest: digestOf(bytes) };
}

/** The bytes as a stream of chunks, with a turn of the event loop between them. */
export async function* chunked(bytes: Uint8Array, chunk = 16_384): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += chunk) {
    await new Promise((resolve) => setImmediate(resolve));
    yield bytes.subarray(at, at + chunk);
  }
}

export async function readAll(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  return new Uint8Array(Buffer.concat(await Array.fromAsync(stream)));
}
