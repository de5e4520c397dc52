import type { BlindfitClient } from '@blindfit/client';
import { cancelStatement, purgeStatement, type JobView } from '@blindfit/protocol';
import { findSigner } from '../find-signer.ts';
import type { KeyStore } from '../key-store.ts';

/** @returns the signature of a statement on the job, if the keys of its owner are here */
async function signed(keys: KeyStore, job: JobView, statement: string): Promise<string | undefined> {
  const signer = job.signer === undefined ? undefined : await findSigner(keys, job.signer, job.parameters);
  return signer?.sign(statement);
}

/**
 * Cancels a job with its owner's signature, if its keys are here; else without one, which is for operators.
 * @returns the job afterwards
 * @throws KeysetError; what the API throws
 */
export async function cancelJob(client: BlindfitClient, keys: KeyStore, id: string): Promise<JobView> {
  const job = await client.job(id);
  return await client.cancel(id, await signed(keys, job, cancelStatement(job)));
}

/**
 * Removes a finished job with its data, with its owner's signature as {@link cancelJob}.
 * @throws KeysetError; what the API throws
 */
export async function purgeJob(client: BlindfitClient, keys: KeyStore, id: string): Promise<void> {
  const job = await client.job(id);
  await client.purge(id, await signed(keys, job, purgeStatement(job)));
}
