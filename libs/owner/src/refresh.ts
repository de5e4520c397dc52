/**
 * The owner's part of a refresh: SEAL cannot renew levels, so weights whose levels have run out are decrypted here,
 * checked, and encrypted anew at the top (docs/reference/encryption.md, "Refresh"). The servers learn nothing.
 */
import { at, type Digest, digestOf, required } from '@blindfit/base';
import { discard, wrap, type WireFields } from '@blindfit/he';
import type { RefreshRequest, SignedJob } from '@blindfit/protocol';
import {
  chainsOf,
  encodeChain,
  evaluateOdd,
  momentumCoefficients,
  momentumSchedule,
  stepFactor,
  batchRange,
  batchSize,
  type Hyperparameters,
  type Plan,
  expectedRefresh,
} from '@blindfit/training';
import { decryptChain } from './decrypt-model.ts';
import { gradientRows, type TrainingSet } from './encrypt-job.ts';
import { ModelError } from './errors.ts';
import type { Keyset } from './keyset.ts';
import { OwnAnswers } from './own-answers.ts';

/** Weights by class; undefined for classes of other chains. */
export type ChainWeights = readonly (Float64Array | undefined)[];

export interface RefreshBlob {
  readonly digest: Digest;
  readonly bytes: Uint8Array;
}

export interface Refreshed {
  /** V_t, encrypted anew. */
  readonly weights: RefreshBlob;
  /** W_t, encrypted. */
  readonly momentum: RefreshBlob;
  /** W_t in the clear: what the model would be if training ended here. */
  readonly model: ChainWeights;
}

/**
 * By feature: how far one step can move a weight at most, before momentum. It follows from the data, so a job's owner
 * keeps it with the job.
 */
export type StepBound = readonly number[];

/** Errors of a polynomial sigmoid may exceed 1 where logits leave its range; beyond this training has failed anyway. */
const ERROR_SLACK = 4;

/** |b_j sum_i w_i x_ij E_i| <= b_j sum_i w_i |x_ij| max |E|, the largest over all batches, times the step's factor. */
export function stepBound(set: TrainingSet, hyperparameters: Hyperparameters): StepBound {
  const { x, samples, features, rowWeights } = set;
  const size = batchSize(hyperparameters, samples);
  const { sigmoid } = hyperparameters;
  let error = 1;
  for (let i = 0; i <= 100; i++)
    error = Math.max(error, 0.5 + Math.abs(evaluateOdd(sigmoid, (sigmoid.range * i) / 100)));
  const bound = new Array<number>(features).fill(0);
  for (const [batch, b] of gradientRows(set, size).entries()) {
    const { from, to } = batchRange(samples, size, batch);
    for (let j = 0; j < features; j++) {
      let sum = 0;
      for (let i = from; i < to; i++)
        sum +=
          Math.abs(at(x, i * features + j, 'samples')) * (rowWeights === undefined ? 1 : at(rowWeights, i, 'rows'));
      bound[j] = Math.max(at(bound, j, 'features'), at(b, j, 'features') * sum);
    }
  }
  return bound.map((value) => value * ERROR_SLACK * error * stepFactor(hyperparameters, size, 1));
}

/** One weight of the classes that a chain holds. */
function weightAt(weights: ChainWeights, label: number, feature: number): number {
  return at(required(weights[label], `the weights of class ${label}`), feature, 'weights');
}

/**
 * Answers the refreshes of one job. Remembers what it saw last of every chain, for the momentum and to check what comes
 * next against it. Weights that cannot be right are answered as others are, within the range that a job carries: an
 * answer that depended on them would tell the servers about them. The first doubt is kept for the end of the job.
 */
export class RefreshSession {
  readonly #keyset: Keyset;
  readonly #plan: Plan;
  readonly #bound: StepBound;
  readonly #etas: readonly number[];
  readonly #last = new Map<
    number,
    { readonly iteration: number; readonly weights: ChainWeights; readonly model: ChainWeights }
  >();

  #doubt: ModelError | undefined;

  constructor(keyset: Keyset, plan: Plan, bound: StepBound) {
    this.#keyset = keyset;
    this.#plan = plan;
    this.#bound = bound;
    this.#etas = momentumSchedule(plan.hyperparameters.iterations);
  }

  /** What the owner signs on a job. @param job as it was submitted */
  answersFor(job: SignedJob): OwnAnswers {
    return new OwnAnswers(this.#keyset.secret.signer, job, this.#plan);
  }

  /** Why the weights of a refresh cannot be those of the training; undefined while all could. */
  get doubt(): ModelError | undefined {
    return this.#doubt;
  }

  /** Whether V of the iteration before is known here, so that `previous` need not be downloaded. */
  knowsPrevious({ chain, iteration }: Pick<RefreshRequest, 'chain' | 'iteration'>): boolean {
    return iteration === 1 || this.#last.get(chain)?.iteration === iteration - 1;
  }

  /**
   * @param weights the blob of packed V_t
   * @param previous the blob of packed V_{t-1}, unless {@link knowsPrevious}
   * @throws WireError, SealError when a blob is no such ciphertext of this keyset
   */
  answer(request: Pick<RefreshRequest, 'chain' | 'iteration'>, weights: Uint8Array, previous?: Uint8Array): Refreshed {
    const { chain, iteration } = request;
    const shown = decryptChain(this.#keyset, this.#plan, chain, weights);
    const before = this.#before(request, previous);
    this.#doubt ??= this.#doubtOf(request, shown, before);
    const current = shown.map((row) => row && this.#within(row));
    const { newest, older } = momentumCoefficients(this.#etas, iteration);
    const model = current.map(
      (row, k) => row && this.#within(row.map((value, j) => newest * value + older * weightAt(before, k, j))),
    );
    this.#last.set(chain, { iteration, weights: current, model });
    const expected = expectedRefresh(this.#plan, iteration);
    return {
      weights: this.#encrypt(chain, current, expected.weights),
      momentum: this.#encrypt(chain, model, expected.momentum),
      model,
    };
  }

  /** V_{t-1}. */
  #before(
    { chain, iteration }: Pick<RefreshRequest, 'chain' | 'iteration'>,
    blob: Uint8Array | undefined,
  ): ChainWeights {
    const { layout, hyperparameters } = this.#plan;
    if (iteration === 1)
      return Array.from({ length: layout.classes }, () =>
        new Float64Array(layout.features).fill(hyperparameters.initialWeight),
      );
    const known = this.#last.get(chain);
    if (known?.iteration === iteration - 1) return known.weights;
    if (blob === undefined)
      throw new ModelError(`no weights of iteration ${iteration - 1}`, 'the request for a refresh must name them');
    return decryptChain(this.#keyset, this.#plan, chain, blob).map((row) => row && this.#within(row));
  }

  /** Values that the job can carry. */
  #within(row: Float64Array): Float64Array {
    const { maxWeight } = this.#plan;
    return row.map((value) => (Number.isNaN(value) ? 0 : Math.max(-maxWeight, Math.min(maxWeight, value))));
  }

  /** Encryption gives no integrity: a server may return anything. A doubt is what a step cannot have led to. */
  #doubtOf(
    { chain, iteration }: Pick<RefreshRequest, 'chain' | 'iteration'>,
    current: ChainWeights,
    before: ChainWeights,
  ): ModelError | undefined {
    const known = this.#last.get(chain);
    const exact = known?.iteration === iteration - 1;
    const from = exact ? known.model : before;
    const { decay = 0 } = this.#plan.hyperparameters;
    // Without W_{t-1} its distance from V_{t-1} counts as well: momentum adds up at most one step per iteration, and
    // what decays in it.
    const steps = exact || iteration === 1 ? 1 : iteration;
    const decayed = steps === 1 ? 0 : decay * this.#plan.maxWeight;
    for (const [label, row] of current.entries()) {
      for (const [feature, value] of (row ?? []).entries()) {
        const start = (1 - decay) * weightAt(from, label, feature);
        const step = at(this.#bound, feature, 'bounds of a step') + decayed;
        const allowed = steps * step + 1e-3 * (1 + Math.abs(start));
        if (Math.abs(value - start) <= allowed && Math.abs(value) <= this.#plan.maxWeight) continue;
        return new ModelError(
          `after iteration ${iteration} the weight of class ${label} and feature ${feature} is ${value}, ` +
            `and ${start} before it`,
          `one step moves it by ${allowed.toPrecision(3)} at most: the server returned something else than the ` +
            'trained weights, or they have been damaged; the model is not used',
        );
      }
    }
    return undefined;
  }

  #encrypt(chain: number, weights: ChainWeights, fields: WireFields): RefreshBlob {
    const { parameters, layout } = this.#plan;
    const { level = 0, scale = 1 } = fields.kind === 'ciphertext' ? fields : {};
    const slots = encodeChain(layout, parameters.ring, chainsOf(this.#plan)[chain] ?? [], weights);
    const payload = this.#keyset.secret.encryptToBytes(slots.first, level, scale, slots.second);
    const bytes = wrap(parameters, fields, payload);
    discard(payload);
    return { digest: digestOf(bytes), bytes };
  }
}
