import { Counter, Histogram, type Registry } from 'prom-client';
import { addClusterMetrics, endedCounter, newerEntriesCounter, QUEUES, type ClusterSources } from '@blindfit/queue';

/** What a scheduler tells Prometheus: what it did itself, and the state of the cluster. */
export class SchedulerMetrics {
  readonly #iterations: Counter;
  readonly #samples: Counter;
  readonly #ended: Counter<'state'>;
  readonly #aggregation: Histogram<'kind'>;
  readonly #jobSeconds: Histogram;
  readonly #stalledSteps: Counter<'queue'>;
  readonly #lostLocks: Counter<'queue'>;
  readonly #newer: Counter<'queue'>;
  readonly #givenBack: Counter;

  constructor(registry: Registry, sources: ClusterSources) {
    const registers = [registry];
    this.#iterations = new Counter({
      name: 'blindfit_iterations_total',
      help: 'Iterations finished, counted once for each pair of classes.',
      registers,
    });
    this.#samples = new Counter({
      name: 'blindfit_samples_total',
      help: 'Samples that finished iterations learned from, counted once for each pair of classes.',
      registers,
    });
    this.#ended = endedCounter(registry, ['succeeded', 'failed']);
    this.#aggregation = new Histogram({
      name: 'blindfit_aggregation_duration_seconds',
      help: 'Adding gradients, momentum and packing.',
      labelNames: ['kind'],
      buckets: [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10],
      registers,
    });
    this.#jobSeconds = new Histogram({
      name: 'blindfit_job_duration_seconds',
      help: 'From submission to success.',
      buckets: [1, 2, 5, 10, 30, 60, 300, 1800, 7200, 28800],
      registers,
    });
    this.#stalledSteps = new Counter({
      name: 'blindfit_steps_stalled_total',
      help: 'Job steps taken back from a scheduler that stopped renewing its lock.',
      labelNames: ['queue'],
      registers,
    });
    this.#lostLocks = new Counter({
      name: 'blindfit_scheduler_lock_renewals_lost_total',
      help: 'Job steps whose lock could not be renewed.',
      labelNames: ['queue'],
      registers,
    });
    this.#givenBack = new Counter({
      name: 'blindfit_steps_given_back_total',
      help: 'Job steps that failed for a reason that is not their own, and went back to their queue.',
      registers,
    });
    // Shown from the start: the first one would be no increase otherwise.
    for (const queue of [QUEUES.jobs, QUEUES.chains])
      for (const counter of [this.#stalledSteps, this.#lostLocks]) counter.inc({ queue }, 0);
    this.#newer = newerEntriesCounter(registry, ['jobs', 'chains']);
    addClusterMetrics(registry, sources);
  }

  /** A chain has finished an iteration. @param pairs of classes that advanced @param samples of its batch */
  iteration(pairs: number, samples: number): void {
    this.#iterations.inc(pairs);
    this.#samples.inc(pairs * samples);
  }

  jobEnded(state: 'succeeded' | 'failed', seconds?: number): void {
    this.#ended.inc({ state });
    if (seconds !== undefined) this.#jobSeconds.observe(seconds);
  }

  aggregated(kind: string, seconds: number): void {
    this.#aggregation.observe({ kind }, seconds);
  }

  stall(queue: string): void {
    this.#stalledSteps.inc({ queue });
  }

  /** An entry was given back to newer releases. */
  newer(queue: string): void {
    this.#newer.inc({ queue });
  }

  givenBack(): void {
    this.#givenBack.inc();
  }

  lockLost(queue: string, count: number): void {
    this.#lostLocks.inc({ queue }, count);
  }
}
