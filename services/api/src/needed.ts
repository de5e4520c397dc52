/** Which blobs the records of jobs and their manifests name. */
import { at, parseDigest, type Digest } from '@blindfit/base';
import type { BlobStore } from '@blindfit/blobs';
import { isFinal } from '@blindfit/protocol';
import type { BlobOwners, Connection, JobStore } from '@blindfit/queue';
import type { Logger } from '@blindfit/service';

/** Records read at a time. */
const BATCH = 50;

const DIGEST = /sha256:[0-9a-f]{64}/g;
const DIGEST_LENGTH = 71;

/** Where it is looked. */
export interface Sources {
  readonly store: BlobStore;
  readonly redis: Connection;
  readonly jobs: JobStore;
  readonly logger: Pick<Logger, 'debug' | 'warn'>;
}

/** What must stay. */
export interface Needed {
  readonly digests: ReadonlySet<string>;
  /** When the oldest job that has not ended was created; `Infinity` when all have. Milliseconds since the epoch. */
  readonly oldestRunning: number;
  /** Tenants of jobs whose manifests cannot be read: any of their blobs may be needed. */
  readonly unclear: ReadonlySet<string>;
}

/** Whether the blob may be one that a manifest names which cannot be read. */
export async function isUnclear(owners: BlobOwners, unclear: Iterable<string>, digest: Digest): Promise<boolean> {
  for (const tenant of unclear) if (await owners.has(tenant, digest)) return true;
  return false;
}

/** Every digest in the records of jobs and in their manifests; undefined when there are no records. */
export async function findNeeded(
  { store, redis, jobs, logger }: Sources,
  signal: AbortSignal,
): Promise<Needed | undefined> {
  // All ids at once: pages would shift when a record is removed. A job that comes later has just touched its blobs.
  const ids = await redis.zrange(jobs.keys.index, '0', '-1');
  if (ids.length === 0) {
    // Rather a Redis that lost its data, or the wrong one, than a store full of nothing but left-overs.
    logger.debug('no jobs are recorded: no blobs are collected');
    return undefined;
  }
  const digests = new Set<string>();
  const manifests = new Set<string>();
  const unclear = new Set<string>();
  let oldestRunning = Infinity;
  for (let from = 0; from < ids.length; from += BATCH) {
    const batch = ids.slice(from, from + BATCH);
    for (const [position, job] of (await Promise.all(batch.map((id) => jobs.get(id)))).entries()) {
      if (job === undefined) {
        // What a wrong record names stays as well, and what its job makes is not known to be over.
        const id = at(batch, position, 'ids');
        if (jobs.wrong.has(id)) for (const digest of await jobs.wrong.digests(id)) digests.add(digest);
        continue;
      }
      if (!isFinal(job.state)) oldestRunning = Math.min(oldestRunning, Date.parse(job.createdAt));
      addDigests(JSON.stringify(job), digests);
      if (manifests.has(job.manifest)) continue;
      signal.throwIfAborted();
      try {
        await addDigestsOf(store, parseDigest(job.manifest), digests);
      } catch (error) {
        logger.warn(
          { err: error, job: job.id, manifest: job.manifest, tenant: job.tenant },
          'a manifest cannot be read, so that it is not known what its job needs: no blobs of its tenant are collected',
        );
        unclear.add(job.tenant);
        continue;
      }
      manifests.add(job.manifest);
    }
  }
  return { digests, oldestRunning, unclear };
}

/**
 * Whatever kind of manifest it is, what looks like a digest is one. Searched as it is read, since parsing a large one
 * would hold up the event loop; the API itself wrote it, without any escapes in digests.
 *
 * @throws {BlobNotFoundError}
 * @throws {CorruptBlobError}
 */
export async function addDigestsOf(store: BlobStore, blob: Digest, digests: Set<string>): Promise<void> {
  let rest = '';
  for await (const chunk of (await store.stream(blob)) as AsyncIterable<Buffer>) {
    const text = rest + chunk.toString('latin1');
    addDigests(text, digests);
    rest = text.slice(1 - DIGEST_LENGTH);
  }
}

export function addDigests(text: string, digests: Set<string>): void {
  // A copy of each, or it would hold on to the text it was found in.
  for (const [digest] of text.matchAll(DIGEST))
    if (!digests.has(digest)) digests.add(Buffer.from(digest, 'latin1').toString('latin1'));
}
