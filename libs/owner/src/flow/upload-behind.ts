/** Uploads what was just encrypted while the next ciphertext is made. */
import type { BlindfitClient } from '@blindfit/client';

export interface UploadBehind {
  /** Begins an upload when the one before is done. @throws what the one before has thrown */
  put(blob: { readonly digest: string; readonly bytes: Uint8Array }): Promise<void>;
  /** Waits for the last upload. @throws what it has thrown */
  end(): Promise<void>;
}

export function uploadBehind(client: Pick<BlindfitClient, 'putBlob'>): UploadBehind {
  let last: Promise<unknown> = Promise.resolve();
  return {
    put: async ({ digest, bytes }) => {
      await last;
      // Encrypted with fresh randomness: no server has it.
      last = client.putBlob(digest, bytes, { fresh: true });
      // It is thrown by the next call.
      last.catch(() => undefined);
    },
    end: async () => {
      await last;
    },
  };
}
