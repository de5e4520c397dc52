import { LRUCache } from 'lru-cache';
import type { Manifest } from '@blindfit/protocol';
import { ContractError } from '@blindfit/protocol/contract-error';
import { planOf, type PlannedJob, type PlannedTraining } from './manifest-plan.ts';

/** Keeps the plans of the manifests that were used last: deriving one takes a moment, and every task needs one. */
export class PlanCache {
  readonly #read: (digest: string) => Promise<Manifest>;
  readonly #plans: LRUCache<string, PlannedJob>;

  /** @param read gets a manifest whose form has been checked @param max number of plans that are kept */
  constructor(read: (digest: string) => Promise<Manifest>, max: number) {
    this.#read = read;
    this.#plans = new LRUCache({ max });
  }

  /** The plan of a manifest of any kind. @throws ContractError, ParameterError, PlanError, and what reading throws */
  async get(digest: string): Promise<PlannedJob> {
    const cached = this.#plans.get(digest);
    if (cached !== undefined) return cached;
    const planned = planOf(await this.#read(digest));
    this.#plans.set(digest, planned);
    return planned;
  }

  /** The plan of a training. @throws ContractError also for the manifest of another kind of job */
  async training(digest: string): Promise<PlannedTraining> {
    const planned = await this.get(digest);
    if (planned.kind !== 'train')
      throw new ContractError('not the manifest of a training job', [`${digest} is of kind ${planned.kind}`]);
    return planned;
  }
}
