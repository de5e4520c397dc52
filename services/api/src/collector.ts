/**
 * Removes what finished jobs leave behind, after a retention time each: records of jobs that ended long ago, and then
 * blobs that no record refers to. What a job that has not ended makes is younger than the job itself, and stays without
 * anybody having to know what it is.
 */
import { randomUUID } from 'node:crypto';
import type { Digest } from '@blindfit/base';
import { StorageError, type CollectableBlobStore } from '@blindfit/blobs';
import { StoreBinding, type BlobOwners, type Connection, type JobStore } from '@blindfit/queue';
import type { Logger } from '@blindfit/service';
import { expireRecords } from './expire-records.ts';
import type { CollectorMetrics } from './metrics.ts';
import { findNeeded, isUnclear } from './needed.ts';

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
/** Blobs counted at a time. */
const BATCH = 50;

const RELEASE = `
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`;

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
  metrics.succeeded(needed.unclear.size > 0);
  if (failures.length > 0) metrics.failed('error');
  if (failures.length > 0) logger.warn({ err: failures[0], blobs: failures.length }, 'blobs could not be removed');
  logger.info({ ...result, olderThan, seconds: (Date.now() - started) / 1000 }, 'blobs collected');
  return result;
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
