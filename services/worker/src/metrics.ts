import { Counter, Histogram, type Registry } from 'prom-client';
import type { TaskKind } from '@blindfit/protocol';
import { endedCounter, newerEntriesCounter, QUEUES } from '@blindfit/queue';

/** Buckets for tasks that are cut to last 0.2 to 2 seconds, up to beyond the threshold of the alert for lag. */
const SECONDS = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 180, 600, 1800];

/** Kinds of tasks that workers compute. The scheduler times the others. */
const KINDS: readonly TaskKind[] = ['start', 'forward', 'backward', 'predict'];
const OUTCOMES = ['completed', 'retried', 'failed', 'cancelled', 'given-back'] as const;

/** Metrics of a worker's tasks. Those of its threads are in `ComputeMetrics`. */
export class WorkerMetrics {
  readonly #tasks: Counter<'kind' | 'outcome'>;
  readonly #duration: Histogram<'kind'>;
  readonly #wait: Histogram<'kind'>;
  readonly #ended: Counter<'state'>;
  readonly #stalled: Counter;
  readonly #lostLocks: Counter;
  readonly #newer: Counter<'queue'>;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#tasks = new Counter({
      name: 'blindfit_tasks_total',
      help: 'Tasks that ended, by kind and outcome.',
      labelNames: ['kind', 'outcome'],
      registers,
    });
    // Shown from the start: otherwise the first failure would be no increase, and no alert would see it.
    for (const kind of KINDS) for (const outcome of OUTCOMES) this.#tasks.inc({ kind, outcome }, 0);
    this.#duration = new Histogram({
      name: 'blindfit_task_duration_seconds',
      help: 'Time from taking a task out of the queue to its recorded result.',
      labelNames: ['kind'],
      buckets: SECONDS,
      registers,
    });
    this.#wait = new Histogram({
      name: 'blindfit_task_wait_seconds',
      help: 'Time a task waited in the queue.',
      labelNames: ['kind'],
      buckets: SECONDS,
      registers,
    });
    this.#ended = endedCounter(registry, ['failed']);
    this.#stalled = new Counter({
      name: 'blindfit_tasks_stalled_total',
      help: 'Tasks taken back from a worker that stopped renewing its lock.',
      registers,
    });
    this.#newer = newerEntriesCounter(registry, ['tasks']);
    this.#lostLocks = new Counter({
      name: 'blindfit_lock_renewals_lost_total',
      help: 'Tasks whose lock could not be renewed.',
      registers,
    });
  }

  finished(kind: string, outcome: (typeof OUTCOMES)[number], seconds: number): void {
    this.#tasks.inc({ kind, outcome });
    if (outcome === 'completed') this.#duration.observe({ kind }, seconds);
  }

  waited(kind: string, seconds: number): void {
    this.#wait.observe({ kind }, Math.max(0, seconds));
  }

  jobFailed(): void {
    this.#ended.inc({ state: 'failed' });
  }

  stall(): void {
    this.#stalled.inc();
  }

  /** A task was given back to newer releases. */
  newer(): void {
    this.#newer.inc({ queue: QUEUES.tasks });
  }

  lockLost(count: number): void {
    this.#lostLocks.inc(count);
  }
}
