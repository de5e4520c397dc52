import { defined } from '@blindfit/base';
import type { BlindfitClient } from '@blindfit/client';
import type { Keyset } from '../keyset.ts';
import type { FlowOptions } from './states.ts';

/** Uploads a keyset's public keys that the server lacks. @returns bytes of all of them */
export async function uploadKeys(client: BlindfitClient, keyset: Keyset, options: FlowOptions): Promise<number> {
  const keys = [keyset.relinearisationKey, ...keyset.galoisKeys.values()];
  await client.putBlobs(
    keys.map((key) => ({ digest: key.digest, size: key.size, bytes: () => key.read() })),
    {
      ...defined({ signal: options.signal }),
      onProgress: (done, total, skipped) => options.onProgress?.({ phase: 'uploading keys', done, total, skipped }),
    },
  );
  return keys.reduce((sum, key) => sum + key.size, 0);
}
