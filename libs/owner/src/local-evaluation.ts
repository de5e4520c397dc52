/**
 * The whole of an encrypted training run in this process, without a server: every circuit in the plan's order and
 * grouping, on real ciphertexts. For tests and benchmarks; its results and operation counts are those of a cluster.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  addOperations,
  noOperations,
  WIRE_HEADER_BYTES,
  wrap,
  type Ciphertext,
  type Evaluator,
  type OperationCounts,
} from '@blindfit/he';
import { type ResolvedEvaluator } from '@blindfit/he/native';
import {
  backward,
  batchOf,
  cellsOf,
  chainsOf,
  expand,
  finalTerms,
  finalWeights,
  forward,
  groups,
  momentumSchedule,
  momentumTerms,
  nesterovStep,
  packModel,
  shardsOfBatch,
  startErrors,
  startScores,
  stepFactor,
  type PairCiphertext,
  type Plan,
  type Refreshed as FreshState,
  type Segment,
} from '@blindfit/training';
import { decryptModel } from './decrypt-model.ts';
import { encryptJob, type DataBlobs, type TrainingSet } from './encrypt-job.ts';
import type { Keyset } from './keyset.ts';
import { openLocalEvaluator } from './local-evaluator.ts';
import { RefreshSession, stepBound } from './refresh.ts';

export interface LocalTraining {
  /** W_T: classes x features. */
  readonly weights: Float64Array[];
  /** The packed model as a server would return it. */
  readonly models: Uint8Array[];
  /** Packed V_t by iteration, as a server would return them. */
  readonly iterates: Uint8Array[][];
  readonly operations: OperationCounts;
  /** Wall-clock time, by phase; the circuits are in `train`. */
  readonly seconds: {
    readonly encrypt: number;
    readonly loadKeys: number;
    readonly train: number;
    readonly decrypt: number;
  };
}

/** Ciphertexts by shard, then by cell or pair. */
type Grids = Record<keyof DataBlobs, Ciphertext[][]>;

/**
 * Encrypts, trains and decrypts. All ciphertexts and keys are held in memory at once; SEAL's has 4 GB.
 * @param keyset opened for the same plan
 * @param resolved what computes @default node-seal
 * @throws JobDataError, HeError
 */
export async function trainEncryptedLocally(
  keyset: Keyset,
  plan: Plan,
  data: TrainingSet,
  resolved: ResolvedEvaluator = { kind: 'seal', why: 'the reference' },
): Promise<LocalTraining> {
  using stack = new DisposableStack();
  let since = performance.now();
  const lap = (): number => {
    const start = since;
    since = performance.now();
    return (since - start) / 1000;
  };

  const { evaluator, codec } = await openLocalEvaluator(keyset, plan, resolved, stack);
  const loadKeysSeconds = lap();
  const grids: Grids = { features: [], gradientFeatures: [], labels: [] };
  await encryptJob(keyset, plan, data, {
    store: ({ name, shard, bytes }) => {
      (grids[name][shard] ??= []).push(stack.use(codec.loadCiphertext(bytes.subarray(WIRE_HEADER_BYTES))));
      return Promise.resolve();
    },
  });
  const encrypt = lap();
  const session = new RefreshSession(keyset, plan, stepBound(data, plan.hyperparameters));
  const refresh = (
    chain: number,
    iteration: number,
    weights: Ciphertext,
    previous: Ciphertext | undefined,
  ): FreshState<Ciphertext> => {
    const published = (ciphertext: Ciphertext): Uint8Array => {
      using lowered = evaluator.dropTo(ciphertext, 0);
      return toBlob(lowered);
    };
    const answer = session.answer(
      { chain, iteration },
      published(weights),
      previous === undefined ? undefined : published(previous),
    );
    const loaded = ({ bytes }: { bytes: Uint8Array }): Ciphertext =>
      stack.use(codec.loadCiphertext(bytes.subarray(WIRE_HEADER_BYTES)));
    return { weights: loaded(answer.weights), momentum: loaded(answer.momentum) };
  };
  const toBlob = (model: Ciphertext): Uint8Array =>
    wrap(plan.parameters, { kind: 'ciphertext', level: model.level, scale: model.scale }, codec.saveCiphertext(model));
  const { models, iterates } = await trainAll(evaluator, plan, grids, stack, refresh);
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

type Refresh = (
  chain: number,
  iteration: number,
  weights: Ciphertext,
  previous: Ciphertext | undefined,
) => FreshState<Ciphertext>;

async function trainAll(
  evaluator: Evaluator,
  plan: Plan,
  grids: Grids,
  stack: DisposableStack,
  refresh: Refresh,
): Promise<{ models: Ciphertext[]; iterates: Ciphertext[][] }> {
  const { layout, hyperparameters, labels, grouping, schedule } = plan;
  const { sigmoid, initialWeight } = hyperparameters;
  const scores = new Map<number, Ciphertext>();
  if (initialWeight !== 0) {
    for (const shard of shardsOfBatch(layout, batchOf(layout.batches, hyperparameters, 1))) {
      scores.set(
        shard,
        stack.use(
          startScores(evaluator, {
            layout,
            sigmoid,
            features: grids.features[shard] ?? [],
            initialWeight,
            level: plan.iterations[0]?.errors ?? 0,
            scale: labels.scale,
          }),
        ),
      );
      await nextTurn();
    }
  }
  const chains: Trained[] = [];
  for (const [chain, pairs] of chainsOf(plan).entries())
    chains.push(await trainChain(evaluator, plan, grids, scores, { chain, pairs }, stack, refresh));
  const pack = (level: number, of: (trained: Trained) => Ciphertext): Ciphertext[] =>
    packModel(evaluator, layout, chains.map(of), grouping.pairsPerChain, level).map((model) => stack.use(model));
  const iterates =
    plan.segments.length > 1
      ? []
      : plan.iterations.map((_, index) => pack(0, ({ history, weights }) => history[index] ?? weights));
  return { models: pack(schedule.modelLevel, ({ weights }) => weights), iterates };
}

/** Of one chain of pairs, packed. */
interface Trained {
  /** W_T. */
  readonly weights: Ciphertext;
  /** V of the last segment. */
  readonly history: readonly Ciphertext[];
}

interface Chain {
  readonly chain: number;
  readonly pairs: readonly number[];
}

async function trainChain(
  evaluator: Evaluator,
  plan: Plan,
  grids: Grids,
  scores: ReadonlyMap<number, Ciphertext>,
  { chain, pairs }: Chain,
  stack: DisposableStack,
  refresh: Refresh,
): Promise<Trained> {
  const { layout, hyperparameters, segments } = plan;
  const { initialWeight } = hyperparameters;
  const etas = momentumSchedule(hyperparameters.iterations);
  let fresh: FreshState<Ciphertext> | undefined;
  for (const segment of segments) {
    const history: Ciphertext[] = [];
    for (let iteration = segment.first; iteration < segment.first + segment.count; iteration++) {
      using temporary = new DisposableStack();
      const gradients = await gradientsOf(
        evaluator,
        plan,
        grids,
        scores,
        pairs,
        iteration,
        history.at(-1) ?? fresh?.weights,
        temporary,
      );
      const factor = stepFactor(hyperparameters, layout.batchSize, iteration);
      history.push(
        stack.use(
          nesterovStep(evaluator, {
            layout,
            pairs,
            gradients,
            factor,
            ...momentumTerms(etas, segment, iteration, { history, fresh }, initialWeight),
          }),
        ),
      );
    }
    const newest = history.at(-1);
    if (newest === undefined) throw new RangeError('a segment without iterations');
    if (isLast(plan, segment)) {
      return {
        weights: stack.use(
          finalWeights(evaluator, {
            layout,
            pairs,
            newest,
            ...finalTerms(etas, segment, { history, fresh }, initialWeight),
          }),
        ),
        history,
      };
    }
    fresh = refresh(chain, segment.first + segment.count - 1, newest, history.at(-2) ?? fresh?.weights);
  }
  throw new RangeError('a plan without iterations');
}

function isLast({ hyperparameters }: Plan, { first, count }: Segment): boolean {
  return first + count > hyperparameters.iterations;
}

async function gradientsOf(
  evaluator: Evaluator,
  plan: Plan,
  grids: Grids,
  scores: ReadonlyMap<number, Ciphertext>,
  pairs: readonly number[],
  iteration: number,
  newest: Ciphertext | undefined,
  stack: DisposableStack,
): Promise<PairCiphertext[]> {
  const { layout, grouping, hyperparameters, iterations } = plan;
  const batch = shardsOfBatch(layout, batchOf(layout.batches, hyperparameters, iteration));
  const gradients: PairCiphertext[] = [];
  for (const pair of pairs) {
    for (const places of groups(batch.length, grouping.shardsPerTask)) {
      using task = new DisposableStack();
      const shards = places.map((place) => batch[place] ?? 0);
      const errors = await errorsOf(
        evaluator,
        plan,
        grids,
        scores,
        { pair, shards, newest, level: iterations[iteration - 1]?.errors ?? 0 },
        task,
      );
      for (const blocks of groups(layout.blocks, grouping.blocksPerTask)) {
        const gradientFeatures = new Map(
          blocks.map((block) => [
            block,
            shards.flatMap((shard) => cellsOf(layout, block).map((cell) => at(grids.gradientFeatures, shard, cell))),
          ]),
        );
        gradients.push({ pair, ciphertext: stack.use(backward(evaluator, { layout, errors, gradientFeatures })) });
        await nextTurn();
      }
    }
  }
  return gradients;
}

/** The errors of a pair on some shards. The first iteration's weights are public: its errors need no product of ciphertexts. */
async function errorsOf(
  evaluator: Evaluator,
  plan: Plan,
  grids: Grids,
  scores: ReadonlyMap<number, Ciphertext>,
  task: {
    readonly pair: number;
    readonly shards: readonly number[];
    readonly newest: Ciphertext | undefined;
    readonly level: number;
  },
  stack: DisposableStack,
): Promise<Ciphertext[]> {
  const {
    layout,
    grouping,
    hyperparameters: { sigmoid },
  } = plan;
  const { pair, shards, newest, level } = task;
  const weights =
    newest === undefined
      ? []
      : expand(evaluator, layout, newest, pair, grouping.pairsPerChain).map((block) => stack.use(block));
  const errors: Ciphertext[] = [];
  for (const shard of shards) {
    const labels = at(grids.labels, shard, pair);
    const start = scores.get(shard);
    if (newest !== undefined)
      errors.push(
        stack.use(forward(evaluator, { layout, sigmoid, weights, labels, features: grids.features[shard] ?? [] })),
      );
    else if (start !== undefined) errors.push(stack.use(startErrors(evaluator, sigmoid, labels, start)));
    else errors.push(stack.use(evaluator.dropTo(labels, level)));
    await nextTurn();
  }
  return errors;
}

function at(grid: readonly (readonly Ciphertext[])[], shard: number, index: number): Ciphertext {
  const ciphertext = grid[shard]?.[index];
  if (ciphertext === undefined) throw new RangeError(`no ciphertext for shard ${shard}, place ${index}`);
  return ciphertext;
}
