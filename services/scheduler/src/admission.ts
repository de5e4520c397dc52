/** Which jobs may run: of each tenant so many at a time, the others wait for their turn without costing anything. */
import { DelayedError, type Job, type Queue } from 'bullmq';
import { required } from '@blindfit/base';
import { PRIORITIES } from '@blindfit/protocol';
import type { JobPayload, JobStore, Tenants } from '@blindfit/queue';
import type { Logger } from '@blindfit/service';

/** A job that waits is looked at so often at the latest: whoever would have called it may be gone. Milliseconds. */
const LOOK_MS = 15_000;
/** Jobs end in bursts. Milliseconds. */
const CALL_MS = 50;

export interface AdmissionDependencies {
  readonly queue: Pick<Queue<JobPayload>, 'getJob'>;
  readonly jobs: Pick<JobStore, 'start' | 'rankOf'>;
  readonly tenants: Pick<Tenants, 'usage'>;
  readonly logger?: Pick<Logger, 'info'> | undefined;
}

/** The parts of a BullMQ entry that waiting for admission needs. */
export type Applicant = Pick<Job<JobPayload>, 'id' | 'data' | 'moveToDelayed'>;

export class Admission {
  readonly #dependencies: AdmissionDependencies;
  /** Entries that wait, by tenant: their weights, in the order in which they came. */
  readonly #waiting = new Map<string, Map<string, number>>();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(dependencies: AdmissionDependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * Starts a job that is queued.
   * @throws DelayedError when enough jobs of its tenant run, or have run today: BullMQ runs the entry again later
   */
  async start(entry: Applicant, token: string): Promise<void> {
    const { jobs, tenants, logger } = this.#dependencies;
    const { job } = entry.data;
    const { tenant, priority } = await jobs.rankOf(job);
    const { computeSeconds, runningJobs } = await tenants.usage(tenant);
    const hasComputed = computeSeconds.limit !== undefined && computeSeconds.used >= computeSeconds.limit;
    if (!hasComputed && (await jobs.start(job, runningJobs.limit)) !== 'full') return;
    const id = required(entry.id, 'the id of the entry');
    // A day is not over earlier because another job ends: nobody calls these.
    if (hasComputed) {
      await entry.moveToDelayed(Date.now() + LOOK_MS, token);
      throw new DelayedError();
    }
    const waiting = this.#waiting.get(tenant) ?? new Map<string, number>();
    if (!waiting.has(id)) logger?.info({ job, tenant, limit: runningJobs.limit }, 'job waits for its turn');
    this.#waiting.set(tenant, waiting.set(id, PRIORITIES[priority]));
    await entry.moveToDelayed(Date.now() + LOOK_MS, token);
    // The room may have come between the two.
    this.look();
    throw new DelayedError();
  }

  /** Tells that some job has changed: calls as many of those that wait as there is room for. */
  look(): void {
    if (this.#closed || this.#waiting.size === 0) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      // Redis is away, which its connection reports; the entries come back by themselves.
      this.#call().catch(() => undefined);
    }, CALL_MS);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  async #call(): Promise<void> {
    const { tenants, queue } = this.#dependencies;
    for (const [tenant, waiting] of this.#waiting) {
      const { runningJobs } = await tenants.usage(tenant);
      let room = required(runningJobs.limit, 'the limit of running jobs') - runningJobs.used;
      for (const [id] of [...waiting].sort(([, a], [, b]) => b - a)) {
        if (room-- <= 0) break;
        waiting.delete(id);
        const entry = await queue.getJob(id);
        if (entry !== undefined && (await entry.isDelayed())) await entry.promote();
      }
      if (waiting.size === 0) this.#waiting.delete(tenant);
    }
  }
}
