/**
 * From the shape of a job to everything it needs: ring, prime chain, block shape, levels, rotation keys, task sizes,
 * operation counts, bytes and memory. Nothing here is chosen by the user by hand, and nothing depends on the data.
 */
import {
  CountingEvaluator,
  keySwitchTransforms,
  CircuitError,
  noOperations,
  type Ciphertext,
  type OperationCounts,
  Parameters,
  maxLogQP,
  type Ring,
  type SecurityLevel,
} from '@blindfit/he';
import { batchOf } from '../batches.ts';
import { backward } from '../circuits/backward.ts';
import { forward, startErrors, startLevels, startScores } from '../circuits/forward.ts';
import { expand, packModel, type PairCiphertext } from '../circuits/pack.ts';
import { CHEAP_ORDER_SCALE_BITS } from '../circuits/reduce.ts';
import { finalWeights, nesterovStep } from '../circuits/step.ts';
import { layoutOf, shardsOfBatch, type BlockShape, type Layout } from '../layout/layout.ts';
import { batchSize, momentumCoefficients, momentumSchedule, stepFactor, type Hyperparameters } from '../method.ts';
import { PlanError } from '../plan-error.ts';
import {
  finalTerms,
  iterationLevels,
  momentumTerms,
  segmentsOf,
  type IterationLevels,
  type Schedule,
  type Segment,
} from '../schedule.ts';

export interface JobShape {
  readonly samples: number;
  /** Columns of X, the bias included. */
  readonly features: number;
  readonly classes: number;
}

/** How much one task does. Part of the plan, so that a job's bytes do not depend on who happens to work on it. */
export interface Grouping {
  readonly blocksPerTask: number;
  readonly shardsPerTask: number;
  /** Pairs of classes that advance, and are refreshed, together: a power of two. */
  readonly pairsPerChain: number;
}

export interface Plan {
  readonly parameters: Parameters;
  readonly layout: Layout;
  readonly hyperparameters: Hyperparameters;
  readonly grouping: Grouping;
  readonly schedule: Schedule;
  readonly segments: readonly Segment[];
  /** Levels and scales the owner encrypts at. */
  readonly features: { readonly level: number; readonly scale: number };
  readonly gradientFeatures: { readonly level: number; readonly scale: number };
  readonly labels: { readonly level: number; readonly scale: number };
  /** Scale of the weights and of the momentum that the owner sends at a refresh. */
  readonly refreshScale: number;
  readonly iterations: readonly IterationLevels[];
  /** Left rotations keys are needed for, ascending; 0 is the conjugation. */
  readonly steps: readonly number[];
  readonly operations: OperationCounts;
  /** Cost of the whole job in transforms of length N, and in key switches at the top level. */
  readonly transforms: number;
  readonly rotationEquivalents: number;
  /** `refreshDown` and `refreshUp`: of one refresh of all chains. */
  readonly bytes: {
    readonly data: number;
    readonly keys: number;
    readonly model: number;
    readonly refreshDown: number;
    readonly refreshUp: number;
  };
  /** Of one worker thread with the keys loaded. */
  readonly threadMemoryBytes: number;
  /** Largest |weight| the last level can carry; the owner checks against the clear twin. */
  readonly maxWeight: number;
}

/**
 * Largest jobs, so that the plan of a manifest from outside takes seconds at most. As many blocks of X are some 100 GB of
 * ciphertexts.
 */
export const MAX_BLOCKS = 65_536;
export const MAX_SHARDS = 8_192;

/** Bits by which V's scale exceeds the nominal one, and room for weights up to 2^WEIGHT_BITS at the last level. */
export const WEIGHT_SCALE_BITS = 4;
const WEIGHT_BITS = 5;
const MIN_GRADIENT_SCALE_BITS = 10;
const MAX_SCALE_BITS = 45;
/** Below this the noise of one rotation (some 2^13) is above 1e-5. */
const MIN_SCALE_BITS = 30;
const MAX_PRIME_BITS = 60;
/** The native evaluator's fastest kernels multiply 52-bit halves, which leaves room for primes of so many bits. */
const FAST_PRIME_BITS = 50;
/** WebAssembly gives a thread 4 GB. */
const MAX_THREAD_BYTES = 3.5e9;
/** Small rings of unit tests have no security to keep. */
const UNLIMITED_BITS = 60 * 30;

export interface PlanRequest {
  readonly shape: JobShape;
  readonly hyperparameters: Hyperparameters;
  /** Threads the plan cuts tasks for. @default 2 */
  readonly vcpus?: number;
  /** Wanted largest absolute error of a weight. @default 1e-5 for up to two iterations, and in proportion for more: errors add up */
  readonly precision?: number;
  readonly security?: SecurityLevel;
  /** Only this ring. */
  readonly ring?: Ring;
  /** Iterations from one refresh by the owner to the next. @default the cheapest number */
  readonly refreshEvery?: number;
  /** 1: the model comes back at a level at which the servers can predict with it. @default 0 */
  readonly modelLevel?: 0 | 1;
}

/** Levels a job consumes from the encrypted data to the model, or from one refresh to the next, whichever is more. */
export function levelsNeeded(hyperparameters: Hyperparameters, schedule: Schedule): number {
  const levels = iterationLevels(hyperparameters, schedule);
  const [first] = levels;
  if (first === undefined) throw new PlanError('no iterations', 'at least 1');
  const start = first.errors + (hyperparameters.initialWeight === 0 ? 0 : startLevels(hyperparameters.sigmoid.degree));
  return Math.max(start, ...levels.map(({ weights }) => weights ?? 0));
}

/** The factors that live in the weights' scale: the learning rate, and after a single iteration the small share (1 - eta_1) that M_1 has in W_1. */
function factorInScale({ iterations, learningRate }: Hyperparameters): number {
  return learningRate * (iterations === 1 ? momentumCoefficients(momentumSchedule(1), 1).newest : 1);
}

/**
 * X~ is encoded so that the weights, after those factors, sit near 2^(scaleBits + WEIGHT_SCALE_BITS). Its product with
 * the errors, at the nominal scale, must stay below the two primes of level 1.
 */
function gradientScaleBits(parameters: Parameters, hyperparameters: Hyperparameters): number {
  const wanted = parameters.scaleBits + WEIGHT_SCALE_BITS + Math.round(Math.log2(factorInScale(hyperparameters)));
  return Math.max(MIN_GRADIENT_SCALE_BITS, Math.min(parameters.scaleBits + WEIGHT_SCALE_BITS + WEIGHT_BITS, wanted));
}

function whole(what: string, value: number, min: number, max: number): void {
  if (!Number.isInteger(value) || value < min || value > max)
    throw new PlanError(`${what}: ${value}`, `whole numbers from ${min} to ${max} are allowed`);
}

/** What holds for the data of any job. @throws PlanError naming the number that is out of range and what is allowed */
export function checkDataShape({ samples, features, classes }: JobShape): void {
  whole('samples', samples, 1, 1_000_000);
  whole('features (bias included)', features, 2, 4097);
  whole('classes', classes, 2, 1000);
}

/** @throws PlanError naming the number that is out of range and what is allowed */
export function checkShape(shape: JobShape, hyperparameters: Hyperparameters): void {
  checkDataShape(shape);
  whole('iterations', hyperparameters.iterations, 1, 1000);
  const { learningRate, initialWeight, sigmoid, batch } = hyperparameters;
  if (batch !== undefined) {
    whole('batch size', batch.size, 1, shape.samples);
    whole('seed of the batches', batch.seed, 0, 2 ** 32 - 1);
  }
  if (!(learningRate >= 1e-4 && learningRate <= 1e3))
    throw new PlanError(`learning rate ${learningRate}`, 'allowed: 0.0001 to 1000');
  if (!(Math.abs(initialWeight) <= 1)) throw new PlanError(`initial weight ${initialWeight}`, 'allowed: -1 to 1');
  if (
    sigmoid.odd.length !== (sigmoid.degree + 1) / 2 ||
    !sigmoid.odd.every((c) => Number.isFinite(c) && Math.abs(c) < 10)
  ) {
    throw new PlanError(
      `sigmoid coefficients ${sigmoid.odd.join(', ')}`,
      `${(sigmoid.degree + 1) / 2} finite ones below 10 for degree ${sigmoid.degree}`,
    );
  }
}

/** @throws PlanError unless a block fills the slots */
export function checkBlock(parameters: Parameters, { rows, columns }: BlockShape): void {
  if (rows * columns === parameters.slots) return;
  throw new PlanError(
    `a block of ${rows} x ${columns}`,
    `rows x columns must be the ${parameters.slots} slots of N = ${parameters.ring}`,
  );
}

/**
 * The plan that follows from explicit choices: what the API checks a manifest with, and what `choosePlan` searches over.
 * Runs every circuit of the job on a dry-run evaluator.
 * @throws PlanError when the choices cannot carry the job
 */
export function derivePlan(
  parameters: Parameters,
  block: BlockShape,
  shape: JobShape,
  hyperparameters: Hyperparameters,
  grouping: Grouping,
  schedule: Schedule = { refreshEvery: hyperparameters.iterations, modelLevel: 0 },
): Plan {
  checkShape(shape, hyperparameters);
  checkBlock(parameters, block);
  const layout = layoutOf(
    block,
    shape.samples,
    shape.features,
    shape.classes,
    batchSize(hyperparameters, shape.samples),
  );
  if (layout.shards > MAX_SHARDS || layout.shards * layout.cells > MAX_BLOCKS) {
    throw new PlanError(
      `${layout.shards} shards of ${layout.cells} blocks`,
      `a job has at most ${MAX_SHARDS} shards and ${MAX_BLOCKS} blocks in all: train on fewer samples or features`,
    );
  }
  for (const [name, value, max] of [
    ['blocksPerTask', grouping.blocksPerTask, layout.blocks],
    ['shardsPerTask', grouping.shardsPerTask, layout.shardsPerBatch],
    ['pairsPerChain', grouping.pairsPerChain, layout.pairsPerModel],
    ['refreshEvery', schedule.refreshEvery, hyperparameters.iterations],
  ] as const) {
    if (!Number.isInteger(value) || value < 1 || value > max)
      throw new PlanError(`${name}: ${value}`, `whole numbers from 1 to ${max} are allowed`);
  }
  if (!Number.isInteger(Math.log2(grouping.pairsPerChain)))
    throw new PlanError(`pairsPerChain: ${grouping.pairsPerChain}`, 'powers of two are allowed');
  const needed = levelsNeeded(hyperparameters, schedule);
  if (needed !== parameters.maxLevel) {
    throw new PlanError(
      `${parameters.name} has ${parameters.maxLevel} levels`,
      `this job needs exactly ${needed}; let the planner choose the parameters`,
    );
  }
  const iterations = iterationLevels(hyperparameters, schedule);
  const segments = segmentsOf(hyperparameters.iterations, schedule.refreshEvery);
  const scale = parameters.scale;
  const errorsLevel = Math.max(...iterations.map(({ errors }) => errors));
  const weightsLevel = Math.max(0, ...iterations.map(({ weights }) => weights ?? 0));
  const featuresLevel = hyperparameters.initialWeight === 0 ? weightsLevel : needed;
  const base = {
    parameters,
    layout,
    hyperparameters,
    grouping,
    schedule,
    segments,
    refreshScale: 2 ** (parameters.scaleBits + WEIGHT_SCALE_BITS),
    features: { level: featuresLevel, scale },
    gradientFeatures: { level: errorsLevel, scale: 2 ** gradientScaleBits(parameters, hyperparameters) },
    labels: { level: errorsLevel, scale },
    iterations,
  };
  const run = dryRun(base);
  const { ring } = parameters;
  const primes = parameters.dataBits.length;
  const keyBytes = 2 * primes * (primes + 1) * ring * 8;
  const seeded = (level: number): number => (level + 1) * ring * 8;
  const cells = layout.shards * layout.cells;
  const steps = [...run.steps].sort((a, b) => a - b);
  return Object.freeze({
    ...base,
    steps,
    operations: run.counts,
    transforms: run.transforms,
    rotationEquivalents: run.transforms / keySwitchTransforms(primes),
    bytes: {
      data: cells * (seeded(featuresLevel) + seeded(errorsLevel)) + layout.shards * layout.pairs * seeded(errorsLevel),
      keys: ((steps.length + 1) * keyBytes) / 2,
      model: layout.models * 2 * (schedule.modelLevel + 1) * ring * 8,
      // V, and the one before unless the owner sent it; V at the top and W above the gradient, seeded.
      refreshDown: chainsOf(base).length * (schedule.refreshEvery > 1 ? 4 : 2) * ring * 8,
      refreshUp:
        chainsOf(base).length * (seeded(weightsLevel) + seeded((iterations[schedule.refreshEvery]?.gradient ?? 0) + 1)),
    },
    threadMemoryBytes: (steps.length + 1) * keyBytes + taskBytes(base),
    maxWeight: 2 ** WEIGHT_BITS,
  });
}

/** What a thread holds besides its keys: parsed inputs it may need again, and the largest task. */
function taskBytes({ layout, grouping, parameters, features, gradientFeatures }: PlanBase): number {
  const ciphertext = (level: number): number => 2 * (level + 1) * parameters.ring * 8;
  const forwardBytes = (layout.cells + layout.blocks) * ciphertext(features.level);
  const backwardBytes =
    grouping.shardsPerTask * layout.turns * (grouping.blocksPerTask + 1) * ciphertext(gradientFeatures.level);
  return 250e6 + Math.max(forwardBytes, backwardBytes);
}

/** Which blocks, or shards, each task of a kind gets. */
export function groups(count: number, perTask: number): number[][] {
  const result: number[][] = [];
  for (let from = 0; from < count; from += perTask) {
    result.push(Array.from({ length: Math.min(perTask, count - from) }, (_, i) => from + i));
  }
  return result;
}

/** The pairs of classes of every chain. */
export function chainsOf({ layout, grouping }: Pick<Plan, 'layout' | 'grouping'>): number[][] {
  return groups(layout.pairs, grouping.pairsPerChain);
}

type PlanBase = Pick<
  Plan,
  | 'parameters'
  | 'layout'
  | 'hyperparameters'
  | 'grouping'
  | 'schedule'
  | 'segments'
  | 'refreshScale'
  | 'features'
  | 'gradientFeatures'
  | 'labels'
  | 'iterations'
>;

/** Runs the job's circuits on shadows: one chain of a size and one segment of a kind, times their number. */
function dryRun(plan: PlanBase): { counts: OperationCounts; transforms: number; steps: Set<number> } {
  const { layout, parameters, segments, schedule, hyperparameters } = plan;
  const counts = noOperations();
  let transforms = 0;
  const steps = new Set<number>();
  const addRun = (times: number, body: (evaluator: CountingEvaluator) => void): void => {
    if (times === 0) return;
    const evaluator = new CountingEvaluator(parameters);
    try {
      body(evaluator);
    } catch (error) {
      if (error instanceof CircuitError)
        throw new PlanError(
          `${parameters.name} does not carry the circuits of this job: ${error.message}`,
          'let the planner choose the parameters',
        );
      throw error;
    }
    for (const name of [
      'rotations',
      'relinearisations',
      'multiplications',
      'plainMultiplications',
      'rescales',
    ] as const)
      counts[name] += times * evaluator.counts[name];
    transforms += times * evaluator.cost;
    for (const step of evaluator.steps) steps.add(step);
  };
  if (hyperparameters.initialWeight !== 0)
    addRun(shardCounts(plan, 1, 1)[0] ?? 0, (evaluator) => dryStart(evaluator, plan));
  // Segments between the first and the last are alike, but for batches of fewer shards.
  const alike = Map.groupBy(segments, ({ first, count }) =>
    JSON.stringify([first === 1, first + count > hyperparameters.iterations, shardCounts(plan, first, count)]),
  );
  for (const [pairs, chains] of countBy(chainsOf(plan), (pairsOf) => pairsOf.length)) {
    for (const [head, ...others] of alike.values()) {
      if (head !== undefined)
        addRun((1 + others.length) * chains, (evaluator) => drySegment(evaluator, plan, head, pairs));
    }
  }
  // The model; and V of every iteration for the owner's report, unless refreshes have shown it.
  const inputs = (evaluator: CountingEvaluator): Ciphertext[] =>
    chainsOf(plan).map(() => evaluator.input(schedule.modelLevel, plan.refreshScale));
  addRun(segments.length > 1 ? 1 : 1 + hyperparameters.iterations, (evaluator) => {
    packModel(evaluator, layout, inputs(evaluator), plan.grouping.pairsPerChain, schedule.modelLevel);
  });
  return { counts, transforms, steps };
}

/** Shards that each iteration of a segment learns from. */
function shardCounts({ layout, hyperparameters }: PlanBase, first: number, count: number): number[] {
  return Array.from(
    { length: count },
    (_, position) => shardsOfBatch(layout, batchOf(layout.batches, hyperparameters, first + position)).length,
  );
}

function countBy<T>(items: readonly T[], key: (item: T) => number): Map<number, number> {
  const counts = new Map<number, number>();
  for (const item of items) counts.set(key(item), (counts.get(key(item)) ?? 0) + 1);
  return counts;
}

function dryStart(evaluator: CountingEvaluator, plan: PlanBase): Ciphertext {
  const { layout, hyperparameters, features, labels } = plan;
  return startScores(evaluator, {
    layout,
    sigmoid: hyperparameters.sigmoid,
    features: Array.from({ length: layout.cells }, () => evaluator.input(features.level, features.scale)),
    initialWeight: hyperparameters.initialWeight,
    level: plan.iterations[0]?.errors ?? 0,
    scale: labels.scale,
  });
}

function drySegment(evaluator: CountingEvaluator, plan: PlanBase, segment: Segment, pairs: number): void {
  const { layout, hyperparameters, grouping, iterations, refreshScale } = plan;
  const { sigmoid, initialWeight } = hyperparameters;
  const etas = momentumSchedule(hyperparameters.iterations);
  const history: Ciphertext[] = [];
  const top = iterations[segment.first - 1];
  const fresh =
    segment.first === 1 || top?.weights === undefined
      ? undefined
      : {
          weights: evaluator.input(top.weights, refreshScale),
          momentum: evaluator.input(top.gradient + 1, refreshScale),
        };
  const shards = shardCounts(plan, segment.first, segment.count);
  const blockGroups = groups(layout.blocks, grouping.blocksPerTask);
  const members = Array.from({ length: pairs }, (_, pair) => pair);
  for (let iteration = segment.first; iteration < segment.first + segment.count; iteration++) {
    const levels = iterations[iteration - 1];
    if (levels === undefined) throw new PlanError(`no iteration ${iteration}`, `${iterations.length} are planned`);
    const newest = history.at(-1) ?? fresh?.weights;
    const gradients: PairCiphertext[] = [];
    const shardGroups = groups(shards[iteration - segment.first] ?? 0, grouping.shardsPerTask);
    for (const [size, times] of countBy(shardGroups, ({ length }) => length)) {
      let errors = evaluator.input(levels.errors, plan.labels.scale);
      for (const pair of members) {
        errors = evaluator.repeat(times, () => {
          const labels = evaluator.input(plan.labels.level, plan.labels.scale);
          if (newest === undefined) {
            if (initialWeight === 0) return evaluator.dropTo(labels, levels.errors);
            return evaluator.repeat(size, () =>
              startErrors(evaluator, sigmoid, labels, evaluator.input(levels.errors, plan.labels.scale)),
            );
          }
          const weights = expand(evaluator, layout, newest, pair, grouping.pairsPerChain);
          const features = Array.from({ length: layout.cells }, () =>
            evaluator.input(plan.features.level, plan.features.scale),
          );
          return evaluator.repeat(size, () => forward(evaluator, { layout, sigmoid, weights, features, labels }));
        });
      }
      for (const blocks of blockGroups) {
        const ciphertext = evaluator.repeat(times * pairs, () => {
          const feature = evaluator.input(plan.gradientFeatures.level, plan.gradientFeatures.scale);
          const gradientFeatures = new Map(
            blocks.map((block) => [block, Array.from({ length: size * layout.turns }, () => feature)]),
          );
          return backward(evaluator, { layout, errors: Array.from({ length: size }, () => errors), gradientFeatures });
        });
        for (const pair of members) for (let i = 0; i < times; i++) gradients.push({ pair, ciphertext });
      }
    }
    history.push(
      nesterovStep(evaluator, {
        layout,
        pairs: members,
        gradients,
        factor: stepFactor(hyperparameters, layout.batchSize, iteration),
        ...momentumTerms(etas, segment, iteration, { history, fresh }, initialWeight),
      }),
    );
  }
  const newest = history.at(-1);
  if (newest === undefined) throw new PlanError('no iterations', 'at least 1');
  if (segment.first + segment.count > hyperparameters.iterations) {
    finalWeights(evaluator, {
      layout,
      pairs: members,
      newest,
      ...finalTerms(etas, segment, { history, fresh }, initialWeight),
    });
  }
}

/**
 * The widest chain that fits: every level at the same bits, as many as allowed; the last prime with room for weights;
 * the special prime as large as may be, because key-switching noise shrinks with it.
 * @param maxPrimeBits of any prime
 */
function chainFor(
  levels: number,
  budget: number,
  maxPrimeBits: number,
): { scaleBits: number; dataBits: number[]; specialBits: number } | undefined {
  const headroom = WEIGHT_SCALE_BITS + WEIGHT_BITS + 1;
  for (let scaleBits = Math.min(MAX_SCALE_BITS, maxPrimeBits - headroom); scaleBits >= MIN_SCALE_BITS; scaleBits--) {
    const q0 = scaleBits + headroom;
    const left = budget - q0 - levels * scaleBits;
    const specialBits = Math.min(maxPrimeBits, left);
    if (specialBits >= q0)
      return { scaleBits, dataBits: [q0, ...new Array<number>(levels).fill(scaleBits)], specialBits };
  }
  return undefined;
}

/** Standard deviation of SEAL's fresh noise. */
const FRESH_NOISE = 3.2;
/** The largest of some thousand values, in standard deviations. */
const LARGEST = 4;
/** Puts the formula 3 to 200 (mostly 8 to 100) times above the largest errors measured, over rings, scales, shapes, turns and starts. */
const ERROR_MARGIN = 4;

/**
 * An upper bound of a weight's largest absolute error, from the two noises that matter:
 * - reducing a product (`circuits/reduce.ts`) rounds every slot; the row sum adds up the rounding of all rows;
 * - SEAL does not centre the digits of a key switch, so its noise gathers in the few slots whose roots are nearest to 1
 *   (slots 0 and 1 among them): single samples of a shard, single columns of the weights. It shows where the special
 *   prime is less than some 10 bits longer than the last level's.
 *
 * Both enter the weights directly, and through the errors E, which a step multiplies by sum |x~_ij|: at most 4, and about
 * 4 over the mean of sum_l |x_il|.
 */
export function expectedError({
  parameters,
  layout,
  hyperparameters,
}: Pick<Plan, 'parameters' | 'layout' | 'hyperparameters'>): number {
  const { ring, scaleBits, dataBits, specialBits } = parameters;
  const rounding = LARGEST * (scaleBits >= CHEAP_ORDER_SCALE_BITS ? 0.2 * ring ** 1.5 : 0.24 * ring);
  const peak = (LARGEST * FRESH_NOISE * ring ** 1.5 * 2 ** ((dataBits[0] ?? 0) - specialBits)) / Math.PI;
  const weightScale = 2 ** gradientScaleBits(parameters, hyperparameters) / factorInScale(hyperparameters);
  const weights = (rounding * Math.sqrt(layout.rows) + peak) / weightScale;
  const errors = (rounding / Math.sqrt(layout.batchSize) + peak / layout.batchSize) / parameters.scale;
  const sensitivity = hyperparameters.learningRate * Math.min(4, 16 / layout.features);
  return ERROR_MARGIN * hyperparameters.iterations * (weights + sensitivity * errors);
}

/** Smallest task worth the queue's overhead, and largest one that keeps progress and recovery fine-grained, in transforms of N = 16384. */
const MIN_TASK_TRANSFORMS = 400;
const MAX_TASK_TRANSFORMS = 7000;

/**
 * The cheapest plan over rings, block shapes, turns and refresh intervals. One without refreshes, which needs nobody's presence,
 * is preferred unless another one costs less than a third.
 * @throws PlanError when no supported parameter set carries the job
 */
export function choosePlan(request: PlanRequest): Plan {
  const { shape, hyperparameters, refreshEvery } = request;
  checkShape(shape, hyperparameters);
  if (refreshEvery !== undefined && !(Number.isInteger(refreshEvery) && refreshEvery >= 1))
    throw new PlanError(`refresh every ${refreshEvery} iterations`, 'whole numbers from 1 are allowed');
  const { iterations } = hyperparameters;
  const intervals =
    refreshEvery === undefined
      ? [...Array.from({ length: Math.min(iterations, MAX_INTERVAL + 1) - 1 }, (_, i) => i + 1), iterations]
      : [Math.min(refreshEvery, iterations)];
  let best: Candidate | undefined;
  for (const interval of intervals) {
    const found = search(request, interval);
    best = cheaper(best, found && { ...found, seconds: found.seconds * (interval === iterations ? 1 / 3 : 1) });
  }
  if (best !== undefined) return best.plan;
  const what = `${shape.samples} x ${shape.features} x ${shape.classes}`;
  // In the largest ring, however well the slots are filled.
  if (shape.samples * shape.features > MAX_BLOCKS * 16384)
    throw new PlanError(
      `${what} is too much for one job`,
      `samples x features of at most ${MAX_BLOCKS * 16384} fit its ${MAX_BLOCKS} blocks`,
    );
  if (refreshEvery !== undefined) {
    for (let fewer = Math.min(refreshEvery, iterations) - 1; fewer >= 1; fewer--) {
      if (search(request, fewer) !== undefined) {
        throw new PlanError(
          `${Math.min(refreshEvery, iterations)} iterations without a refresh do not fit any 128-bit secure modulus`,
          `at most ${fewer} for ${what} with this start, sigmoid degree and precision`,
        );
      }
    }
  }
  throw new PlanError(
    `no 128-bit secure parameter set carries ${what}`,
    'ask for fewer samples or features, a lower precision or a lower sigmoid degree',
  );
}

/** No chain of primes is long enough for more. */
const MAX_INTERVAL = 8;

interface Candidate {
  readonly plan: Plan;
  /** Expected; finding out takes a dry run. */
  readonly seconds: number;
}

/** The first one, unless the second one is better. */
function cheaper(best: Candidate | undefined, other: Candidate | undefined): Candidate | undefined {
  return other !== undefined && (best === undefined || other.seconds < best.seconds) ? other : best;
}

function search(request: PlanRequest, refreshEvery: number): Candidate | undefined {
  const { hyperparameters, security = '128', modelLevel = 0 } = request;
  const schedule: Schedule = { refreshEvery, modelLevel };
  let best: Candidate | undefined;
  for (const ring of request.ring === undefined ? ([8192, 16384, 32768] as const) : [request.ring]) {
    // Longer primes are for where precision asks for them.
    for (const maxPrimeBits of [FAST_PRIME_BITS, MAX_PRIME_BITS]) {
      const chain = chainFor(
        levelsNeeded(hyperparameters, schedule),
        security === '128' ? maxLogQP(ring) : UNLIMITED_BITS,
        maxPrimeBits,
      );
      const found =
        chain === undefined ? undefined : bestShape(Parameters.of({ ring, ...chain }, security), request, schedule);
      if (found === undefined) continue;
      best = cheaper(best, found);
      break;
    }
  }
  return best;
}

function bestShape(parameters: Parameters, request: PlanRequest, schedule: Schedule): Candidate | undefined {
  const { shape, hyperparameters, vcpus = 2 } = request;
  const batch = batchSize(hyperparameters, shape.samples);
  let best: Candidate | undefined;
  for (let columns = 2; columns <= parameters.slots; columns *= 2) {
    const rows = parameters.slots / columns;
    for (let turns = 1; 2 * turns <= columns; turns *= 2) {
      // Shapes that leave most slots empty cost bytes and memory, whatever they save in rotations.
      const cells = Math.ceil(batch / (rows * turns)) * turns * Math.ceil(shape.features / columns);
      if (cells > 4 + (2 * batch * shape.features) / parameters.slots) continue;
      const plan = tryShape(parameters, { rows, columns, turns }, request, schedule);
      if (plan === undefined || plan.threadMemoryBytes > MAX_THREAD_BYTES) continue;
      best = cheaper(best, { plan, seconds: expectedSeconds(plan, vcpus) });
      // More samples than there are.
      if (rows * turns >= batch) break;
    }
  }
  return best;
}

/** Of one transform of N = 16384 with the native evaluator; transforms grow with N log N. Only its ratio to the other costs matters. */
const TRANSFORM_SECONDS = 0.043e-3;
export const UPLOAD_BYTES_PER_SECOND = 50e6;
const REFRESH_BYTES_PER_SECOND = 10e6;
/** The owner's answer to the refresh of one chain: being asked, and packing weights into slots and back, which grows with the blocks. */
const REFRESH_SECONDS = 0.1;
const REFRESH_SECONDS_PER_BLOCK = 1.1e-3;
/** Between the end of a task and the start of what waited for it. */
const QUEUE_SECONDS = 0.03;

/** What a job is expected to take with `vcpus` threads, and what plans are compared by. Measured costs: `blindfit plan`. */
export function expectedSeconds(plan: Plan, vcpus: number): number {
  const { bytes, segments, layout, iterations, grouping } = plan;
  const chains = chainsOf(plan).length;
  const refresh =
    (REFRESH_SECONDS + REFRESH_SECONDS_PER_BLOCK * layout.blocks * grouping.pairsPerChain) * chains +
    (bytes.refreshDown + bytes.refreshUp) / REFRESH_BYTES_PER_SECOND;
  const refreshes = segments.length - 1;
  const work = (plan.transforms * transformSeconds(plan)) / vcpus;
  // A chain refreshes while others compute; with enough threads what remains is one chain's way through its iterations.
  const way =
    iterations.length * (iterationSpan(plan) * transformSeconds(plan) + 3 * QUEUE_SECONDS) +
    (refreshes * refresh) / chains;
  return (
    Math.max(work, way) +
    0.2 * Math.min(work, way) +
    (bytes.data + bytes.keys) / UPLOAD_BYTES_PER_SECOND +
    refreshes * refresh * (chains > 1 ? 0.2 : 1)
  );
}

/** Of one transform in a plan's ring. */
export function transformSeconds({ parameters: { ring } }: Pick<Plan, 'parameters'>): number {
  return TRANSFORM_SECONDS * ((ring * Math.log2(ring)) / (16384 * 14));
}

/** Transforms of one iteration that must come one after the other, however many threads there are: a forward task, then a backward task. */
function iterationSpan(plan: Plan): number {
  const {
    parameters,
    layout,
    grouping,
    hyperparameters: { sigmoid },
  } = plan;
  const levels = plan.iterations.find(({ weights }) => weights !== undefined);
  if (levels?.weights === undefined) return 0;
  const evaluator = new CountingEvaluator(parameters);
  const weights = expand(
    evaluator,
    layout,
    evaluator.input(levels.weights, plan.refreshScale),
    0,
    grouping.pairsPerChain,
  );
  const labels = evaluator.input(plan.labels.level, plan.labels.scale);
  const features = Array.from({ length: layout.cells }, () =>
    evaluator.input(plan.features.level, plan.features.scale),
  );
  const errors = evaluator.repeat(grouping.shardsPerTask, () =>
    forward(evaluator, { layout, sigmoid, weights, features, labels }),
  );
  const feature = evaluator.input(plan.gradientFeatures.level, plan.gradientFeatures.scale);
  const cells = Array.from({ length: grouping.shardsPerTask * layout.turns }, () => feature);
  backward(evaluator, {
    layout,
    errors: Array.from({ length: grouping.shardsPerTask }, () => errors),
    gradientFeatures: new Map(Array.from({ length: grouping.blocksPerTask }, (_, block) => [block, cells])),
  });
  return evaluator.cost;
}

function tryShape(
  parameters: Parameters,
  block: BlockShape,
  request: PlanRequest,
  schedule: Schedule,
): Plan | undefined {
  const {
    shape,
    hyperparameters,
    vcpus = 2,
    precision = 1e-5 * Math.max(1, request.hyperparameters.iterations / 2),
  } = request;
  try {
    const layout = layoutOf(
      block,
      shape.samples,
      shape.features,
      shape.classes,
      batchSize(hyperparameters, shape.samples),
    );
    if (expectedError({ parameters, layout, hyperparameters }) > precision) return undefined;
    const pairsPerChain = chainSize(layout, schedule.refreshEvery < hyperparameters.iterations);
    const whole = derivePlan(
      parameters,
      block,
      shape,
      hyperparameters,
      { blocksPerTask: layout.blocks, shardsPerTask: layout.shardsPerBatch, pairsPerChain },
      schedule,
    );
    return derivePlan(
      parameters,
      block,
      shape,
      hyperparameters,
      { ...groupingFor(whole, vcpus), pairsPerChain },
      schedule,
    );
  } catch (error) {
    if (error instanceof PlanError) return undefined;
    throw error;
  }
}

/** Enough to keep workers busy with some chains while the owner refreshes others; more would cost the owner bytes. */
const REFRESHED_CHAINS = 4;

function chainSize(layout: Layout, refreshed: boolean): number {
  let pairs = 1;
  while (refreshed && pairs < layout.pairsPerModel && Math.ceil(layout.pairs / pairs) > REFRESHED_CHAINS) pairs *= 2;
  return pairs;
}

/** Tasks to cut a pair's work into. @param transforms of that work @param most tasks it can be cut into */
export function tasksOf(
  { layout, parameters: { ring } }: Pick<Plan, 'layout' | 'parameters'>,
  transforms: number,
  most: number,
  vcpus: number,
): number {
  const work = transforms * ((ring * Math.log2(ring)) / (16384 * 14));
  const wanted = Math.max(Math.ceil(work / MAX_TASK_TRANSFORMS), Math.ceil(vcpus / layout.pairs));
  return Math.min(most, wanted, Math.max(1, Math.floor(work / MIN_TASK_TRANSFORMS)));
}

/** Of X~ and the errors that one backward task holds at a time. */
const MAX_TASK_BYTES = 96e6;

/** Cuts a pair's work until there are tasks for every vCPU, none longer or larger than the bounds and, where possible, none tiny. */
function groupingFor(plan: Plan, vcpus: number): Pick<Grouping, 'blocksPerTask' | 'shardsPerTask'> {
  const { layout } = plan;
  const parts = (count: number): number =>
    tasksOf(plan, plan.transforms / (layout.pairs * plan.iterations.length), count, vcpus);
  const shardParts = parts(layout.shardsPerBatch);
  const shards = Math.ceil(layout.shardsPerBatch / shardParts);
  const bytes = shards * layout.cells * 2 * (plan.gradientFeatures.level + 1) * plan.parameters.ring * 8;
  const blockParts = Math.min(
    layout.blocks,
    Math.max(
      1,
      Math.floor(parts(layout.shardsPerBatch * layout.blocks) / shardParts),
      Math.ceil(bytes / MAX_TASK_BYTES),
    ),
  );
  return { blocksPerTask: Math.ceil(layout.blocks / blockParts), shardsPerTask: shards };
}
