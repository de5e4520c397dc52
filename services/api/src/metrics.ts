import type { StatsFs } from 'node:fs';
import { statfs } from 'node:fs/promises';
import type { FastifyInstance } from 'fastify';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { JOB_KINDS, type JobKind } from '@blindfit/protocol';
import { addClusterMetrics, endedCounter, type ClusterSources } from '@blindfit/queue';
import type { BlobTraffic } from './send-blob.ts';

/** What requests did to jobs. */
export interface JobCounters {
  /** A job was accepted that was not there before. */
  submitted(kind: JobKind): void;
  cancelled(): void;
  /** @param waited seconds from the request to the answer */
  refreshed(waited: number): void;
}

export interface ApiMetrics extends JobCounters {
  readonly traffic: BlobTraffic;
  onStream(delta: 1 | -1): void;
}

export interface CollectorMetrics {
  /** A blob was removed. @param bytes its size */
  collected(bytes: number): void;
  /** @param bytes what is left in the store after a collection */
  left(bytes: number): void;
  /** The collector runs from now on. */
  started(): void;
  /** @param unclear whether blobs had to stay because a manifest cannot be read */
  succeeded(unclear: boolean): void;
  /** A collection ended early, or a blob could not be removed. */
  failed(reason: 'store' | 'error'): void;
  /** @param records of jobs that were removed */
  expired(records: number): void;
}

/** Metrics of the collection of blobs; there is none of the store's size before this process' first collection. */
export function addCollectorMetrics(registry: Registry): CollectorMetrics {
  const registers = [registry];
  const blobs = new Counter({
    name: 'blindfit_blobs_collected_total',
    help: 'Blobs removed because no job refers to them.',
    registers,
  });
  const bytesCollected = new Counter({
    name: 'blindfit_blob_collected_bytes_total',
    help: 'Bytes of these blobs.',
    registers,
  });
  const left = new Gauge({
    name: 'blindfit_blob_bytes',
    help: 'Bytes of the blobs that this API left in the store at its last collection.',
    registers,
  });
  const last = new Gauge({
    name: 'blindfit_collector_last_success_timestamp_seconds',
    help: 'When this API last got through a collection of blobs, or its collector began; in seconds since 1970.',
    registers,
  });
  const errors = new Counter({
    name: 'blindfit_collector_errors_total',
    help: 'Collections that ended early, and blobs that could not be removed.',
    registers,
  });
  const standing = new Gauge({
    name: 'blindfit_collector_standing',
    help: 'What keeps the collector from its work (1): the store, manifests that cannot be read, errors.',
    labelNames: ['reason'],
    registers,
  });
  const expired = new Counter({
    name: 'blindfit_job_records_expired_total',
    help: 'Records of jobs removed because they ended long ago.',
    registers,
  });
  const stand = (reason?: 'store' | 'manifests' | 'error'): void => {
    for (const each of ['store', 'manifests', 'error']) standing.set({ reason: each }, Number(each === reason));
  };
  stand();
  // Zero would look like an empty store, and like a collection long ago.
  left.remove({});
  last.remove({});
  return {
    collected: (bytes) => {
      blobs.inc();
      bytesCollected.inc(bytes);
    },
    left: (bytes) => left.set(bytes),
    started: () => last.setToCurrentTime(),
    succeeded: (unclear) => {
      last.setToCurrentTime();
      stand(unclear ? 'manifests' : undefined);
    },
    failed: (reason) => {
      errors.inc();
      stand(reason);
    },
    expired: (records) => expired.inc(records),
  };
}

/** Space on the file system of a store that is a directory. @param root the directory */
export function addStoreMetrics(registry: Registry, root: string): void {
  gauge(
    'blindfit_store_size_bytes',
    'Size of the file system that the blobs are on.',
    ({ blocks, bsize }) => blocks * bsize,
  );
  gauge(
    'blindfit_store_free_bytes',
    'Space left for blobs on that file system.',
    ({ bavail, bsize }) => bavail * bsize,
  );

  function gauge(name: string, help: string, value: (figures: StatsFs) => number): void {
    new Gauge({
      name,
      help,
      registers: [registry],
      async collect() {
        const figures = await statfs(root).catch(() => undefined);
        if (figures === undefined) this.remove({});
        else this.set(value(figures));
      },
    });
  }
}

/** Records of jobs that this API could not read. */
export function addWrongRecords(registry: Registry, wrong: { readonly count: number }): void {
  new Gauge({
    name: 'blindfit_job_records_wrong',
    help: 'Records of jobs that this API could not read; operators delete them: DELETE /v1/jobs/ID.',
    registers: [registry],
    collect() {
      this.set(wrong.count);
    },
  });
}

/** The API's own metrics, and those of the cluster. Times requests of all routes added to `app` later. */
export function addApiMetrics(app: FastifyInstance, registry: Registry, sources: ClusterSources): ApiMetrics {
  addWrongRecords(registry, sources.jobs.wrong);
  const registers = [registry];
  const duration = new Histogram({
    name: 'blindfit_http_request_duration_seconds',
    help:
      'Time from the request line until the last byte of the answer; event streams last as long as ' +
      'somebody watches.',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.005, 0.02, 0.1, 0.5, 2, 10, 60],
    registers,
  });
  app.addHook('onResponse', (request, reply, done) => {
    // The route's pattern, never the path, or strangers could make labels without end.
    const route = request.routeOptions.url ?? 'none';
    duration.observe({ method: request.method, route, status: String(reply.statusCode) }, reply.elapsedTime / 1000);
    done();
  });
  const received = new Counter({
    name: 'blindfit_api_blob_received_bytes_total',
    help: 'Bytes of blobs uploaded, broken uploads included.',
    registers,
  });
  const sent = new Counter({
    name: 'blindfit_api_blob_sent_bytes_total',
    help: 'Bytes of blobs downloaded completely.',
    registers,
  });
  const streams = new Gauge({ name: 'blindfit_api_event_streams', help: 'Clients that watch a job.', registers });

  const submitted = new Counter({
    name: 'blindfit_jobs_submitted_total',
    help: 'Jobs accepted; one that is submitted again counts once.',
    labelNames: ['kind'],
    registers,
  });
  for (const kind of JOB_KINDS) submitted.inc({ kind }, 0);
  const ended = endedCounter(registry, ['cancelled']);
  const refreshes = new Counter({
    name: 'blindfit_refreshes_total',
    help: 'Refreshes answered by the owners of jobs.',
    registers,
  });
  const waits = new Histogram({
    name: 'blindfit_refresh_wait_seconds',
    help: 'From the request for a refresh to the owner’s answer.',
    buckets: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600],
    registers,
  });
  addClusterMetrics(registry, sources);
  return {
    traffic: { received: (bytes) => received.inc(bytes), sent: (bytes) => sent.inc(bytes) },
    onStream: (delta) => streams.inc(delta),
    submitted: (kind) => submitted.inc({ kind }),
    cancelled: () => ended.inc({ state: 'cancelled' }),
    refreshed: (waited) => {
      refreshes.inc();
      waits.observe(waited);
    },
  };
}
