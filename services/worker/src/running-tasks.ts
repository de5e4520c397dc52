/** The tasks that this process computes, by Blindfit job, so that they can be aborted when their job ends. */
import { isFinal } from '@blindfit/protocol';
import type { JobStore } from '@blindfit/queue';

export class RunningTasks {
  readonly #jobs: Pick<JobStore, 'state'>;
  readonly #controllers = new Map<string, Set<AbortController>>();

  constructor(jobs: Pick<JobStore, 'state'>) {
    this.#jobs = jobs;
  }

  /** The jobs that have running tasks. */
  get jobs(): string[] {
    return [...this.#controllers.keys()];
  }

  /** Runs one task. Its signal fires when {@link abortIfEnded} finds its job ended. */
  async run<T>(job: string, body: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const controller = new AbortController();
    const siblings = this.#controllers.get(job) ?? new Set();
    this.#controllers.set(job, siblings.add(controller));
    try {
      return await body(controller.signal);
    } finally {
      siblings.delete(controller);
      if (siblings.size === 0) this.#controllers.delete(job);
    }
  }

  /** Aborts all tasks of a job that is in a final state, or that is gone. */
  async abortIfEnded(job: string): Promise<void> {
    if (!this.#controllers.has(job) || !(await this.hasEnded(job))) return;
    for (const controller of this.#controllers.get(job) ?? []) controller.abort();
  }

  async hasEnded(job: string): Promise<boolean> {
    const state = await this.#jobs.state(job);
    return state === undefined || isFinal(state);
  }
}
