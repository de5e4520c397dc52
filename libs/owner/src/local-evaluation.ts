/**
 * The whole of an encrypted training run in this process, without a server: every circuit in the plan's order and
 * grouping, on real ciphertexts. For tests and benchmarks; its results and operation counts are those of a cluster.
 */
import { readFile } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  addOperations, backward, expand, finalMomentum, finalWeights, forward, groups, momentumOf, momentumSchedule, nesterovStep, noOperations,
  packModel, SealEvaluator, startErrors, startScores, stepFactor, unwrap, WIRE_HEADER_BYTES, wrap,
  type Ciphertext, type EvaluationKeys, type OperationCounts, type Plan, type Scheme, type WireFields,
} from '@blindfit/he';
import { decryptModel } from './decrypt-model.ts';
import { encryptJob, type DataBlobs, type JobData } from './encrypt-job.ts';
import type { KeyFile, Keyset } from './keyset.ts';

export interface LocalTraining {
  /** W_T: classes x features. */
  readonly weights: Float64Array[];
  /** The packed model as a server would return it. */
  readonly models: Uint8Array[];
  /** Packed V_t by iteration, as a server would return them. */
  readonly iterates: Uint8Array[][];
  readonly operations: OperationCounts;
  /** Wall-clock time, by phase; the circuits are in `train`. */
  readonly seconds: { readonly encrypt: number; readonly loadKeys: number; readonly train: number; readonly decrypt: number };
}

/** Ciphertexts by shard, then by block or pair. */
type Grids = Record<keyof DataBlobs, Ciphertext[][]>;

/**
 * Encrypts, trains and decrypts. All ciphertexts and keys are held in SEAL's memory at once, which has 4 GB.
 * @param keyset opened for the same plan
 * @throws JobDataError, HeError
 */
export async function trainEncryptedLocally(keyset: Keyset, plan: Plan, data: JobData): Promise<LocalTraining> {
  using stack = new DisposableStack();
  const { scheme } = keyset;
  let since = performance.now();
  const lap = (): number => {
    const start = since;
    since = performance.now();
    return (since - start) / 1000;
  };

  const grids: Grids = { features: [], gradientFeatures: [], labels: [] };
  await encryptJob(keyset, plan, data, {
    store: ({ name, shard, bytes }) => {
      (grids[name][shard] ??= []).push(stack.use(scheme.loadCiphertext(bytes.subarray(WIRE_HEADER_BYTES))));
      return Promise.resolve();
    },
  });
  const encrypt = lap();
  const keys = await loadKeys(keyset, plan, stack);
  const loadKeysSeconds = lap();
  const evaluator = new SealEvaluator(scheme, keys);
  const { models, iterates } = await trainAll(evaluator, plan, grids, stack);
  const toBlob = (model: Ciphertext): Uint8Array => wrap(plan.parameters, { kind: 'ciphertext', level: model.level, scale: model.scale }, scheme.saveCiphertext(model));
  const blobs = models.map(toBlob);
  const iterateBlobs = iterates.map((row) => row.map(toBlob));
  const train = lap();
  const weights = decryptModel(keyset, plan, blobs);
  return {
    weights,
    models: blobs,
    iterates: iterateBlobs,
    operations: addOperations(noOperations(), evaluator.counts),
    seconds: { encrypt, loadKeys: loadKeysSeconds, train, decrypt: lap() },
  };
}

async function loadKeys(keyset: Keyset, plan: Plan, stack: DisposableStack): Promise<EvaluationKeys> {
  const { scheme } = keyset;
  const payloadOf = async (file: KeyFile, fields: WireFields): Promise<Uint8Array> => unwrap(await readFile(file.path), { parameters: scheme.parameters, fields });
  const payload = await payloadOf(keyset.relinearisationKey, { kind: 'relinearisation-key' });
  const relinearisation = stack.adopt(scheme.loadRelinearisationKey(payload), (key) => key.delete());
  const galois = new Map<number, ReturnType<Scheme['loadGaloisKey']>>();
  for (const step of plan.steps) {
    const file = keyset.galoisKeys.get(step);
    if (file === undefined) continue; // The evaluator says so where the key is needed.
    const bytes = await payloadOf(file, { kind: 'galois-key', step });
    galois.set(step, stack.adopt(scheme.loadGaloisKey(bytes, step), (key) => key.delete()));
  }
  return { relinearisation, galois };
}

async function trainAll(evaluator: SealEvaluator, plan: Plan, grids: Grids, stack: DisposableStack): Promise<{ models: Ciphertext[]; iterates: Ciphertext[][] }> {
  const { layout, hyperparameters, labels } = plan;
  const { sigmoid, initialWeight } = hyperparameters;
  const scores: Ciphertext[] = [];
  if (initialWeight !== 0) {
    for (const features of grids.features) {
      scores.push(stack.use(startScores(evaluator, { layout, sigmoid, features, initialWeight, scale: labels.scale })));
      await nextTurn();
    }
  }
  const pairs: Trained[] = [];
  for (let pair = 0; pair < layout.pairs; pair++) pairs.push(await trainPair(evaluator, plan, grids, scores, pair, stack));
  const pack = (of: (trained: Trained) => Ciphertext): Ciphertext[] => packModel(evaluator, layout, pairs.map(of)).map((model) => stack.use(model));
  const iterates = plan.iterations.map((_, index) => pack(({ history, weights }) => history[index] ?? weights));
  return { models: pack(({ weights }) => weights), iterates };
}

/** Of one pair of classes, packed. */
interface Trained {
  /** W_T. */
  readonly weights: Ciphertext;
  /** V_1 ... V_T. */
  readonly history: readonly Ciphertext[];
}

async function trainPair(evaluator: SealEvaluator, plan: Plan, grids: Grids, scores: readonly Ciphertext[], pair: number, stack: DisposableStack): Promise<Trained> {
  const { layout, hyperparameters, grouping } = plan;
  const { initialWeight } = hyperparameters;
  const etas = momentumSchedule(hyperparameters.iterations);
  const history: Ciphertext[] = [];
  for (let iteration = 1; iteration <= hyperparameters.iterations; iteration++) {
    using temporary = new DisposableStack();
    const gradients: Ciphertext[] = [];
    for (const shards of groups(layout.shards, grouping.shardsPerTask)) {
      using task = new DisposableStack();
      const errors = await errorsOf(evaluator, plan, grids, scores, { pair, shards, newest: history.at(-1) }, task);
      for (const blocks of groups(layout.blocks, grouping.blocksPerTask)) {
        const gradientFeatures = new Map(blocks.map((block) => [block, shards.map((shard) => at(grids.gradientFeatures, shard, block))]));
        gradients.push(temporary.use(backward(evaluator, { layout, errors, gradientFeatures })));
        await nextTurn();
      }
    }
    const factor = stepFactor(hyperparameters, layout.samples, iteration);
    history.push(stack.use(nesterovStep(evaluator, { layout, gradients, factor, ...momentumOf(etas, iteration - 1, history, initialWeight) })));
  }
  const newest = history.at(-1);
  if (newest === undefined) throw new RangeError('a plan without iterations');
  return { weights: stack.use(finalWeights(evaluator, { layout, newest, ...finalMomentum(etas, history, initialWeight) })), history };
}

/** The errors of a pair on some shards. The first iteration's weights are public: its errors need no product of ciphertexts. */
async function errorsOf(
  evaluator: SealEvaluator,
  plan: Plan,
  grids: Grids,
  scores: readonly Ciphertext[],
  task: { readonly pair: number; readonly shards: readonly number[]; readonly newest: Ciphertext | undefined },
  stack: DisposableStack,
): Promise<Ciphertext[]> {
  const { layout, hyperparameters: { sigmoid } } = plan;
  const { pair, shards, newest } = task;
  const weights = newest === undefined ? [] : expand(evaluator, layout, newest).map((block) => stack.use(block));
  const errors: Ciphertext[] = [];
  for (const shard of shards) {
    const labels = at(grids.labels, shard, pair);
    const start = scores[shard];
    if (newest !== undefined) errors.push(stack.use(forward(evaluator, { layout, sigmoid, weights, labels, features: grids.features[shard] ?? [] })));
    else if (start !== undefined) errors.push(stack.use(startErrors(evaluator, sigmoid, labels, start)));
    else errors.push(labels);
    await nextTurn();
  }
  return errors;
}

function at(grid: readonly (readonly Ciphertext[])[], shard: number, index: number): Ciphertext {
  const ciphertext = grid[shard]?.[index];
  if (ciphertext === undefined) throw new RangeError(`no ciphertext for shard ${shard}, place ${index}`);
  return ciphertext;
}
