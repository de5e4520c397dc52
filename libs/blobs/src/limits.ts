import type { Digest } from '@blindfit/base';
import { BlobSizeMismatchError, BlobTooLargeError } from './errors.ts';

export interface Limits {
  /** Bytes that will come; undefined where that is not known. */
  readonly declared: number | undefined;
  readonly maxBytes: number;
}

/**
 * Passes the chunks of a blob on as long as they keep the limits.
 *
 * @throws {BlobTooLargeError} as soon as `maxBytes` is exceeded
 * @throws {BlobSizeMismatchError} as soon as more than the declared bytes have come, or at the end of fewer
 */
export async function* limited(
  source: AsyncIterable<Uint8Array>,
  digest: Digest,
  { declared, maxBytes }: Limits,
): AsyncGenerator<Uint8Array> {
  let size = 0;
  for await (const chunk of source) {
    size += chunk.length;
    if (size > maxBytes) throw new BlobTooLargeError(digest, maxBytes);
    if (declared !== undefined && size > declared) throw new BlobSizeMismatchError(digest, declared, 'more');
    yield chunk;
  }
  if (declared !== undefined && size < declared) throw new BlobSizeMismatchError(digest, declared, `only ${size}`);
}
