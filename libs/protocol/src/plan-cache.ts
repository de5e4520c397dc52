import { ContractError } from './contract-error.ts';
import { planOf, type JobManifest, type PlannedJob, type PlannedManifest } from './manifest-plan.ts';

/** The plans of the manifests a process or thread met last: planning takes a moment, and a job's plan is asked for all the time. */
export class PlanCache {
  readonly #read: (digest: string) => Promise<JobManifest>;
  readonly #max: number;
  readonly #plans = new Map<string, PlannedJob>();

  /** @param read gets a manifest whose form has been checked @param max plans that are kept */
  constructor(read: (digest: string) => Promise<JobManifest>, max: number) {
    this.#read = read;
    this.#max = max;
  }

  /** @throws ContractError, ParameterError, PlanError, and what reading throws */
  async get(digest: string): Promise<PlannedJob> {
    const known = this.#plans.get(digest);
    if (known !== undefined) return known;
    const planned = planOf(await this.#read(digest));
    const [oldest] = this.#plans.keys();
    if (this.#plans.size >= this.#max && oldest !== undefined) this.#plans.delete(oldest);
    this.#plans.set(digest, planned);
    return planned;
  }

  /** As {@link get}. @throws ContractError also for the manifest of another kind of job */
  async training(digest: string): Promise<PlannedManifest> {
    const planned = await this.get(digest);
    if (planned.kind !== 'train')
      throw new ContractError('not the manifest of a training job', [`${digest} is of kind ${planned.kind}`]);
    return planned;
  }
}
