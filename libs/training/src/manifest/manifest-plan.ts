/** Plans manifests: checks what the API accepts, and gives workers and schedulers what they compute by. */
import { at } from '@blindfit/base';
import { Parameters } from '@blindfit/he';
import type { EvaluationKeyBlobs, Manifest, PredictManifest, TrainingManifest } from '@blindfit/protocol';
import { ContractError } from '@blindfit/protocol/contract-error';
import { layoutOf, type Layout } from '../layout/shape.ts';
import { batchSize } from '../method.ts';
import { checkDataShape, checkShape, derivePlan } from '../plan/derive.ts';
import { MAX_BLOCKS, MAX_SHARDS, type Plan, type PredictionPlan } from '../plan/plan.ts';
import { derivePredictionPlan } from '../plan/prediction-plan.ts';

export interface PlannedTraining {
  readonly kind: 'train';
  readonly manifest: TrainingManifest;
  readonly plan: Plan;
}

export interface PlannedPrediction {
  readonly kind: 'predict';
  readonly manifest: PredictManifest;
  readonly plan: PredictionPlan;
}

/** The manifest of a job of any kind, and its plan. */
export type PlannedJob = PlannedTraining | PlannedPrediction;

/**
 * Plans a manifest of any kind, whose form has been checked.
 * @throws ContractError, ParameterError, PlanError
 */
export function planOf(manifest: Manifest): PlannedJob {
  return manifest.format === 'blindfit-predict/1' ? predictionPlanOf(manifest) : trainingPlanOf(manifest);
}

/**
 * Plans a prediction: checks the security of its parameters, and that block shape, grouping and the number of blobs
 * carry the job. The caller, which knows the training job, checks that they are those of the model.
 * @throws ContractError, ParameterError, PlanError
 */
export function predictionPlanOf(manifest: PredictManifest): PlannedPrediction {
  const { shape, blobs } = manifest;
  const parameters = Parameters.of(manifest.parameters);
  checkDataShape(shape);
  const layout = layoutOf(manifest.block, shape.samples, shape.features, shape.classes);
  checkSize(layout, 'predict fewer samples at a time');
  throwMisfit(gridProblems('features', blobs.features, layout.shards, layout.cells));
  const plan = derivePredictionPlan(parameters, manifest.block, shape, manifest.grouping);
  throwMisfit(keyProblems(blobs, plan.steps));
  return { kind: 'predict', manifest, plan };
}

/**
 * Plans a training: checks the security of its parameters, and that parameters, block shape, grouping and the number of
 * blobs carry the job.
 * @throws ContractError, ParameterError, PlanError
 */
export function trainingPlanOf(manifest: TrainingManifest): PlannedTraining {
  const { shape, blobs } = manifest;
  const parameters = Parameters.of(manifest.parameters);
  checkShape(shape, manifest.hyperparameters);
  const layout = layoutOf(
    manifest.block,
    shape.samples,
    shape.features,
    shape.classes,
    batchSize(manifest.hyperparameters, shape.samples),
  );
  checkSize(layout, 'train on fewer samples or features');
  // Checked before planning, whose cost grows with the number of blobs: a small manifest cannot ask for a huge plan.
  throwMisfit([
    ...gridProblems('features', blobs.features, layout.shards, layout.cells),
    ...gridProblems('gradientFeatures', blobs.gradientFeatures, layout.shards, layout.cells),
    ...gridProblems('labels', blobs.labels, layout.shards, layout.pairs),
  ]);
  const plan = derivePlan(
    parameters,
    manifest.block,
    shape,
    manifest.hyperparameters,
    manifest.grouping,
    manifest.schedule,
  );
  throwMisfit(keyProblems(blobs, plan.steps));
  return { kind: 'train', manifest, plan };
}

function checkSize({ shards, cells }: Layout, what: string): void {
  if (shards <= MAX_SHARDS && shards * cells <= MAX_BLOCKS) return;
  const limits = `${MAX_SHARDS} shards and ${MAX_BLOCKS} blocks`;
  throwMisfit([`${shards} shards of ${cells} blocks are more than the ${limits} of a job: ${what}`]);
}

function gridProblems(name: string, rows: readonly (readonly string[])[], shards: number, columns: number): string[] {
  const problems: string[] = [];
  if (rows.length !== shards) problems.push(`blobs.${name} has ${rows.length} shards, ${shards} are needed`);
  const ragged = rows.findIndex((row) => row.length !== columns);
  if (ragged >= 0)
    problems.push(`blobs.${name}[${ragged}] has ${at(rows, ragged, name).length} entries, ${columns} are needed`);
  return problems;
}

function keyProblems({ galoisKeys }: EvaluationKeyBlobs, steps: readonly number[]): string[] {
  const problems: string[] = [];
  const missing = steps.filter((step) => galoisKeys[String(step)] === undefined);
  if (missing.length > 0) {
    const needed = `${steps.join(', ')} (0 is the conjugation)`;
    problems.push(`blobs.galoisKeys lacks the rotation steps ${missing.join(', ')}; needed: ${needed}`);
  }
  const extra = Object.keys(galoisKeys).filter((step) => !steps.includes(Number(step)));
  if (extra.length > 0) problems.push(`blobs.galoisKeys has steps that are not used: ${extra.join(', ')}`);
  return problems;
}

function throwMisfit(problems: readonly string[]): void {
  if (problems.length > 0) throw new ContractError('the manifest does not fit its plan', problems);
}
