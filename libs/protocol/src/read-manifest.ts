/** Manifests from outside: form first, then the plan. */
import { checker } from './check.ts';
import { ContractError } from './contract-error.ts';
import {
  planOf,
  predictionPlanOf,
  trainingPlanOf,
  type JobManifest,
  type PlannedJob,
  type PlannedManifest,
  type PlannedPrediction,
} from './manifest-plan.ts';
import { ManifestSchema } from './manifest.ts';
import { PREDICT_FORMAT, PredictManifestSchema } from './predict-manifest.ts';

const INVALID = 'the manifest is not valid';

/** Checks the form of a training manifest and nothing else. @throws ContractError */
export const readManifest = checker(INVALID, ManifestSchema);
const readPredictManifest = checker(INVALID, PredictManifestSchema);

/** Checks the form of a manifest of any kind, which its `format` says, and nothing else. @throws ContractError */
export function readJobManifest(value: unknown): JobManifest {
  const format = typeof value === 'object' && value !== null && 'format' in value ? value.format : undefined;
  return format === PREDICT_FORMAT ? readPredictManifest(value) : readManifest(value);
}

/** As {@link readJobManifest}, from the bytes of a blob. @throws ContractError */
export function parseJobManifest(bytes: Uint8Array): JobManifest {
  return readJobManifest(parseJson(bytes));
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    throw new ContractError(INVALID, [`it is not JSON: ${String(error)}`]);
  }
}

/**
 * Validates a manifest of any kind from outside: its form, then its plan.
 * @throws ContractError, ParameterError, PlanError
 */
export function planJob(value: unknown): PlannedJob {
  return planOf(readJobManifest(value));
}

/** As {@link planJob}, for predictions only. */
export function planPrediction(value: unknown): PlannedPrediction {
  return predictionPlanOf(readPredictManifest(value));
}

/** As {@link planJob}, for trainings only. */
export function planManifest(value: unknown): PlannedManifest {
  return trainingPlanOf(readManifest(value));
}
