/** Upload of content-addressed blobs: what the server has is not sent again. */
import { checker, DigestSchema } from '@blindfit/protocol';
import type { ApiConnection } from './connection.ts';

/** A blob to upload. */
export interface BlobUpload {
  /** `sha256:<64 lower-case hex digits>` of the bytes. */
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
  /** Gives the bytes. Called only when the server lacks the blob, so that not all blobs need be in memory. */
  readonly bytes: () => Uint8Array | Promise<Uint8Array>;
}

export interface PutBlobsOptions {
  /** Blobs under way at once. @default 4 */
  readonly concurrency?: number | undefined;
  /**
   * Progress in bytes: done (sent or skipped), in all, and how many the server had already. `bytesTotal` grows while
   * blobs are still being produced, unless the option of that name sets it.
   */
  readonly onProgress?: ((bytesDone: number, bytesTotal: number, bytesSkipped: number) => void) | undefined;
  readonly bytesTotal?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const asDigest = checker('not the digest of a blob', DigestSchema);
const pathOf = (digest: string): string => `/v1/blobs/${asDigest(digest)}`;

/** Whether the server has a blob. */
export async function hasBlob(connection: ApiConnection, digest: string, signal?: AbortSignal): Promise<boolean> {
  return await connection.call({ method: 'HEAD', path: pathOf(digest), accept: [200, 404], signal }, async (answer) => {
    await answer.body.dump();
    return answer.statusCode === 200;
  });
}

export interface PutBlobOptions {
  /** Nobody can have it yet: it is sent without asking first. @default false */
  readonly fresh?: boolean | undefined;
  readonly onSent?: ((bytes: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Uploads one blob if the server lacks it. @returns whether it was sent */
export async function putBlob(
  connection: ApiConnection,
  blob: Pick<BlobUpload, 'digest' | 'bytes'>,
  { fresh = false, signal, onSent }: PutBlobOptions = {},
): Promise<boolean> {
  if (!fresh && (await hasBlob(connection, blob.digest, signal))) return false;
  const body = await blob.bytes();
  const headers = { 'content-type': 'application/octet-stream' };
  await connection.call({ method: 'PUT', path: pathOf(blob.digest), headers, body, signal, onSent }, (answer) =>
    answer.body.dump(),
  );
  return true;
}

/** Uploads many blobs, a few at a time; the first failure ends the others. */
export async function putBlobs(
  connection: ApiConnection,
  blobs: Iterable<BlobUpload> | AsyncIterable<BlobUpload>,
  options: PutBlobsOptions = {},
): Promise<void> {
  const failed = new AbortController();
  const signal = options.signal === undefined ? failed.signal : AbortSignal.any([failed.signal, options.signal]);
  const total = options.bytesTotal ?? (Array.isArray(blobs) ? totalOf(blobs as readonly BlobUpload[]) : undefined);
  const seen = new Set<string>();
  const sending = new Map<string, number>();
  let [taken, finished, skipped] = [0, 0, 0];
  const report = (): void => {
    const under = [...sending.values()].reduce((sum, bytes) => sum + bytes, 0);
    options.onProgress?.(finished + under, Math.max(total ?? 0, taken), skipped);
  };

  const source = each(blobs);
  const lane = async (): Promise<void> => {
    for (;;) {
      signal.throwIfAborted();
      const next = await source.next();
      if (next.done === true) return;
      const blob = next.value;
      taken += blob.size;
      const repeated = seen.has(blob.digest);
      seen.add(blob.digest);
      const onSent = (bytes: number): void => {
        sending.set(blob.digest, bytes);
        report();
      };
      const sent = !repeated && (await putBlob(connection, blob, { onSent, signal }));
      sending.delete(blob.digest);
      finished += blob.size;
      if (!sent) skipped += blob.size;
      report();
    }
  };
  const lanes = Array.from({ length: Math.max(1, options.concurrency ?? 4) }, lane);
  try {
    await Promise.all(lanes);
  } catch (error) {
    failed.abort(error);
    await Promise.allSettled(lanes); // nothing goes on behind the caller's back
    throw error;
  } finally {
    await source.return(undefined);
  }
}

async function* each<T>(items: Iterable<T> | AsyncIterable<T>): AsyncGenerator<T, undefined> {
  yield* items;
  return undefined;
}

function totalOf(blobs: readonly BlobUpload[]): number {
  return blobs.reduce((sum, blob) => sum + blob.size, 0);
}
