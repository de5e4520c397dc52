/** Evaluation keys for node-seal, in the memory of one thread. */
import { parseDigest } from '@blindfit/base';
import type { BlobStore } from '@blindfit/blobs';
import { unwrap } from '@blindfit/he';
import type { SealKeys, SealBackend } from '@blindfit/he/seal';
import type { KeyedJob } from './engine.ts';
import { named } from './errors.ts';
import { keyBlobsOf } from './keysets.ts';

/**
 * Fetches, checks and loads all keys of a job, or none.
 * @param checkpoint called before each key: throwing there abandons the load
 * @throws WireError or SealError naming the key; what the store throws
 */
export async function loadSealKeys(
  job: KeyedJob,
  backend: SealBackend,
  store: BlobStore,
  checkpoint: () => void,
): Promise<SealKeys> {
  const { parameters } = job.plan;
  let relinearisation: SealKeys['relinearisation'];
  const galois = new Map<number, ReturnType<SealBackend['loadGaloisKey']>>();
  try {
    for (const { step, digest, path } of keyBlobsOf(job)) {
      checkpoint();
      await named(path, digest, async () => {
        const bytes = await store.get(parseDigest(digest));
        if (step === undefined) {
          const payload = unwrap(bytes, { parameters, fields: { kind: 'relinearisation-key' } });
          relinearisation = backend.loadRelinearisationKey(payload);
        } else {
          const payload = unwrap(bytes, { parameters, fields: { kind: 'galois-key', step } });
          galois.set(step, backend.loadGaloisKey(payload, step));
        }
      });
    }
    return { relinearisation, galois };
  } catch (error) {
    freeSealKeys({ relinearisation, galois });
    throw error;
  }
}

export function freeSealKeys({ relinearisation, galois }: SealKeys): void {
  relinearisation?.delete();
  for (const key of galois.values()) key.delete();
}
