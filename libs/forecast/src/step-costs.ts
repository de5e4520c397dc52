/**
 * What each step of a job takes on a thread of the calibrated machine: its circuits, and the blobs it reads and writes.
 */
import { at } from '@blindfit/base';
import {
  chainsOf,
  inputsOf,
  StepCounter,
  type Plan,
  type RefreshWork,
  type RunWork,
  type Shade,
} from '@blindfit/training';
import { calibratedCost, secondsOf, type Calibration, type Operation } from './calibration.ts';
import { transferSeconds, type Cluster, type Link } from './cluster.ts';

/** Something a thread caches for its next tasks. */
export interface Cached {
  readonly key: string;
  /** Seconds to get it. */
  readonly seconds: number;
  /** Bytes of memory. */
  readonly bytes: number;
}

export interface StepCost {
  readonly compute: number;
  /** Reading and writing results. */
  readonly store: number;
  /** The owner's ciphertexts. */
  readonly inputs: readonly Cached[];
  readonly monomials: readonly Cached[];
  readonly results: readonly Shade[];
}

export class StepCosts {
  readonly #plan: Plan;
  readonly #calibration: Calibration;
  readonly #store: Link;
  readonly #owner: Link;
  readonly #counter: StepCounter;

  constructor(plan: Plan, calibration: Calibration, cluster: Pick<Cluster, 'store' | 'owner'>) {
    this.#plan = plan;
    this.#calibration = calibration;
    this.#store = cluster.store;
    this.#owner = cluster.owner;
    this.#counter = new StepCounter(plan, calibratedCost(calibration));
  }

  /** The cost of a step for a compute thread or a scheduler's thread. */
  of(work: RunWork<Shade>): StepCost {
    const { cost, monomials, reads, result, results } = this.#counter.count(work);
    const read = reads.reduce(
      (sum, count, level) => (count === 0 ? sum : sum + count * this.#transfer('read', level)),
      0,
    );
    return {
      compute: cost,
      store: read + results * this.#transfer('write', result.level),
      inputs: inputsOf(this.#plan, work).map(({ name, shard, column }) => {
        const { level } = this.#plan[name];
        const polynomial = this.#polynomialBytes(level);
        return {
          key: `${name} ${shard} ${column}`,
          seconds: this.#seconds('readInput', level) + transferSeconds(this.#store, polynomial),
          bytes: 2 * polynomial,
        };
      }),
      monomials: [...monomials].map(([key, seconds]) => ({ key, seconds, bytes: 0 })),
      results: new Array<Shade>(results).fill(result),
    };
  }

  /**
   * The owner's answer to a refresh, once it has heard of it: download, decryption, encryption, upload.
   * @param seen whether the owner has seen V of the iteration before
   */
  refresh({ chain, iteration }: RefreshWork<unknown>, seen: boolean): number {
    const { layout, iterations } = this.#plan;
    const { weights = 0, gradient } = at(iterations, iteration, 'iterations');
    const downloads = seen ? 1 : 2;
    const pairs = at(chainsOf(this.#plan), chain, 'chains').length;
    const levels = [weights, gradient + 1];
    const pack = (downloads + levels.length) * pairs * layout.blocks * this.#calibration.packBlock;
    const down = downloads * (transferSeconds(this.#owner, 2 * this.#polynomialBytes(0)) + this.#seconds('decrypt', 0));
    const up = levels.reduce(
      (sum, level) =>
        sum + transferSeconds(this.#owner, this.#polynomialBytes(level)) + this.#seconds('encryptPair', level),
      0,
    );
    // The event comes before, the answer itself after.
    return pack + down + up + this.#owner.latency;
  }

  /** Seconds of one worker thread before its first task. */
  get setup(): number {
    const keys = this.#plan.steps.length + 1;
    const { context, keyLoad, keyBytes } = this.#calibration;
    return context + keys * (keyLoad + transferSeconds(this.#store, keyBytes));
  }

  /** Seconds to read or write one result at a level. */
  #transfer(operation: 'read' | 'write', level: number): number {
    return this.#seconds(operation, level) + transferSeconds(this.#store, 2 * this.#polynomialBytes(level));
  }

  #polynomialBytes(level: number): number {
    return (level + 1) * this.#plan.parameters.ring * 8;
  }

  #seconds(operation: Operation, level: number): number {
    return secondsOf(this.#calibration, operation, level);
  }
}
