import { JOB_STATES } from '@blindfit/contracts';
import type { Connection, JobStore } from '@blindfit/jobs';
import type { Queue } from 'bullmq';
import type { FastifyInstance } from 'fastify';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

import type { BlobTraffic } from './send-blob.ts';

const QUEUE_STATES = ['waiting', 'prioritized', 'waiting-children', 'active', 'delayed', 'failed'] as const;
/** A scrape must not wait for a Redis that hangs. Milliseconds. */
const COLLECT_TIMEOUT_MS = 3_000;

export interface ApiMetricsSources {
  readonly redis: Connection;
  readonly jobs: JobStore;
  /** By name. */
  readonly queues: Readonly<Record<string, Queue>>;
}

export interface ApiMetrics {
  readonly traffic: BlobTraffic;
  onStream(delta: 1 | -1): void;
}

export interface CollectorMetrics {
  /** A blob was removed. @param bytes its size */
  collected(bytes: number): void;
  /** @param bytes what is left in the store after a collection */
  left(bytes: number): void;
}

/** Metrics of the collection of blobs; there is none of the store's size before this process' first collection. */
export function addCollectorMetrics(registry: Registry): CollectorMetrics {
  const registers = [registry];
  const blobs = new Counter({ name: 'blindfit_blobs_collected_total', help: 'Blobs removed because no job refers to them.', registers });
  const bytesCollected = new Counter({ name: 'blindfit_blob_bytes_collected_total', help: 'Bytes of these blobs.', registers });
  const left = new Gauge({ name: 'blindfit_blob_bytes', help: 'Bytes of the blobs that this API left in the store at its last collection.', registers });
  // Zero would look like an empty store.
  left.remove({});
  return {
    collected: (bytes) => {
      blobs.inc();
      bytesCollected.inc(bytes);
    },
    left: (bytes) => left.set(bytes),
  };
}

/**
 * The API's own metrics, and those of the cluster that are read from Redis at each scrape: jobs by state, queue depths,
 * workers. Of the latter there are no samples while Redis is away. Times requests of all routes added to `app` later.
 */
export function addApiMetrics(app: FastifyInstance, registry: Registry, { redis, jobs, queues }: ApiMetricsSources): ApiMetrics {
  const registers = [registry];
  const duration = new Histogram({
    name: 'blindfit_http_request_duration_seconds',
    help: 'Time from the request line until the last byte of the answer; event streams last as long as somebody watches.',
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
  const received = new Counter({ name: 'blindfit_api_blob_received_bytes_total', help: 'Bytes of blobs uploaded, broken uploads included.', registers });
  const sent = new Counter({ name: 'blindfit_api_blob_sent_bytes_total', help: 'Bytes of blobs downloaded completely.', registers });
  const streams = new Gauge({ name: 'blindfit_api_event_streams', help: 'Clients that watch a job.', registers });

  gauge({ name: 'blindfit_jobs', help: 'Jobs by state, since the beginning.', labelNames: ['state'] }, async (set) => {
    const counts = await jobs.countByState();
    for (const state of JOB_STATES) set({ state }, counts.get(state) ?? 0);
  });
  gauge({ name: 'blindfit_queue_jobs', help: 'Entries of the queues by state; failed ones are kept for a day.', labelNames: ['queue', 'state'] }, async (set) => {
    for (const [name, queue] of Object.entries(queues)) {
      const counts = await queue.getJobCounts(...QUEUE_STATES);
      for (const state of QUEUE_STATES) set({ queue: name, state }, counts[state] ?? 0);
    }
  });
  gauge({ name: 'blindfit_cluster_workers', help: 'Workers seen in the last 30 seconds.', labelNames: [] }, async (set) => set({}, (await jobs.threads()).workers));
  gauge({ name: 'blindfit_cluster_threads', help: 'Threads of these workers.', labelNames: [] }, async (set) => set({}, (await jobs.threads()).threads));

  function gauge<Label extends string>(
    spec: { name: string; help: string; labelNames: Label[] },
    read: (set: (labels: Partial<Record<Label, string>>, value: number) => void) => Promise<void>,
  ): void {
    new Gauge<Label>({
      ...spec,
      registers,
      async collect() {
        // An old value would look like a current one.
        this.reset();
        this.remove({});
        if (redis.status !== 'ready') return;
        const samples: [Partial<Record<Label, string>>, number][] = [];
        let timer: NodeJS.Timeout | undefined;
        const late = new Promise<boolean>((resolve) => {
          timer = setTimeout(() => resolve(false), COLLECT_TIMEOUT_MS);
        });
        // Redis going away in the middle is logged by its connection, and shows as missing samples.
        const all = read((labels, value) => samples.push([labels, value])).then(() => true, () => false);
        const complete = await Promise.race([all, late]);
        clearTimeout(timer);
        if (complete) for (const [labels, value] of samples) this.set(labels as Record<Label, string>, value);
      },
    });
  }

  return {
    traffic: { received: (bytes) => received.inc(bytes), sent: (bytes) => sent.inc(bytes) },
    onStream: (delta) => streams.inc(delta),
  };
}
