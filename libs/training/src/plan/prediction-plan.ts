/**
 * What predicting with the model of a finished training job needs: its parameters, rows, columns and keys, laid out for
 * another number of samples and turns.
 */
import { at, messageWithHint } from '@blindfit/base';
import { CircuitError, keySwitchTransforms, type Parameters } from '@blindfit/he';
import { PREDICTION_LEVEL } from '../circuits/predict.ts';
import { layoutOf, type BlockShape } from '../layout/shape.ts';
import { PlanError } from '../plan-error.ts';
import { tasksOf, transformSeconds, UPLOAD_BYTES_PER_SECOND } from './cost.ts';
import { countPrediction, type CountedPrediction } from './count.ts';
import { checkBlock, checkDataShape, WEIGHT_SCALE_BITS } from './derive.ts';
import { MAX_SHARDS, type JobShape, type Plan, type PredictionGrouping, type PredictionPlan } from './plan.ts';

/** Scores up to 2^SCORE_BITS fit; the sigmoid of 64 is 1 - 2e-28. */
const SCORE_BITS = 6;
/** Training returns W near 2^(scaleBits + WEIGHT_SCALE_BITS), by a factor of at most sqrt(2) above. */
const MODEL_SCALE_BITS = WEIGHT_SCALE_BITS + 1;
/**
 * One for the sign, one because a slot holds two scores (a factor of sqrt(2)) and other columns may hold larger sums.
 */
const SPARE_BITS = 2;

/**
 * The scale of samples: the largest power of two with which scores up to 2^SCORE_BITS stay below the last prime after
 * the product with W is divided by a prime of scaleBits.
 */
function featureScale({ dataBits }: Parameters): number {
  return 2 ** (at(dataBits, 0, 'data primes') - MODEL_SCALE_BITS - SCORE_BITS - SPARE_BITS);
}

/**
 * The plan that follows from explicit choices: what the API checks a manifest with.
 * @param shape features and classes are those of the training, samples those to predict
 * @throws PlanError when the choices cannot carry the job
 */
export function derivePredictionPlan(
  parameters: Parameters,
  block: BlockShape,
  shape: JobShape,
  grouping: PredictionGrouping,
): PredictionPlan {
  checkDataShape(shape);
  checkBlock(parameters, block);
  const layout = layoutOf(block, shape.samples, shape.features, shape.classes);
  const { shardsPerTask } = grouping;
  if (!Number.isInteger(shardsPerTask) || shardsPerTask < 1 || shardsPerTask > layout.shards) {
    throw new PlanError(`shardsPerTask: ${shardsPerTask}`, `whole numbers from 1 to ${layout.shards} are allowed`);
  }
  if (parameters.maxLevel < PREDICTION_LEVEL)
    throw new PlanError(`${parameters.name} has no level to predict with`, 'train with a level left for the model');
  const scale = featureScale(parameters);
  if (scale < 2 ** 10)
    throw new PlanError(
      `${parameters.name} leaves samples a scale of ${scale}`,
      'its last prime is too short for scores; let the planner choose the parameters',
    );
  const base = {
    parameters,
    layout,
    grouping,
    features: { level: PREDICTION_LEVEL, scale },
    model: { level: PREDICTION_LEVEL, maxScale: 2 ** (parameters.scaleBits + MODEL_SCALE_BITS) },
  };
  const { operations, cost: transforms, tasks, rotations: steps } = counted(base);
  const { ring } = parameters;
  const primes = parameters.dataBits.length;
  const keyBytes = 2 * primes * (primes + 1) * ring * 8;
  return Object.freeze({
    ...base,
    steps: [...steps].sort((a, b) => a - b),
    operations,
    tasks,
    transforms,
    rotationEquivalents: transforms / keySwitchTransforms(primes),
    bytes: {
      data: layout.shards * layout.cells * (PREDICTION_LEVEL + 1) * ring * 8,
      keys: ((steps.size + 1) * keyBytes) / 2,
      scores: layout.shards * layout.pairs * 2 * ring * 8,
    },
    threadMemoryBytes: (steps.size + 1) * keyBytes + 200e6,
    maxScore: 2 ** SCORE_BITS,
  });
}

/**
 * The plan for samples of the owner of a trained model.
 * @param training of the job that trained it
 * @param vcpus threads the plan cuts tasks for
 * @throws PlanError when that job's model cannot be predicted with, or the number of samples is out of range
 */
export function predictionPlan(
  training: Pick<Plan, 'parameters' | 'layout' | 'schedule'>,
  samples: number,
  vcpus = 2,
): PredictionPlan {
  const { parameters, layout, schedule } = training;
  if (schedule.modelLevel !== PREDICTION_LEVEL)
    throw new PlanError(
      `a model at level ${schedule.modelLevel} has no level left to predict with`,
      'train with `servable`',
    );
  const shape = { samples, features: layout.features, classes: layout.classes };
  checkDataShape(shape);
  const { rows, columns } = layout;
  let best: { readonly block: BlockShape; readonly plan: PredictionPlan; readonly seconds: number } | undefined;
  for (let turns = 1; 2 * turns <= columns; turns *= 2) {
    const block = { rows, columns, turns };
    if (layoutOf(block, samples, layout.features, layout.classes).shards > MAX_SHARDS) continue;
    const plan = derivePredictionPlan(parameters, block, shape, { shardsPerTask: Math.ceil(samples / (rows * turns)) });
    // More turns take fewer key switches, but all of them even for a single sample.
    const seconds = (plan.transforms * transformSeconds(plan)) / vcpus + plan.bytes.data / UPLOAD_BYTES_PER_SECOND;
    if (best === undefined || seconds < best.seconds) best = { block, plan, seconds };
    if (rows * turns >= samples) break;
  }
  if (best === undefined)
    throw new PlanError(`${samples} samples are too many for one prediction`, `a job has at most ${MAX_SHARDS} shards`);
  const { block, plan: whole } = best;
  const { shards } = whole.layout;
  const tasks = tasksOf(whole, whole.transforms / whole.layout.pairs, shards, vcpus);
  return tasks === 1
    ? whole
    : derivePredictionPlan(parameters, block, shape, { shardsPerTask: Math.ceil(shards / tasks) });
}

function counted(plan: CountedPrediction): ReturnType<typeof countPrediction> {
  try {
    return countPrediction(plan);
  } catch (error) {
    if (!(error instanceof CircuitError)) throw error;
    throw new PlanError(
      `${plan.parameters.name} does not carry a prediction: ${messageWithHint(error)}`,
      'let the planner choose the parameters of the training',
    );
  }
}
