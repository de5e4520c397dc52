/** The scheduler's own homomorphic work: additions and constants, no keys, on threads of its own. */
import type { ComputeMetrics, ThreadPool } from '@blindfit/compute';
import type { KeylessTask } from '@blindfit/protocol';
import { inStep, taskId, tracePhases, type JobStore } from '@blindfit/queue';
import type { Tracing } from '@blindfit/service';
import type { SchedulerMetrics } from './metrics.ts';

export class Aggregator {
  readonly #pool: ThreadPool;
  readonly #jobs: JobStore;
  readonly #metrics: SchedulerMetrics;
  readonly #compute: ComputeMetrics;
  readonly #tracing: Tracing;

  constructor(pool: ThreadPool, jobs: JobStore, metrics: SchedulerMetrics, compute: ComputeMetrics, tracing: Tracing) {
    this.#pool = pool;
    this.#jobs = jobs;
    this.#metrics = metrics;
    this.#compute = compute;
    this.#tracing = tracing;
  }

  /** Sets up a job's parameters on a thread, so that its first step need not wait for that. Failures show there. */
  prepare(job: string, manifest: string): void {
    this.#pool.run({ kind: 'prepare', job, manifest }).catch(() => undefined);
  }

  /**
   * Runs one piece of work and records it with the job's tasks.
   * @param iteration that the work belongs to
   * @returns the digests of all results
   */
  async runAll(work: KeylessTask, iteration: number): Promise<string[]> {
    const id = taskId(work.job, work.kind, iteration, ...('chain' in work ? [work.chain] : []));
    const piece = {
      job: work.job,
      task: id,
      kind: work.kind,
      iteration,
      ...('chain' in work ? { chain: work.chain } : {}),
    };
    return inStep(this.#tracing, piece, async () => {
      const started = performance.now();
      const result = await this.#pool.run(work);
      this.#compute.computed(result);
      tracePhases(this.#tracing, piece, result);
      const { outputs, phases: _phases, ...record } = result;
      this.#metrics.aggregated(work.kind, (performance.now() - started) / 1000);
      await this.#jobs.recordTask(work.job, id, { ...record, kind: work.kind, iteration });
      return outputs;
    });
  }

  /** @returns the digest of the one result */
  async run(work: KeylessTask, iteration: number): Promise<string> {
    const [digest] = await this.runAll(work, iteration);
    if (digest === undefined) throw new Error(`${work.kind} gave no result`);
    return digest;
  }
}
