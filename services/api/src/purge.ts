/** Removes a finished job with its data, at its owner's wish. */
import { parseDigest } from '@blindfit/base';
import type { CollectableBlobStore } from '@blindfit/blobs';
import { isFinal, isPurgedBy, type JobView } from '@blindfit/protocol';
import { StoreBinding } from '@blindfit/queue';
import { addDigests, addDigestsOf, findNeeded, isUnclear, type Sources } from './needed.ts';
import { assertSignedByOwner } from './owner-signature.ts';
import type { Principal } from './principals.ts';
import { ApiError } from './problems.ts';

export interface PurgeDependencies extends Sources {
  readonly store: CollectableBlobStore;
  /** The queue `jobs`. */
  readonly queue: { remove(id: string): Promise<number> };
}

/** What one purge did. */
export interface Purged {
  readonly blobs: number;
  readonly bytes: number;
  /** Blobs that other jobs name, or that were asked about since the submission; the collector removes the latter. */
  readonly left: number;
}

/** The clock that dates blobs and the one that dates records may differ by this much. */
const MARGIN_MS = 60_000;

/** A job is purged by its owner, whose signature says so, or by an operator. @throws ApiError 403, 409 */
export function assertMayPurge(principal: Principal, job: JobView, signature: string | undefined): void {
  assertSignedByOwner(principal, job, signature, { verify: isPurgedBy, what: 'purge', command: 'purge' });
  if (!isFinal(job.state))
    throw new ApiError(
      409,
      'JOB_NOT_FINISHED',
      'Job is not finished',
      `${job.id} is ${job.state}, and only a job that has ended is purged`,
      `cancel it first: blindfit cancel ${job.id}`,
    );
}

/**
 * Removes the record, the marks of tasks, results and model, and the inputs and keys that no other job of any tenant
 * names. A client that has asked about a blob since the job was submitted may be about to use it: it stays until it
 * expires.
 * @throws {StoreUnconfirmedError} and what comparing store and Redis throws; nothing is removed then
 */
export async function purgeJob(sources: PurgeDependencies, job: JobView): Promise<Purged> {
  const { store, redis, jobs, queue } = sources;
  // A Redis that has lost its data does not know which blobs others need.
  await new StoreBinding(redis, jobs.keys, store).assertConfirmed();
  const started = Date.now();
  const inputs = new Set<string>();
  // One that is gone names nothing any more.
  await addDigestsOf(store, parseDigest(job.manifest), inputs).catch(() => undefined);
  const outputs = new Set(await jobs.wrong.digests(job.id));
  addDigests(JSON.stringify(job), outputs);
  await jobs.wrong.delete(job.id);
  // The entry of a job that was cancelled before it began; one that a scheduler holds expires by itself.
  await queue.remove(job.id).catch(() => undefined);
  const needed = await findNeeded(sources, AbortSignal.timeout(600_000));
  const submitted = Math.min(started, Date.parse(job.createdAt) + MARGIN_MS);
  const purged = { blobs: 0, bytes: 0, left: 0 };
  for (const text of new Set([...outputs, ...inputs])) {
    const digest = parseDigest(text);
    const info = await store.has(digest);
    if (info === undefined) continue;
    const named = needed?.digests.has(digest) === true || (await isUnclear(jobs.blobs, needed?.unclear ?? [], digest));
    if (!named && (await store.collect(digest, new Date(inputs.has(digest) ? submitted : started)))) {
      await jobs.blobs.remove(digest);
      purged.blobs++;
      purged.bytes += info.size;
    } else purged.left++;
  }
  return purged;
}
