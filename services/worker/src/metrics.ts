import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { ThreadStatistics } from '@blindfit/compute';
import type { Operations } from '@blindfit/contracts';

/** Buckets for tasks that are cut to last 0.2 to 2 seconds, and for those that turn out otherwise. */
const SECONDS = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60];

/** What a worker tells Prometheus. Threads report deltas, because prom-client does not aggregate over threads. */
export class WorkerMetrics {
  private readonly tasks: Counter<'kind' | 'outcome'>;
  private readonly duration: Histogram<'kind'>;
  private readonly wait: Histogram<'kind'>;
  private readonly operations: Counter<'operation'>;
  private readonly keyLoads: Counter<'outcome'>;
  private readonly keySeconds: Counter;
  private readonly caches: Counter<'cache' | 'outcome'>;
  private readonly bytes: Counter<'direction'>;
  private readonly heap: Gauge<'thread'>;
  private readonly stalled: Counter;
  private readonly lostLocks: Counter;

  constructor(registry: Registry, pool: { readonly size: number; readonly busy: number }) {
    const registers = [registry];
    this.tasks = new Counter({ name: 'blindfit_tasks_total', help: 'Tasks that ended, by kind and outcome.', labelNames: ['kind', 'outcome'], registers });
    this.duration = new Histogram({ name: 'blindfit_task_duration_seconds', help: 'Time a thread spent on a task.', labelNames: ['kind'], buckets: SECONDS, registers });
    this.wait = new Histogram({ name: 'blindfit_task_wait_seconds', help: 'Time a task waited in the queue.', labelNames: ['kind'], buckets: SECONDS, registers });
    this.operations = new Counter({ name: 'blindfit_he_operations_total', help: 'Homomorphic operations.', labelNames: ['operation'], registers });
    this.keyLoads = new Counter({ name: 'blindfit_key_cache_requests_total', help: 'Requests for a keyset in a thread.', labelNames: ['outcome'], registers });
    this.keySeconds = new Counter({ name: 'blindfit_key_load_seconds_total', help: 'Time spent loading evaluation keys.', registers });
    this.caches = new Counter({ name: 'blindfit_cache_requests_total', help: 'Requests to the caches of blobs and of parsed ciphertexts.', labelNames: ['cache', 'outcome'], registers });
    this.bytes = new Counter({ name: 'blindfit_blob_bytes_total', help: 'Bytes of intermediate results read and written.', labelNames: ['direction'], registers });
    this.heap = new Gauge({ name: 'blindfit_wasm_heap_bytes', help: 'WebAssembly memory of a compute thread.', labelNames: ['thread'], registers });
    this.stalled = new Counter({ name: 'blindfit_tasks_stalled_total', help: 'Tasks taken back from a worker that stopped renewing its lock.', registers });
    this.lostLocks = new Counter({ name: 'blindfit_lock_renewals_lost_total', help: 'Tasks whose lock could not be renewed.', registers });
    new Gauge({ name: 'blindfit_threads', help: 'Compute threads of this worker.', registers }).set(pool.size);
    new Gauge({
      name: 'blindfit_threads_busy',
      help: 'Compute threads that work on a task.',
      registers,
      collect() {
        this.set(pool.busy);
      },
    });
  }

  finished(kind: string, outcome: 'completed' | 'failed' | 'cancelled' | 'retried', seconds: number): void {
    this.tasks.inc({ kind, outcome });
    if (outcome === 'completed') this.duration.observe({ kind }, seconds);
  }

  waited(kind: string, seconds: number): void {
    this.wait.observe({ kind }, Math.max(0, seconds));
  }

  computed(operations: Operations, loadKeysSeconds: number): void {
    for (const [operation, count] of Object.entries(operations)) this.operations.inc({ operation }, count);
    this.keySeconds.inc(loadKeysSeconds);
  }

  thread(index: number, delta: ThreadStatistics): void {
    this.keyLoads.inc({ outcome: 'hit' }, delta.keyHits);
    this.keyLoads.inc({ outcome: 'miss' }, delta.keyMisses);
    this.caches.inc({ cache: 'ciphertext', outcome: 'hit' }, delta.ciphertextHits);
    this.caches.inc({ cache: 'ciphertext', outcome: 'miss' }, delta.ciphertextMisses);
    this.caches.inc({ cache: 'blob', outcome: 'hit' }, delta.blobHits);
    this.caches.inc({ cache: 'blob', outcome: 'miss' }, delta.blobMisses);
    this.bytes.inc({ direction: 'read' }, delta.bytesRead);
    this.bytes.inc({ direction: 'written' }, delta.bytesWritten);
    this.heap.set({ thread: String(index) }, delta.heapBytes);
  }

  stall(): void {
    this.stalled.inc();
  }

  lockLost(count: number): void {
    this.lostLocks.inc(count);
  }
}
