import type { BlindfitClient } from '@blindfit/client';
import { cancelStatement, purgeStatement, type JobView } from '@blindfit/protocol';
import { findSigner } from '../find-signer.ts';
import type { KeyStore } from '../key-store.ts';

/**
 * Cancels a job with its owner's signature, if its keys are here; else without one, which is for operators.
 * @returns the job afterwards
 * @throws KeysetError; what the API throws
 */
export async function cancelJob(client: BlindfitClient, keys: KeyStore, id: string): Promise<JobView> {
  const job = await client.job(id);
  const signer = job.signer === undefined ? undefined : await findSigner(keys, job.signer, job.parameters);
  return await client.cancel(id, signer?.sign(cancelStatement(job)));
}

/**
 * Removes a finished job with its data, with its owner's signature as {@link cancelJob}.
 * @throws KeysetError; what the API throws
 */
export async function purgeJob(client: BlindfitClient, keys: KeyStore, id: string): Promise<void> {
  const job = await client.job(id);
  const signer = job.signer === undefined ? undefined : await findSigner(keys, job.signer, job.parameters);
  await client.purge(id, signer?.sign(purgeStatement(job)));
}
