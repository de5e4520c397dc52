/**
 * Reads manifests from outside. Only the form is checked: `planOf` of libs/training checks that the plan carries them.
 */
import { checker } from './check.ts';
import { ContractError } from './contract-error.ts';
import { TrainingManifestSchema, type TrainingManifest } from './manifest.ts';
import { PREDICT_FORMAT, PredictManifestSchema, type PredictManifest } from './predict-manifest.ts';

/** The manifest of a job of any kind. */
export type Manifest = TrainingManifest | PredictManifest;

const INVALID = 'the manifest is not valid';

/** Checks the form of a training manifest. @throws ContractError */
export const readTrainingManifest = checker(INVALID, TrainingManifestSchema);
/** Checks the form of a prediction manifest. @throws ContractError */
export const readPredictManifest = checker(INVALID, PredictManifestSchema);

/** Checks the form of a manifest of the kind that its `format` says. @throws ContractError */
export function readManifest(value: unknown): Manifest {
  const format = typeof value === 'object' && value !== null && 'format' in value ? value.format : undefined;
  return format === PREDICT_FORMAT ? readPredictManifest(value) : readTrainingManifest(value);
}

/** Reads a manifest from the bytes of a blob. @throws ContractError */
export function parseManifest(bytes: Uint8Array): Manifest {
  return readManifest(parseJson(bytes));
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    throw new ContractError(INVALID, [`it is not JSON: ${String(error)}`]);
  }
}
