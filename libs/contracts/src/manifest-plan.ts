/** The manifest against the planner: what the API accepts and what workers and schedulers compute by. */
import { batchSize, checkShape, derivePlan, layoutOf, Parameters, type Plan, type WireFields } from '@blindfit/he';
import { checker, ContractError } from './check.ts';
import { ManifestSchema, type Manifest } from './manifest.ts';

/**
 * Largest jobs, so that the plan of a manifest from outside takes seconds at most (it follows every block and every shard through
 * all iterations). As many blocks of X are some 100 GB of ciphertexts.
 */
const MAX_BLOCKS = 65_536;
const MAX_SHARDS = 8_192;

const checkManifestShape = checker('the manifest is not valid', ManifestSchema);

/** A blob of the manifest and what its header must say. */
export interface ExpectedBlob {
  readonly digest: string;
  /** Where it stands in the manifest, e.g. `blobs.features[0][3]`. */
  readonly place: string;
  readonly fields: WireFields;
}

export interface PlannedManifest {
  readonly manifest: Manifest;
  readonly plan: Plan;
}

/**
 * Validates a manifest from outside: its form, the security of its parameters, and that parameters, block shape, grouping
 * and the number of blobs carry the job.
 * @throws ContractError, ParameterError, PlanError
 */
export function planManifest(value: unknown): PlannedManifest {
  const manifest = checkManifestShape(value);
  const { shape, blobs } = manifest;
  const parameters = Parameters.of(manifest.parameters);
  checkShape(shape, manifest.hyperparameters);
  const layout = layoutOf(manifest.block, shape.samples, shape.features, shape.classes, batchSize(manifest.hyperparameters, shape.samples));
  if (layout.shards > MAX_SHARDS || layout.shards * layout.blocks > MAX_BLOCKS) {
    throw misfit([`${layout.shards} shards of ${layout.blocks} blocks are more than the ${MAX_SHARDS} shards and ${MAX_BLOCKS} blocks of a job: train on fewer samples or features`]);
  }
  const problems: string[] = [];
  const grid = (name: 'features' | 'gradientFeatures' | 'labels', columns: number): void => {
    const rows = blobs[name];
    if (rows.length !== layout.shards) problems.push(`blobs.${name} has ${rows.length} shards, ${layout.shards} are needed`);
    const ragged = rows.findIndex((row) => row.length !== columns);
    if (ragged >= 0) problems.push(`blobs.${name}[${ragged}] has ${rows[ragged]?.length ?? 0} entries, ${columns} are needed`);
  };
  grid('features', layout.blocks);
  grid('gradientFeatures', layout.blocks);
  grid('labels', layout.pairs);
  // Before the plan, whose cost grows with the number of blobs: a small manifest must not ask for the plan of a huge job.
  if (problems.length > 0) throw misfit(problems);
  const plan = derivePlan(parameters, manifest.block, shape, manifest.hyperparameters, manifest.grouping, manifest.schedule);
  const missing = plan.steps.filter((step) => blobs.galoisKeys[String(step)] === undefined);
  if (missing.length > 0) problems.push(`blobs.galoisKeys lacks the rotation steps ${missing.join(', ')}; needed: ${plan.steps.join(', ')} (0 is the conjugation)`);
  const extra = Object.keys(blobs.galoisKeys).filter((step) => !plan.steps.includes(Number(step)));
  if (extra.length > 0) problems.push(`blobs.galoisKeys has steps that are not used: ${extra.join(', ')}`);
  if (problems.length > 0) throw misfit(problems);
  return { manifest, plan };
}

function misfit(problems: readonly string[]): ContractError {
  return new ContractError('the manifest does not fit its plan', problems);
}

/** Every blob a manifest refers to, with what its header must say. */
export function expectedBlobs({ manifest, plan }: PlannedManifest): ExpectedBlob[] {
  const expected: ExpectedBlob[] = [];
  for (const name of ['features', 'gradientFeatures', 'labels'] as const) {
    const fields: WireFields = { kind: 'ciphertext', level: plan[name].level, scale: plan[name].scale };
    manifest.blobs[name].forEach((row, i) => row.forEach((digest, j) => expected.push({ digest, place: `blobs.${name}[${i}][${j}]`, fields })));
  }
  expected.push({ digest: manifest.blobs.relinearisationKey, place: 'blobs.relinearisationKey', fields: { kind: 'relinearisation-key' } });
  for (const step of plan.steps) {
    expected.push({ digest: manifest.blobs.galoisKeys[String(step)] ?? '', place: `blobs.galoisKeys.${step}`, fields: { kind: 'galois-key', step } });
  }
  return expected;
}

/** What the owner's answer to a refresh must be: V at the top of the segment that follows, W one level above its first gradient. */
export function expectedRefresh(plan: Plan, iteration: number): { readonly weights: WireFields; readonly momentum: WireFields } {
  const next = plan.iterations[iteration];
  if (next?.weights === undefined || !plan.segments.some(({ first }) => first === iteration + 1)) {
    throw new ContractError('there is no such refresh', [`no refresh follows iteration ${iteration}; one follows every ${plan.schedule.refreshEvery} of ${plan.iterations.length}`]);
  }
  return {
    weights: { kind: 'ciphertext', level: next.weights, scale: plan.refreshScale },
    momentum: { kind: 'ciphertext', level: next.gradient + 1, scale: plan.refreshScale },
  };
}
