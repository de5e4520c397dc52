/**
 * From the shape of a job to everything it needs: ring, prime chain, block shape, levels, rotation keys, task sizes,
 * operation counts, bytes and memory. Nothing here is chosen by the user by hand, and nothing depends on the data.
 */
import { backward, BACKWARD_LEVELS } from './circuits/backward.ts';
import { forward, forwardLevels, startErrors, startLevels, startScores } from './circuits/forward.ts';
import { expand, packModel } from './circuits/pack.ts';
import { CHEAP_ORDER_SCALE_BITS } from './circuits/reduce.ts';
import { finalWeights, nesterovStep } from './circuits/step.ts';
import { DryRunEvaluator, keySwitchTransforms } from './dry-run.ts';
import { CircuitError, PlanError } from './errors.ts';
import { addOperations, noOperations, type Ciphertext, type OperationCounts } from './evaluator.ts';
import { layoutOf, type BlockShape, type Layout } from './layout.ts';
import { Parameters } from './parameters.ts';
import { maxLogQP, type Ring, type SecurityLevel } from './security.ts';
import { momentumCoefficients, momentumSchedule, stepFactor, type Hyperparameters } from './training.ts';

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
}

export interface IterationLevels {
  /** Of V as the iteration finds it; undefined in the first one, whose weights are public. */
  readonly weights: number | undefined;
  readonly errors: number;
  readonly gradient: number;
}

export interface Plan {
  readonly parameters: Parameters;
  readonly layout: Layout;
  readonly hyperparameters: Hyperparameters;
  readonly grouping: Grouping;
  /** Levels and scales the owner encrypts at. */
  readonly features: { readonly level: number; readonly scale: number };
  readonly gradientFeatures: { readonly level: number; readonly scale: number };
  readonly labels: { readonly level: number; readonly scale: number };
  readonly iterations: readonly IterationLevels[];
  /** Left rotations keys are needed for, ascending; 0 is the conjugation. */
  readonly steps: readonly number[];
  readonly operations: OperationCounts;
  /** Cost of the whole job in transforms of length N, and in key switches at the top level. */
  readonly transforms: number;
  readonly rotationEquivalents: number;
  readonly bytes: { readonly data: number; readonly keys: number; readonly model: number };
  /** Of one worker thread with the keys loaded. */
  readonly threadMemoryBytes: number;
  /** Largest |weight| the last level can carry; the owner checks against the clear twin. */
  readonly maxWeight: number;
}

/** Bits by which V's scale exceeds the nominal one, and room for weights up to 2^WEIGHT_BITS at the last level. */
const WEIGHT_SCALE_BITS = 4;
const WEIGHT_BITS = 5;
const MIN_GRADIENT_SCALE_BITS = 10;
const MAX_SCALE_BITS = 45;
/** Below this the noise of one rotation (some 2^13) is above 1e-5. */
const MIN_SCALE_BITS = 30;
const MAX_PRIME_BITS = 60;
/** WebAssembly gives a thread 4 GB. */
const MAX_THREAD_BYTES = 3.5e9;
/** Small rings of unit tests have no security to keep. */
const UNLIMITED_BITS = 60 * 30;

export interface PlanRequest {
  readonly shape: JobShape;
  readonly hyperparameters: Hyperparameters;
  /** Threads the plan cuts tasks for. @default 2 */
  readonly vcpus?: number;
  /** Wanted largest absolute error of a weight. @default 1e-5 */
  readonly precision?: number;
  readonly security?: SecurityLevel;
  /** Only this ring. */
  readonly ring?: Ring;
}

/** Levels of every iteration, from the last one's gradient at level 0 upwards. */
function iterationLevels(hyperparameters: Hyperparameters): IterationLevels[] {
  const perIteration = forwardLevels(hyperparameters.sigmoid.degree) + BACKWARD_LEVELS;
  return Array.from({ length: hyperparameters.iterations }, (_, t) => {
    const gradient = (hyperparameters.iterations - 1 - t) * perIteration;
    return { weights: t === 0 ? undefined : gradient + perIteration, errors: gradient + BACKWARD_LEVELS, gradient };
  });
}

/** Levels a job consumes from the encrypted data to the model. */
export function levelsNeeded(hyperparameters: Hyperparameters): number {
  const [first] = iterationLevels(hyperparameters);
  if (first === undefined) throw new PlanError('no iterations', 'at least 1');
  return first.errors + (hyperparameters.initialWeight === 0 ? 0 : startLevels(hyperparameters.sigmoid.degree));
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

/** @throws PlanError naming the number that is out of range and what is allowed */
export function checkShape(shape: JobShape, hyperparameters: Hyperparameters): void {
  const whole = (what: string, value: number, min: number, max: number): void => {
    if (!Number.isInteger(value) || value < min || value > max) throw new PlanError(`${what}: ${value}`, `whole numbers from ${min} to ${max} are allowed`);
  };
  whole('samples', shape.samples, 1, 1_000_000);
  whole('features (bias included)', shape.features, 2, 4097);
  whole('classes', shape.classes, 2, 1000);
  whole('iterations', hyperparameters.iterations, 1, 1000);
  const { learningRate, initialWeight, sigmoid } = hyperparameters;
  if (!(learningRate >= 1e-4 && learningRate <= 1e3)) throw new PlanError(`learning rate ${learningRate}`, 'allowed: 0.0001 to 1000');
  if (!(Math.abs(initialWeight) <= 1)) throw new PlanError(`initial weight ${initialWeight}`, 'allowed: -1 to 1');
  if (sigmoid.odd.length !== (sigmoid.degree + 1) / 2 || !sigmoid.odd.every((c) => Number.isFinite(c) && Math.abs(c) < 10)) {
    throw new PlanError(`sigmoid coefficients ${sigmoid.odd.join(', ')}`, `${(sigmoid.degree + 1) / 2} finite ones below 10 for degree ${sigmoid.degree}`);
  }
}

/**
 * The plan that follows from explicit choices: what the API checks a manifest with, and what `choosePlan` searches over.
 * Runs every circuit of the job on a dry-run evaluator.
 * @throws PlanError when the choices cannot carry the job
 */
export function derivePlan(parameters: Parameters, block: BlockShape, shape: JobShape, hyperparameters: Hyperparameters, grouping: Grouping): Plan {
  checkShape(shape, hyperparameters);
  if (block.rows * block.columns !== parameters.slots) {
    throw new PlanError(`a block of ${block.rows} x ${block.columns}`, `rows x columns must be the ${parameters.slots} slots of N = ${parameters.ring}`);
  }
  const layout = layoutOf(block, shape.samples, shape.features, shape.classes);
  for (const [name, value, max] of [['blocksPerTask', grouping.blocksPerTask, layout.blocks], ['shardsPerTask', grouping.shardsPerTask, layout.shards]] as const) {
    if (!Number.isInteger(value) || value < 1 || value > max) throw new PlanError(`${name}: ${value}`, `whole numbers from 1 to ${max} are allowed`);
  }
  const needed = levelsNeeded(hyperparameters);
  if (needed !== parameters.maxLevel) {
    throw new PlanError(`${parameters.name} has ${parameters.maxLevel} levels`, `this job needs exactly ${needed}; let the planner choose the parameters`);
  }
  const iterations = iterationLevels(hyperparameters);
  const scale = parameters.scale;
  const errorsLevel = iterations[0]?.errors ?? 0;
  const featuresLevel = hyperparameters.initialWeight === 0 ? (iterations[1]?.weights ?? 0) : needed;
  const base = {
    parameters,
    layout,
    hyperparameters,
    grouping,
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
  const cells = layout.shards * layout.blocks;
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
      model: layout.models * 2 * ring * 8,
    },
    threadMemoryBytes: (steps.length + 1) * keyBytes + 200e6,
    maxWeight: 2 ** WEIGHT_BITS,
  });
}

/** Which blocks, or shards, each task of a kind gets. */
export function groups(count: number, perTask: number): number[][] {
  const result: number[][] = [];
  for (let from = 0; from < count; from += perTask) {
    result.push(Array.from({ length: Math.min(perTask, count - from) }, (_, i) => from + i));
  }
  return result;
}

type PlanBase = Pick<Plan, 'parameters' | 'layout' | 'hyperparameters' | 'grouping' | 'features' | 'gradientFeatures' | 'labels' | 'iterations'>;

/** Runs the job's circuits on shadows: one pair, times their number. */
function dryRun(plan: PlanBase): { counts: OperationCounts; transforms: number; steps: Set<number> } {
  const { layout, parameters } = plan;
  let counts = noOperations();
  let transforms = 0;
  const steps = new Set<number>();
  const addRun = (times: number, body: (evaluator: DryRunEvaluator) => void): void => {
    if (times === 0) return;
    const evaluator = new DryRunEvaluator(parameters);
    try {
      body(evaluator);
    } catch (error) {
      if (error instanceof CircuitError) throw new PlanError(`${parameters.name} does not carry the circuits of this job: ${error.message}`, 'let the planner choose the parameters');
      throw error;
    }
    for (let i = 0; i < times; i++) counts = addOperations(counts, evaluator.counts);
    transforms += times * evaluator.transforms;
    for (const step of evaluator.steps) steps.add(step);
  };
  if (plan.hyperparameters.initialWeight !== 0) addRun(layout.shards, (evaluator) => dryStart(evaluator, plan));
  let weights: Ciphertext | undefined;
  addRun(layout.pairs, (evaluator) => {
    weights = dryPair(evaluator, plan);
  });
  // The model, and V of every iteration for the owner's report.
  addRun(1 + plan.hyperparameters.iterations, (evaluator) => {
    packModel(evaluator, layout, Array.from({ length: layout.pairs }, () => evaluator.input(0, weights?.scale ?? 1)));
  });
  return { counts, transforms, steps };
}

function dryStart(evaluator: DryRunEvaluator, plan: PlanBase): Ciphertext {
  const { layout, hyperparameters, features, labels } = plan;
  return startScores(evaluator, {
    layout,
    sigmoid: hyperparameters.sigmoid,
    features: Array.from({ length: layout.blocks }, () => evaluator.input(features.level, features.scale)),
    initialWeight: hyperparameters.initialWeight,
    scale: labels.scale,
  });
}

function dryPair(evaluator: DryRunEvaluator, plan: PlanBase): Ciphertext {
  const { layout, hyperparameters, grouping, iterations } = plan;
  const { sigmoid, initialWeight } = hyperparameters;
  const etas = momentumSchedule(hyperparameters.iterations);
  const history: Ciphertext[] = [];
  const shards = groups(layout.shards, grouping.shardsPerTask);
  const blocks = groups(layout.blocks, grouping.blocksPerTask);
  for (const [index, levels] of iterations.entries()) {
    const newest = history.at(-1);
    const errors = shards.map((group) => {
      if (newest === undefined) {
        return group.map(() => {
          const labels = evaluator.input(plan.labels.level, plan.labels.scale);
          if (initialWeight === 0) return labels;
          return startErrors(evaluator, sigmoid, labels, evaluator.input(levels.errors, plan.labels.scale));
        });
      }
      const weights = expand(evaluator, layout, newest);
      return group.map(() =>
        forward(evaluator, {
          layout,
          sigmoid,
          weights,
          features: weights.map(() => evaluator.input(plan.features.level, plan.features.scale)),
          labels: evaluator.input(plan.labels.level, plan.labels.scale),
        }));
    });
    const gradients = errors.flatMap((group) =>
      blocks.map((members) =>
        backward(evaluator, {
          layout,
          errors: group,
          gradientFeatures: new Map(members.map((f) => [f, group.map(() => evaluator.input(plan.gradientFeatures.level, plan.gradientFeatures.scale))])),
        })));
    history.push(
      nesterovStep(evaluator, {
        layout,
        gradients,
        factor: stepFactor(hyperparameters, layout.samples, index + 1),
        ...momentumOf(etas, index, history, initialWeight),
      }));
  }
  const newest = history.at(-1);
  if (newest === undefined) throw new PlanError('no iterations', 'at least 1');
  const final = finalMomentum(etas, history, initialWeight);
  return finalWeights(evaluator, { layout, newest, ...final });
}

/**
 * W_t as terms for `nesterovStep` of iteration t + 1: history[0] is M_1. The start M_0 is public, so its share is a constant.
 * @param done iterations finished, t
 */
export function momentumOf<T>(etas: readonly number[], done: number, history: readonly T[], start: number): { momentum: { coefficient: number; weights: T }[]; constant: number } {
  if (done === 0) return { momentum: [], constant: start };
  const { newest, older } = momentumCoefficients(etas, done);
  const last = history[done - 1];
  const before = history[done - 2];
  const momentum: { coefficient: number; weights: T }[] = [];
  if (last !== undefined) momentum.push({ coefficient: newest, weights: last });
  if (before !== undefined) momentum.push({ coefficient: older, weights: before });
  return { momentum, constant: done === 1 ? older * start : 0 };
}

/** The terms of W_T besides M_T itself, whose coefficient the scale carries. */
export function finalMomentum<T>(etas: readonly number[], history: readonly T[], start: number): { newestCoefficient: number; momentum: { coefficient: number; weights: T }[]; constant: number } {
  const { newest, older } = momentumCoefficients(etas, history.length);
  const before = history[history.length - 2];
  return {
    newestCoefficient: newest,
    momentum: before === undefined ? [] : [{ coefficient: older, weights: before }],
    constant: history.length === 1 ? older * start : 0,
  };
}

/**
 * The widest chain that fits: every level at the same bits, as many as allowed; the last prime with room for weights;
 * the special prime as large as may be, because key-switching noise shrinks with it.
 */
function chainFor(levels: number, budget: number): { scaleBits: number; dataBits: number[]; specialBits: number } | undefined {
  const headroom = WEIGHT_SCALE_BITS + WEIGHT_BITS + 1;
  for (let scaleBits = MAX_SCALE_BITS; scaleBits >= MIN_SCALE_BITS; scaleBits--) {
    const q0 = scaleBits + headroom;
    const left = budget - q0 - levels * scaleBits;
    const specialBits = Math.min(MAX_PRIME_BITS, left);
    if (specialBits >= q0) return { scaleBits, dataBits: [q0, ...new Array<number>(levels).fill(scaleBits)], specialBits };
  }
  return undefined;
}

/** Standard deviation of SEAL's fresh noise. */
const FRESH_NOISE = 3.2;
/** The largest of some thousand values, in standard deviations. */
const LARGEST = 4;
/** Puts the formula 3 to 100 (mostly 8 to 30) times above the largest errors measured, over rings, scales, shapes and starts. */
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
export function expectedError({ parameters, layout, hyperparameters }: Pick<Plan, 'parameters' | 'layout' | 'hyperparameters'>): number {
  const { ring, scaleBits, dataBits, specialBits } = parameters;
  const rounding = LARGEST * (scaleBits >= CHEAP_ORDER_SCALE_BITS ? 0.2 * ring ** 1.5 : 0.24 * ring);
  const peak = (LARGEST * FRESH_NOISE * ring ** 1.5 * 2 ** ((dataBits[0] ?? 0) - specialBits)) / Math.PI;
  const weightScale = 2 ** gradientScaleBits(parameters, hyperparameters) / factorInScale(hyperparameters);
  const weights = (rounding * Math.sqrt(layout.rows) + peak) / weightScale;
  const errors = (rounding / Math.sqrt(layout.samples) + peak / layout.samples) / parameters.scale;
  const sensitivity = hyperparameters.learningRate * Math.min(4, 16 / layout.features);
  return ERROR_MARGIN * hyperparameters.iterations * (weights + sensitivity * errors);
}

/** Smallest task worth the queue's overhead, and largest one that keeps progress and recovery fine-grained, in transforms of N = 16384. */
const MIN_TASK_TRANSFORMS = 400;
const MAX_TASK_TRANSFORMS = 5000;

/**
 * The cheapest plan over rings and block shapes.
 * @throws PlanError when no supported parameter set carries the job, saying how many iterations would fit
 */
export function choosePlan(request: PlanRequest): Plan {
  const { shape, hyperparameters } = request;
  checkShape(shape, hyperparameters);
  const plan = search(request);
  if (plan !== undefined) return plan;
  const what = `${shape.samples} x ${shape.features} x ${shape.classes}`;
  for (let iterations = hyperparameters.iterations - 1; iterations >= 1; iterations--) {
    if (search({ ...request, hyperparameters: { ...hyperparameters, iterations } }) !== undefined) {
      throw new PlanError(
        `${hyperparameters.iterations} iterations do not fit any 128-bit secure modulus`,
        `at most ${iterations} for ${what} with this start, sigmoid degree and precision`,
      );
    }
  }
  throw new PlanError(`no 128-bit secure parameter set carries ${what}`, 'ask for fewer features, a lower precision or a lower sigmoid degree');
}

function search(request: PlanRequest): Plan | undefined {
  const { shape, hyperparameters, security = '128' } = request;
  let best: Plan | undefined;
  for (const ring of request.ring === undefined ? ([8192, 16384, 32768] as const) : [request.ring]) {
    const chain = chainFor(levelsNeeded(hyperparameters), security === '128' ? maxLogQP(ring) : UNLIMITED_BITS);
    if (chain === undefined) continue;
    const parameters = Parameters.of({ ring, ...chain }, security);
    for (let columns = 2; columns <= parameters.slots; columns *= 2) {
      const block = { rows: parameters.slots / columns, columns };
      // Shapes that leave most slots empty cost bytes and memory, whatever they save in rotations.
      const cells = Math.ceil(shape.samples / block.rows) * Math.ceil(shape.features / columns);
      if (cells > 4 + (2 * shape.samples * shape.features) / parameters.slots) continue;
      const plan = tryShape(parameters, block, request);
      if (plan !== undefined && plan.threadMemoryBytes <= MAX_THREAD_BYTES && (best === undefined || cost(plan) < cost(best))) best = plan;
    }
  }
  return best;
}

/** Transforms grow with N log N. */
function cost(plan: Plan): number {
  const { ring } = plan.parameters;
  return plan.transforms * ring * Math.log2(ring);
}

function tryShape(parameters: Parameters, block: BlockShape, request: PlanRequest): Plan | undefined {
  const { shape, hyperparameters, vcpus = 2, precision = 1e-5 } = request;
  try {
    const layout = layoutOf(block, shape.samples, shape.features, shape.classes);
    if (expectedError({ parameters, layout, hyperparameters }) > precision) return undefined;
    const whole = derivePlan(parameters, block, shape, hyperparameters, { blocksPerTask: layout.blocks, shardsPerTask: layout.shards });
    return derivePlan(parameters, block, shape, hyperparameters, groupingFor(whole, vcpus));
  } catch (error) {
    if (error instanceof PlanError) return undefined;
    throw error;
  }
}

/** Cuts a pair's work until there are tasks for every vCPU, none longer than the bound and, where possible, none tiny. */
function groupingFor(plan: Plan, vcpus: number): Grouping {
  const { layout } = plan;
  const perPairIteration = (plan.transforms / (layout.pairs * plan.iterations.length)) * ((plan.parameters.ring * Math.log2(plan.parameters.ring)) / (16384 * 14));
  const parts = (count: number): number => {
    const wanted = Math.max(Math.ceil(perPairIteration / MAX_TASK_TRANSFORMS), Math.ceil(vcpus / layout.pairs));
    const sensible = Math.max(1, Math.floor(perPairIteration / MIN_TASK_TRANSFORMS));
    return Math.min(count, wanted, sensible);
  };
  const shardParts = parts(layout.shards);
  const blockParts = Math.min(layout.blocks, Math.max(1, Math.floor(parts(layout.shards * layout.blocks) / shardParts)));
  return { blocksPerTask: Math.ceil(layout.blocks / blockParts), shardsPerTask: Math.ceil(layout.shards / shardParts) };
}
