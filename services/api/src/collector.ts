/**
 * Removes what finished jobs leave behind: records of jobs that ended long ago, and blobs that no record refers to, after
 * a retention time each. What a job
 * that has not ended makes is younger than the job itself, and stays without anybody having to know what it is.
 */
import { randomUUID } from 'node:crypto';
import { at, parseDigest, type Digest } from '@blindfit/base';
import { StorageError, type BlobStore, type CollectableBlobStore } from '@blindfit/blobs';
import { DEFAULT_TENANT, isFinal } from '@blindfit/protocol';
import { StoreBinding, type BlobOwners, type Connection, type JobStore } from '@blindfit/queue';
import type { Logger } from '@blindfit/service';
import { expireRecords } from './expire-records.ts';
import type { CollectorMetrics } from './metrics.ts';

export interface CollectorOptions {
  readonly store: CollectableBlobStore;
  readonly redis: Connection;
  readonly jobs: JobStore;
  /** Of all keys in Redis. */
  readonly prefix: string;
  /** Milliseconds that a blob stays which no job refers to. */
  readonly retentionMs: number;
  /** Milliseconds that the record of a job stays after its end. @default Infinity */
  readonly recordRetentionMs?: number | undefined;
  readonly logger: Logger;
  readonly metrics: CollectorMetrics;
  /** Milliseconds until the first collection. @default 60000 */
  readonly firstMs?: number;
  /** Milliseconds between the end of a collection and the next. @default 3600000 */
  readonly intervalMs?: number;
}

/** What one collection did. */
export interface Collection {
  readonly collected: number;
  readonly collectedBytes: number;
  readonly left: number;
  readonly leftBytes: number;
}

export interface Collector {
  /**
   * Collects now.
   * @returns undefined when nothing was collected: another process is at it, or there are no jobs yet
   * @throws {StorageError} `STORE_MISMATCH`, `STORE_UNCONFIRMED`, ... when the store is not known to belong to Redis
   * @throws what Redis or the store throw
   */
  collect(): Promise<Collection | undefined>;
  /** Ends a running collection at the next blob and starts no more. */
  close(): Promise<void>;
}

/** The clock that dates blobs and the one that dates records may differ by this much. */
const MARGIN_MS = 60_000;
/** After this a process that died while collecting is in nobody's way. Two at once would do no harm, only work. */
const LOCK_MS = 600_000;
/** Records read at a time. */
const BATCH = 50;

const DIGEST = /sha256:[0-9a-f]{64}/g;
const DIGEST_LENGTH = 71;

const RELEASE = `
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`;

/** What must stay. */
interface Needed {
  readonly digests: ReadonlySet<string>;
  /** When the oldest job that has not ended was created; `Infinity` when all have. Milliseconds since the epoch. */
  readonly oldestRunning: number;
  /** Tenants of jobs whose manifests cannot be read: any of their blobs may be needed. */
  readonly unclear: ReadonlySet<string>;
}

/** Collects a minute from now and every hour from then on; keeps no process alive. */
export function startCollector(options: CollectorOptions): Collector {
  const { redis, prefix, logger, firstMs = 60_000, intervalMs = 3_600_000 } = options;
  const closing = new AbortController();
  const lock = `${prefix}:collecting`;

  const collect = async (): Promise<Collection | undefined> => {
    const token = randomUUID();
    if ((await redis.set(lock, token, 'PX', LOCK_MS, 'NX')) !== 'OK') return undefined;
    try {
      return await collectOnce(options, closing.signal);
    } catch (error) {
      if (!closing.signal.aborted) options.metrics.failed(error instanceof StorageError ? 'store' : 'error');
      throw error;
    } finally {
      // If this fails it runs out by itself.
      await redis.eval(RELEASE, 1, lock, token).catch(() => undefined);
    }
  };

  let running: Promise<unknown> = Promise.resolve();
  const track = (): Promise<Collection | undefined> => {
    const promise = collect();
    running = Promise.allSettled([running, promise]);
    return promise;
  };
  let timer: NodeJS.Timeout | undefined;
  const schedule = (milliseconds: number): void => {
    if (closing.signal.aborted) return;
    timer = setTimeout(() => {
      void track()
        .catch((error: unknown) => {
          if (!closing.signal.aborted) logger.warn({ err: error }, 'blobs could not be collected; trying again later');
        })
        .then(() => schedule(intervalMs));
    }, milliseconds).unref();
  };
  schedule(firstMs);
  options.metrics.started();
  return {
    collect: track,
    async close() {
      closing.abort(new Error('the collector was closed'));
      clearTimeout(timer);
      await running;
    },
  };
}

async function collectOnce(
  { store, redis, jobs, retentionMs, recordRetentionMs = Infinity, logger, metrics }: CollectorOptions,
  signal: AbortSignal,
): Promise<Collection | undefined> {
  await new StoreBinding(redis, jobs.keys, store).assertConfirmed();
  const started = Date.now();
  if (recordRetentionMs < Infinity) {
    const expired = await expireRecords(jobs, started - recordRetentionMs, signal);
    metrics.expired(expired);
    if (expired > 0) logger.info({ jobs: expired }, 'records of jobs that ended long ago removed');
  }
  const needed = await findNeeded({ store, redis, jobs, logger }, signal);
  if (needed === undefined) {
    metrics.succeeded(false);
    return undefined;
  }
  const olderThan = new Date(Math.min(started - retentionMs, needed.oldestRunning - MARGIN_MS));
  const bytes = new Map<string, number>((await jobs.blobs.tenants()).map((tenant) => [tenant, 0]));
  let listed: { readonly digest: Digest; readonly size: number }[] = [];
  const count = async (): Promise<void> => {
    await countBytes(jobs.blobs, listed, bytes);
    listed = [];
  };
  const result = { collected: 0, collectedBytes: 0, left: 0, leftBytes: 0 };
  const failures: unknown[] = [];
  for await (const { digest, size, modified } of store.list()) {
    signal.throwIfAborted();
    let gone = false;
    if (modified < olderThan && !needed.digests.has(digest)) {
      try {
        gone = !(await isUnclear(jobs.blobs, needed.unclear, digest)) && (await store.collect(digest, olderThan));
      } catch (error) {
        // One file that cannot be removed must not keep all others.
        failures.push(error);
      }
    }
    if (gone) {
      await jobs.blobs.remove(digest);
      metrics.collected(size);
      result.collected++;
      result.collectedBytes += size;
    } else {
      result.left++;
      result.leftBytes += size;
      if (listed.push({ digest, size }) >= BATCH) await count();
    }
  }
  await count();
  await jobs.blobs.setBytes(bytes);
  metrics.left(result.leftBytes);
  await store.removeLeftovers();
  for (const _failure of failures) metrics.failed('error');
  metrics.succeeded(needed.unclear.size > 0);
  if (failures.length > 0) logger.warn({ err: failures[0], blobs: failures.length }, 'blobs could not be removed');
  logger.info({ ...result, olderThan, seconds: (Date.now() - started) / 1000 }, 'blobs collected');
  return result;
}

/** Whether the blob may be one that a manifest names which cannot be read. */
async function isUnclear(owners: BlobOwners, unclear: ReadonlySet<string>, digest: Digest): Promise<boolean> {
  for (const tenant of unclear) if (await owners.has(tenant, digest)) return true;
  return false;
}

/** Adds the sizes of blobs to the sums of the tenants that have them. */
async function countBytes(
  owners: BlobOwners,
  blobs: readonly { readonly digest: Digest; readonly size: number }[],
  bytes: Map<string, number>,
): Promise<void> {
  const digests = blobs.map(({ digest }) => digest);
  for (const [tenant, sum] of bytes) {
    const missing = await owners.missing(tenant, digests);
    bytes.set(
      tenant,
      blobs.reduce((all, { digest, size }) => (missing.has(digest) ? all : all + size), sum),
    );
  }
}

/** Every digest in the records of jobs and in their manifests; undefined when there are no records. */
async function findNeeded(
  { store, redis, jobs, logger }: Pick<CollectorOptions, 'store' | 'redis' | 'jobs' | 'logger'>,
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
          'a manifest cannot be read, so that it is not known what its job refers to: no blobs of its tenant are collected',
        );
        unclear.add(job.tenant ?? DEFAULT_TENANT);
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
async function addDigestsOf(store: BlobStore, blob: Digest, digests: Set<string>): Promise<void> {
  let rest = '';
  for await (const chunk of (await store.stream(blob)) as AsyncIterable<Buffer>) {
    const text = rest + chunk.toString('latin1');
    addDigests(text, digests);
    rest = text.slice(1 - DIGEST_LENGTH);
  }
}

function addDigests(text: string, digests: Set<string>): void {
  // A copy of each, or it would hold on to the text it was found in.
  for (const [digest] of text.matchAll(DIGEST))
    if (!digests.has(digest)) digests.add(Buffer.from(digest, 'latin1').toString('latin1'));
}
