/** A pool of compute threads. Nothing computes on the event loop: tasks go out as digests and come back as digests. */
import { Worker } from 'node:worker_threads';
import { at, messageOf, moduleUrl } from '@blindfit/base';
import { describeError, TaskCancelledError, TaskError, taskErrorOf } from './errors.ts';
import { Manifests } from './manifests.ts';
import type {
  ComputeResult,
  DoneMessage,
  FailedMessage,
  ManifestAnswer,
  PoolMessage,
  ThreadData,
  ThreadMessage,
  ThreadOptions,
  ThreadStatistics,
  Work,
} from './messages.ts';

export interface PoolOptions extends ThreadOptions {
  readonly threads: number;
  /** Called with what a thread did since its last report; `heapBytes` is a level. */
  readonly onStatistics?: ((thread: number, delta: ThreadStatistics) => void) | undefined;
}

/** Longest wait for a cancelled task to stop by itself. Building a SEAL context may take longer. Milliseconds. */
const CANCEL_PATIENCE_MS = 500;

interface Waiting {
  readonly work: Work;
  readonly signal: AbortSignal | undefined;
  readonly resolve: (result: ComputeResult) => void;
  readonly reject: (error: Error) => void;
  /** Cancels the task while it waits. */
  readonly leave: () => void;
}

interface Thread {
  readonly worker: Worker;
  readonly flag: Int32Array;
  statistics: ThreadStatistics | undefined;
  current:
    (Waiting & { readonly run: number; readonly started: number; readonly stopListening: () => void }) | undefined;
}

export class ThreadPool {
  readonly #options: PoolOptions;
  readonly #entry: URL;
  readonly #manifests: Manifests;
  readonly #threads: (Thread | undefined)[] = [];
  readonly #queue: Waiting[] = [];
  /** Milliseconds spent on tasks that are over, by thread. */
  readonly #busyMs: number[];
  #runs = 0;
  #closed = false;

  /** @param entry the module that threads run */
  constructor(options: PoolOptions, entry = moduleUrl('./thread.ts', import.meta.url)) {
    this.#options = options;
    this.#entry = entry;
    this.#busyMs = Array.from({ length: options.threads }, () => 0);
    this.#manifests = new Manifests(options);
    for (let i = 0; i < options.threads; i++) this.#threads.push(this.#spawn(i));
  }

  get size(): number {
    return this.#threads.length;
  }

  get busy(): number {
    return this.#threads.filter((thread) => thread?.current !== undefined).length;
  }

  /** Seconds spent on tasks so far, by thread. Those under way count. */
  get busySeconds(): number[] {
    const now = performance.now();
    return this.#busyMs.map((spent, index) => (spent + now - (this.#threads[index]?.current?.started ?? now)) / 1000);
  }

  /**
   * Runs one task on the next free thread.
   * @throws TaskError; TaskCancelledError when `signal` fires: after the current homomorphic operation, or after half a
   *   second, whichever comes first
   */
  run(work: Work, signal?: AbortSignal): Promise<ComputeResult> {
    if (this.#closed) return Promise.reject(poolClosed());
    if (signal?.aborted === true) return Promise.reject(new TaskCancelledError());
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { work, signal, resolve, reject, leave: () => this.#leave(waiting) };
      signal?.addEventListener('abort', waiting.leave, { once: true });
      this.#queue.push(waiting);
      this.#dispatch();
    });
  }

  /** Ends the threads. Tasks that still run fail with a retryable error, so that another worker computes them. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const waiting of this.#queue.splice(0)) waiting.reject(poolClosed());
    for (const thread of this.#threads) await thread?.worker.terminate();
  }

  /** Cancels a task for which no thread was free yet. */
  #leave(waiting: Waiting): void {
    const index = this.#queue.indexOf(waiting);
    if (index < 0) return;
    this.#queue.splice(index, 1);
    waiting.reject(new TaskCancelledError());
  }

  #spawn(index: number): Thread {
    const cancelFlag = new SharedArrayBuffer(4);
    const { storeUrl, token, cacheDirectory, cacheBytes, keyBytes, keyDiskBytes, inputDiskBytes, evaluator, threads } =
      this.#options;
    const data: ThreadData = {
      storeUrl,
      token,
      cacheDirectory,
      cacheBytes,
      keyBytes: evaluator.kind === 'seal' ? Math.floor(keyBytes / threads) : keyBytes,
      keyDiskBytes,
      inputDiskBytes,
      evaluator,
      cancelFlag,
    };
    const worker = new Worker(this.#entry, {
      workerData: data,
      name: `he-${index}`,
      resourceLimits: { maxYoungGenerationSizeMb: 8 },
    });
    const thread: Thread = { worker, flag: new Int32Array(cancelFlag), statistics: undefined, current: undefined };
    worker.on('message', (message: ThreadMessage) =>
      'asked' in message ? void this.#answer(worker, message.asked) : this.#finish(index, thread, message),
    );
    worker.on('error', (error) => this.#lost(index, thread, messageOf(error)));
    worker.on('exit', (code) => this.#lost(index, thread, `it exited with code ${code}`));
    return thread;
  }

  #dispatch(): void {
    for (const [index, current] of this.#threads.entries()) {
      if (current?.current !== undefined) continue;
      const next = this.#queue.shift();
      if (next === undefined) return;
      next.signal?.removeEventListener('abort', next.leave);
      const thread = current ?? (this.#threads[index] = this.#spawn(index));
      const run = ++this.#runs;
      Atomics.store(thread.flag, 0, 0);
      let patience: NodeJS.Timeout | undefined;
      const cancel = (): void => {
        Atomics.store(thread.flag, 0, 1);
        patience = setTimeout(() => this.#abandon(index, thread, run), CANCEL_PATIENCE_MS);
      };
      next.signal?.addEventListener('abort', cancel, { once: true });
      const stopListening = (): void => {
        clearTimeout(patience);
        next.signal?.removeEventListener('abort', cancel);
      };
      thread.current = { ...next, run, started: performance.now(), stopListening };
      thread.worker.postMessage({ run, work: next.work } satisfies PoolMessage);
    }
  }

  async #answer(worker: Worker, digest: string): Promise<void> {
    const answer: ManifestAnswer = await this.#manifests.get(digest).then(
      (manifest) => ({ manifest }),
      (error: unknown) => ({ error: describeError(error) }),
    );
    worker.postMessage(answer);
  }

  #finish(index: number, thread: Thread, message: DoneMessage | FailedMessage): void {
    this.#report(index, thread, message.statistics);
    const { current } = thread;
    if (current?.run !== message.run) return;
    this.#release(index, thread);
    current.stopListening();
    if ('result' in message) {
      current.resolve(message.result);
    } else {
      current.reject(taskErrorOf(message.error));
      if (message.fatal) this.#replace(index, thread);
    }
    this.#dispatch();
  }

  /** Ends a thread that did not reach a place where it can stop. Only its caches are lost. */
  #abandon(index: number, thread: Thread, run: number): void {
    const { current } = thread;
    if (current?.run !== run) return;
    this.#release(index, thread);
    current.stopListening();
    current.reject(new TaskCancelledError());
    this.#replace(index, thread);
    this.#dispatch();
  }

  /**
   * Fails the task of a thread that died, retryably. Another thread takes its place with the next task and not before:
   * threads that cannot start at all would be started again and again.
   */
  #lost(index: number, thread: Thread, reason: string): void {
    if (this.#threads[index] !== thread) return;
    this.#threads[index] = undefined;
    const { current } = thread;
    this.#release(index, thread);
    current?.stopListening();
    current?.reject(new TaskError('THREAD_LOST', `the compute thread died: ${reason}`, true, 'host'));
    void thread.worker.terminate();
    if (!this.#closed) this.#dispatch();
  }

  /** Ends the current task of a thread. */
  #release(index: number, thread: Thread): void {
    const { current } = thread;
    if (current !== undefined)
      this.#busyMs[index] = at(this.#busyMs, index, 'threads') + performance.now() - current.started;
    thread.current = undefined;
  }

  #replace(index: number, thread: Thread): void {
    this.#threads[index] = undefined;
    void thread.worker.terminate();
    if (!this.#closed) this.#threads[index] = this.#spawn(index);
  }

  #report(index: number, thread: Thread, now: ThreadStatistics): void {
    const before = thread.statistics;
    thread.statistics = now;
    const delta = { ...now };
    if (before !== undefined) {
      for (const key of Object.keys(delta) as (keyof ThreadStatistics)[])
        if (key !== 'heapBytes' && key !== 'levelsWritten' && key !== 'storeCalls') delta[key] = now[key] - before[key];
      delta.levelsWritten = now.levelsWritten.map((count, level) => {
        const { [level]: earlier = 0 } = before.levelsWritten;
        return count - earlier;
      });
    }
    this.#options.onStatistics?.(index, delta);
  }
}

function poolClosed(): TaskError {
  return new TaskError('POOL_CLOSED', 'the worker is shutting down', true, 'host');
}
