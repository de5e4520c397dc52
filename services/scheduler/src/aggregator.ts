/** The scheduler's own homomorphic work: additions and constants, without keys, on a few threads. */
import type { ComputeMetrics, ThreadPool } from '@blindfit/compute';
import { inStep, taskId, tracePhases, type JobPayload, type JobStore } from '@blindfit/queue';
import type { Tracing } from '@blindfit/service';
import type { KeylessWork } from '@blindfit/training';
import type { SchedulerMetrics } from './metrics.ts';

export class Aggregator {
  readonly #pool: Pick<ThreadPool, 'run'>;
  readonly #jobs: Pick<JobStore, 'recordTask'>;
  readonly #metrics: Pick<SchedulerMetrics, 'aggregated'>;
  readonly #compute: Pick<ComputeMetrics, 'computed'>;
  readonly #tracing: Tracing;

  constructor(
    pool: Pick<ThreadPool, 'run'>,
    jobs: Pick<JobStore, 'recordTask'>,
    metrics: Pick<SchedulerMetrics, 'aggregated'>,
    compute: Pick<ComputeMetrics, 'computed'>,
    tracing: Tracing,
  ) {
    this.#pool = pool;
    this.#jobs = jobs;
    this.#metrics = metrics;
    this.#compute = compute;
    this.#tracing = tracing;
  }

  /** Sets up the parameters of a job on a thread ahead of its first step, where a failure will show again. */
  prepare({ job, manifest }: Pick<JobPayload, 'job' | 'manifest'>): void {
    this.#pool.run({ kind: 'prepare', job, manifest }).catch(() => undefined);
  }

  /**
   * Runs one step and records it with the tasks of the job.
   * @param step its id
   * @returns the digests of its results
   */
  async run(
    { job, manifest }: Pick<JobPayload, 'job' | 'manifest'>,
    step: string,
    work: KeylessWork<string>,
  ): Promise<string[]> {
    const { kind, iteration } = work;
    const id = taskId(job, step);
    const piece = { job, task: id, kind, iteration, chain: 'chain' in work ? work.chain : undefined };
    return inStep(this.#tracing, piece, async () => {
      const started = performance.now();
      const result = await this.#pool.run({ job, manifest, ...work });
      this.#compute.computed(result);
      tracePhases(this.#tracing, piece, result);
      const { outputs, phases: _phases, ...record } = result;
      this.#metrics.aggregated(kind, (performance.now() - started) / 1000);
      await this.#jobs.recordTask(job, id, { ...record, kind, iteration });
      return outputs;
    });
  }
}
