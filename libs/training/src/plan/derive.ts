/**
 * From explicit choices (parameters, block shape, grouping, schedule) to the plan of a training. The API checks
 * manifests with it, and the search (`search.ts`) compares its plans.
 */
import { at, messageWithHint } from '@blindfit/base';
import { CircuitError, keySwitchTransforms, type Parameters } from '@blindfit/he';
import { startLevels } from '../circuits/forward.ts';
import { layoutOf, type BlockShape } from '../layout/shape.ts';
import { batchSize, momentumCoefficients, momentumSchedule, type Hyperparameters } from '../method.ts';
import { PlanError } from '../plan-error.ts';
import { chainsOf } from '../program.ts';
import { iterationLevels, segmentsOf, type IterationLevels, type Schedule } from '../schedule.ts';
import { countTraining, type JobCount } from './count.ts';
import { MAX_BLOCKS, MAX_SHARDS, type Grouping, type JobShape, type Plan, type PlanBase } from './plan.ts';

/** Bits by which V's scale exceeds the nominal one, and room for weights up to 2^WEIGHT_BITS at the last level. */
export const WEIGHT_SCALE_BITS = 4;
export const WEIGHT_BITS = 5;
const MIN_GRADIENT_SCALE_BITS = 10;

/** Levels a job consumes from the encrypted data to the model, or from one refresh to the next, whichever is more. */
export function levelsNeeded(hyperparameters: Hyperparameters, schedule: Schedule): number {
  const levels = iterationLevels(hyperparameters, schedule);
  const [first] = levels;
  if (first === undefined) throw new PlanError('no iterations', 'at least 1');
  const start = first.errors + (hyperparameters.initialWeight === 0 ? 0 : startLevels(hyperparameters.sigmoid.degree));
  return Math.max(start, ...weightLevels(levels));
}

/** The level of V in every iteration but the first, whose weights are public. */
function weightLevels(iterations: readonly IterationLevels[]): number[] {
  return iterations.flatMap(({ weights }) => (weights === undefined ? [] : [weights]));
}

/**
 * The factors that live in the weights' scale: the learning rate, and after a single iteration the small share (1 -
 * eta_1) that M_1 has in W_1.
 */
export function factorInScale({ iterations, learningRate }: Hyperparameters): number {
  return learningRate * (iterations === 1 ? momentumCoefficients(momentumSchedule(1), 1).newest : 1);
}

/**
 * X~ is encoded so that the weights, after those factors, sit near 2^(scaleBits + WEIGHT_SCALE_BITS). Its product with
 * the errors, at the nominal scale, must stay below the two primes of level 1.
 */
export function gradientScaleBits(parameters: Parameters, hyperparameters: Hyperparameters): number {
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
  const { learningRate, initialWeight, sigmoid, batch, decay = 0 } = hyperparameters;
  if (batch !== undefined) {
    whole('batch size', batch.size, 1, shape.samples);
    whole('seed of the batches', batch.seed, 0, 2 ** 32 - 1);
  }
  if (!(learningRate >= 1e-4 && learningRate <= 1e3))
    throw new PlanError(`learning rate ${learningRate}`, 'allowed: 0.0001 to 1000');
  if (!(decay >= 0 && decay < 1)) throw new PlanError(`decay ${decay}`, 'from 0 to below 1 is allowed');
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
 * The plan that follows from explicit choices: what the API checks a manifest with, and what `choosePlan` searches
 * over. Runs every circuit of the job on a counting evaluator.
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
  // W comes back one level above the first gradient of the next segment.
  const momentumLevel = (segments.length > 1 ? at(iterations, schedule.refreshEvery, 'iterations').gradient : 0) + 1;
  const scale = parameters.scale;
  const errorsLevel = Math.max(...iterations.map(({ errors }) => errors));
  const weightsLevel = Math.max(0, ...weightLevels(iterations));
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
  const count = counted(base);
  const chains = chainsOf(base).length;
  const { ring } = parameters;
  const primes = parameters.dataBits.length;
  const keyBytes = 2 * primes * (primes + 1) * ring * 8;
  const seeded = (level: number): number => (level + 1) * ring * 8;
  const cells = layout.shards * layout.cells;
  const refreshUp = chains * (seeded(weightsLevel) + seeded(momentumLevel));
  const steps = [...count.rotations].sort((a, b) => a - b);
  return Object.freeze({
    ...base,
    steps,
    operations: count.operations,
    transforms: count.cost,
    rotationEquivalents: count.cost / keySwitchTransforms(primes),
    span: count.span,
    tasks: count.tasks,
    bytes: {
      data: cells * (seeded(featuresLevel) + seeded(errorsLevel)) + layout.shards * layout.pairs * seeded(errorsLevel),
      keys: ((steps.length + 1) * keyBytes) / 2,
      model: layout.models * 2 * (schedule.modelLevel + 1) * ring * 8,
      // V, and the one before unless the owner sent it; V at the top and W above the gradient, seeded.
      refreshDown: chains * (schedule.refreshEvery > 1 ? 4 : 2) * ring * 8,
      refreshUp,
      intermediates: count.rows * ring * 8 + (base.segments.length - 1) * refreshUp,
    },
    threadMemoryBytes: (steps.length + 1) * keyBytes + taskBytes(base),
    maxWeight: 2 ** WEIGHT_BITS,
  });
}

/** @throws PlanError when the parameters do not carry the circuits */
function counted(plan: PlanBase): JobCount {
  try {
    return countTraining(plan);
  } catch (error) {
    if (!(error instanceof CircuitError)) throw error;
    throw new PlanError(
      `${plan.parameters.name} does not carry the circuits of this job: ${messageWithHint(error)}`,
      'let the planner choose the parameters',
    );
  }
}

/** What a thread holds besides its keys: parsed inputs it may need again, and the largest task. */
function taskBytes({ layout, grouping, parameters, features, gradientFeatures }: PlanBase): number {
  const ciphertext = (level: number): number => 2 * (level + 1) * parameters.ring * 8;
  const forwardBytes = (layout.cells + layout.blocks) * ciphertext(features.level);
  const backwardBytes =
    grouping.shardsPerTask * layout.turns * (grouping.blocksPerTask + 1) * ciphertext(gradientFeatures.level);
  return 250e6 + Math.max(forwardBytes, backwardBytes);
}
