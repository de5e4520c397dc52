/** The manifest against the planner: what the API accepts and what workers and schedulers compute by. */
import { Parameters, type WireFields } from '@blindfit/he';
import {
  batchSize,
  checkDataShape,
  checkShape,
  derivePlan,
  derivePredictionPlan,
  layoutOf,
  MAX_BLOCKS,
  MAX_SHARDS,
  type Layout,
  type Plan,
  type PredictionPlan,
} from '@blindfit/training';
import { ContractError } from './contract-error.ts';
import type { EvaluationKeyBlobs, Manifest } from './manifest.ts';
import type { PredictManifest } from './predict-manifest.ts';

/** A blob of the manifest and what its header must say. */
export interface ExpectedBlob {
  readonly digest: string;
  /** Where it stands in the manifest, e.g. `blobs.features[0][3]`. */
  readonly place: string;
  readonly fields: WireFields;
}

/** Of any kind of job. */
export type JobManifest = Manifest | PredictManifest;

export interface PlannedManifest {
  readonly kind: 'train';
  readonly manifest: Manifest;
  readonly plan: Plan;
}

export interface PlannedPrediction {
  readonly kind: 'predict';
  readonly manifest: PredictManifest;
  readonly plan: PredictionPlan;
}

/** Of any kind of job. */
export type PlannedJob = PlannedManifest | PlannedPrediction;

/**
 * The plan of a manifest of any kind, whose form has been checked.
 * @throws ContractError, ParameterError, PlanError
 */
export function planOf(manifest: JobManifest): PlannedJob {
  return manifest.format === 'blindfit-predict/1' ? predictionPlanOf(manifest) : trainingPlanOf(manifest);
}

/**
 * Checks the security of a prediction's parameters, and that block shape, grouping and the number of blobs carry the job.
 * Whether they are those of the model is for whoever knows the training job.
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
 * Checks the security of a training's parameters, and that parameters, block shape, grouping and the number of blobs carry the job.
 * @throws ContractError, ParameterError, PlanError
 */
export function trainingPlanOf(manifest: Manifest): PlannedManifest {
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
  // Before the plan, whose cost grows with the number of blobs: a small manifest must not ask for the plan of a huge job.
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
  throwMisfit([
    `${shards} shards of ${cells} blocks are more than the ${MAX_SHARDS} shards and ${MAX_BLOCKS} blocks of a job: ${what}`,
  ]);
}

function gridProblems(name: string, rows: readonly (readonly string[])[], shards: number, columns: number): string[] {
  const problems: string[] = [];
  if (rows.length !== shards) problems.push(`blobs.${name} has ${rows.length} shards, ${shards} are needed`);
  const ragged = rows.findIndex((row) => row.length !== columns);
  if (ragged >= 0)
    problems.push(`blobs.${name}[${ragged}] has ${rows[ragged]?.length ?? 0} entries, ${columns} are needed`);
  return problems;
}

function keyProblems({ galoisKeys }: EvaluationKeyBlobs, steps: readonly number[]): string[] {
  const problems: string[] = [];
  const missing = steps.filter((step) => galoisKeys[String(step)] === undefined);
  if (missing.length > 0)
    problems.push(
      `blobs.galoisKeys lacks the rotation steps ${missing.join(', ')}; needed: ${steps.join(', ')} (0 is the conjugation)`,
    );
  const extra = Object.keys(galoisKeys).filter((step) => !steps.includes(Number(step)));
  if (extra.length > 0) problems.push(`blobs.galoisKeys has steps that are not used: ${extra.join(', ')}`);
  return problems;
}

function throwMisfit(problems: readonly string[]): void {
  if (problems.length > 0) throw new ContractError('the manifest does not fit its plan', problems);
}

/** Every blob a manifest refers to, with what its header must say. */
export function expectedBlobs(planned: PlannedJob): ExpectedBlob[] {
  const { blobs } = planned.manifest;
  const expected: ExpectedBlob[] = [];
  const addGrid = (
    name: string,
    rows: readonly (readonly string[])[],
    { level, scale }: { readonly level: number; readonly scale: number },
  ): void =>
    rows.forEach((row, i) =>
      row.forEach((digest, j) =>
        expected.push({ digest, place: `blobs.${name}[${i}][${j}]`, fields: { kind: 'ciphertext', level, scale } }),
      ),
    );
  addGrid('features', blobs.features, planned.plan.features);
  if (planned.kind === 'train') {
    addGrid('gradientFeatures', planned.manifest.blobs.gradientFeatures, planned.plan.gradientFeatures);
    addGrid('labels', planned.manifest.blobs.labels, planned.plan.labels);
  }
  expected.push({
    digest: blobs.relinearisationKey,
    place: 'blobs.relinearisationKey',
    fields: { kind: 'relinearisation-key' },
  });
  for (const step of planned.plan.steps) {
    expected.push({
      digest: blobs.galoisKeys[String(step)] ?? '',
      place: `blobs.galoisKeys.${step}`,
      fields: { kind: 'galois-key', step },
    });
  }
  return expected;
}

/** What the owner's answer to a refresh must be: V at the top of the segment that follows, W one level above its first gradient. */
export function expectedRefresh(
  plan: Plan,
  iteration: number,
): { readonly weights: WireFields; readonly momentum: WireFields } {
  const next = plan.iterations[iteration];
  if (next?.weights === undefined || !plan.segments.some(({ first }) => first === iteration + 1)) {
    throw new ContractError('there is no such refresh', [
      `no refresh follows iteration ${iteration}; one follows every ${plan.schedule.refreshEvery} of ${plan.iterations.length}`,
    ]);
  }
  return {
    weights: { kind: 'ciphertext', level: next.weights, scale: plan.refreshScale },
    momentum: { kind: 'ciphertext', level: next.gradient + 1, scale: plan.refreshScale },
  };
}
