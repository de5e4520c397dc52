import { readFile } from 'node:fs/promises';
import type { BlindfitClient } from '@blindfit/client';
import type { Keyset } from '@blindfit/owner';
import { formatBytes } from '../format.ts';
import type { Progress } from '../progress.ts';

/** Uploads a keyset's public keys from their files, those the server lacks. @returns bytes of all of them */
export async function uploadKeys(
  client: BlindfitClient,
  keyset: Keyset,
  progress: Progress,
  signal: AbortSignal,
): Promise<number> {
  const keys = [keyset.relinearisationKey, ...keyset.galoisKeys.values()];
  await client.putBlobs(
    keys.map(({ digest, size, path }) => ({ digest, size, bytes: () => readFile(path) })),
    {
      signal,
      onProgress: (done, total, skipped) =>
        progress.update({
          phase: 'uploading keys',
          done,
          total,
          text: `${formatBytes(done)}${skipped > 0 ? `, ${formatBytes(skipped)} were there already` : ''}`,
        }),
    },
  );
  return keys.reduce((sum, key) => sum + key.size, 0);
}
