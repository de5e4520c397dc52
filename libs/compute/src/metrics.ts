import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { StoreCall } from '@blindfit/blobs';
import { addStoreCalls } from '@blindfit/blobs/metrics';
import { noOperations } from '@blindfit/he';
import { type ResolvedEvaluator } from '@blindfit/he/native';
import type { TaskResult } from '@blindfit/protocol';
import type { ThreadStatistics } from './messages.ts';
import type { ThreadPool } from './pool.ts';

/**
 * What a process with compute threads tells Prometheus about them. Threads report deltas, because prom-client does not
 * aggregate over threads.
 */
export class ComputeMetrics {
  readonly #operations: Counter<'operation'>;
  readonly #keyLoads: Counter<'outcome'>;
  readonly #keySeconds: Counter;
  readonly #caches: Counter<'cache' | 'outcome'>;
  readonly #damaged: Counter<'cache'>;
  readonly #bytes: Counter<'direction'>;
  readonly #heap: Gauge<'thread'>;
  readonly #levels: Histogram;
  readonly #storeCall: (call: StoreCall) => void;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#storeCall = addStoreCalls(registry);
    this.#operations = new Counter({
      name: 'blindfit_he_operations_total',
      help: 'Homomorphic operations.',
      labelNames: ['operation'],
      registers,
    });
    this.#keyLoads = new Counter({
      name: 'blindfit_key_cache_requests_total',
      help: 'Requests for a keyset in a thread.',
      labelNames: ['outcome'],
      registers,
    });
    this.#keySeconds = new Counter({
      name: 'blindfit_key_load_seconds_total',
      help: 'Time spent setting up parameters and loading evaluation keys.',
      registers,
    });
    this.#caches = new Counter({
      name: 'blindfit_cache_requests_total',
      help: 'Requests to the caches of blobs, of expanded inputs in files and of ciphertexts in a thread.',
      labelNames: ['cache', 'outcome'],
      registers,
    });
    this.#damaged = new Counter({
      name: 'blindfit_cache_damaged_files_total',
      help: 'Files of the caches of this host that were not as they were written, and were removed.',
      labelNames: ['cache'],
      registers,
    });
    this.#bytes = new Counter({
      name: 'blindfit_blob_bytes_total',
      help: 'Bytes of intermediate results read and written.',
      labelNames: ['direction'],
      registers,
    });
    this.#heap = new Gauge({
      name: 'blindfit_wasm_heap_bytes',
      help: 'WebAssembly memory of a compute thread.',
      labelNames: ['thread'],
      registers,
    });
    // Shown from the start: the first of its kind would be no increase otherwise.
    for (const operation of Object.keys(noOperations())) this.#operations.inc({ operation }, 0);
    for (const outcome of ['hit', 'miss']) {
      this.#keyLoads.inc({ outcome }, 0);
      for (const cache of ['ciphertext', 'input-file', 'blob']) this.#caches.inc({ cache, outcome }, 0);
    }
    for (const cache of ['key-file', 'input-file', 'blob']) this.#damaged.inc({ cache }, 0);
    for (const direction of ['read', 'written']) this.#bytes.inc({ direction }, 0);
    this.#levels = new Histogram({
      name: 'blindfit_ciphertext_level',
      help: 'Levels of the ciphertexts that tasks wrote: how many multiplications each still has.',
      buckets: Array.from({ length: 21 }, (_, level) => level),
      registers,
    });
  }

  /** Adds the gauges of a pool; the pool reports to {@link thread}, so it is made after the metrics. */
  watch(
    registry: Registry,
    pool: Pick<ThreadPool, 'size' | 'busy' | 'busySeconds'>,
    evaluator: ResolvedEvaluator,
  ): void {
    const registers = [registry];
    new Gauge({
      name: 'blindfit_evaluator_info',
      help: 'Always 1; the labels say what evaluates the circuits, and on which kernel.',
      labelNames: ['evaluator', 'kernel'],
      registers,
    }).set({ evaluator: evaluator.kind, kernel: evaluator.kind === 'native' ? evaluator.kernel : 'wasm' }, 1);
    new Gauge({ name: 'blindfit_threads', help: 'Compute threads of this process.', registers }).set(pool.size);
    new Gauge({
      name: 'blindfit_threads_busy',
      help: 'Compute threads that work on a task.',
      registers,
      collect() {
        this.set(pool.busy);
      },
    });
    new Counter({
      name: 'blindfit_thread_busy_seconds_total',
      help: 'Time a compute thread spent on tasks, those under way included.',
      labelNames: ['thread'],
      registers,
      collect() {
        this.reset();
        for (const [thread, seconds] of pool.busySeconds.entries()) this.inc({ thread: String(thread) }, seconds);
      },
    });
  }

  computed({ operations, loadKeysSeconds }: TaskResult): void {
    for (const [operation, count] of Object.entries(operations)) this.#operations.inc({ operation }, count);
    this.#keySeconds.inc(loadKeysSeconds);
  }

  readonly thread = (index: number, delta: ThreadStatistics): void => {
    this.#keyLoads.inc({ outcome: 'hit' }, delta.keyHits);
    this.#keyLoads.inc({ outcome: 'miss' }, delta.keyMisses);
    this.#caches.inc({ cache: 'ciphertext', outcome: 'hit' }, delta.ciphertextHits);
    this.#caches.inc({ cache: 'ciphertext', outcome: 'miss' }, delta.ciphertextMisses);
    this.#caches.inc({ cache: 'input-file', outcome: 'hit' }, delta.inputHits);
    this.#caches.inc({ cache: 'input-file', outcome: 'miss' }, delta.inputMisses);
    this.#caches.inc({ cache: 'blob', outcome: 'hit' }, delta.blobHits);
    this.#caches.inc({ cache: 'blob', outcome: 'miss' }, delta.blobMisses);
    this.#damaged.inc({ cache: 'key-file' }, delta.damagedKeys);
    this.#damaged.inc({ cache: 'input-file' }, delta.damagedInputs);
    this.#damaged.inc({ cache: 'blob' }, delta.damagedBlobs);
    this.#bytes.inc({ direction: 'read' }, delta.bytesRead);
    this.#bytes.inc({ direction: 'written' }, delta.bytesWritten);
    this.#heap.set({ thread: String(index) }, delta.heapBytes);
    for (const call of delta.storeCalls) this.#storeCall(call);
    for (const [level, count] of delta.levelsWritten.entries())
      for (let i = 0; i < count; i++) this.#levels.observe(level);
  };
}
