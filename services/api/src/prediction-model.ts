import { parseDigest } from '@blindfit/base';
import type { BlobStore } from '@blindfit/blobs';
import { readTrainingManifest, type PredictManifest } from '@blindfit/protocol';
import type { JobStore } from '@blindfit/queue';
import { PREDICTION_LEVEL } from '@blindfit/training';
import { ApiError } from './problems.ts';

/** What a prediction needs to know of the job that trained its model. */
export interface PredictionModel {
  /** Packed model ciphertexts, in order. */
  readonly digests: readonly string[];
  readonly hyperparameters: ReturnType<typeof readTrainingManifest>['hyperparameters'];
}

const SERVABLE = 'name a job that "blindfit train --servable" submitted, and that has succeeded';
const SAME = 'plan the prediction from the manifest of that job, as "blindfit predict --encrypted" does';

/**
 * The model that a prediction names: of a training job that has succeeded, at a level to compute with, and of the same
 * parameters, block shape, features and classes as the samples.
 * @throws {ApiError} 422 `MODEL_UNUSABLE` saying which of these it is not
 */
export async function predictionModel(
  { store, jobs }: { readonly store: BlobStore; readonly jobs: JobStore },
  tenant: string,
  manifest: PredictManifest,
): Promise<PredictionModel> {
  const job = await jobs.get(manifest.model);
  if (job?.tenant !== tenant) throw unusable(`there is no job ${manifest.model}`, SERVABLE);
  if (job.kind !== 'train') throw unusable(`${job.id} is a prediction itself and has no model`, SERVABLE);
  if (job.state !== 'succeeded' || job.result === undefined) {
    throw unusable(
      `${job.id} has not succeeded, it is ${job.state}`,
      job.state === 'failed' || job.state === 'cancelled' ? SERVABLE : 'wait until it has',
    );
  }
  const training = readTrainingManifest(
    JSON.parse(Buffer.from(await store.get(parseDigest(job.manifest))).toString('utf8')),
  );
  if (training.schedule.modelLevel !== PREDICTION_LEVEL) {
    throw unusable(
      `the model of ${job.id} is at level ${training.schedule.modelLevel}: it has no level left to predict with`,
      'train with --servable',
    );
  }
  const { parameters: found, block, shape } = manifest;
  const { ring, dataBits, specialBits, scaleBits } = training.parameters;
  const facts: [string, string, string][] = [
    [
      'parameters',
      JSON.stringify([found.ring, found.dataBits, found.specialBits, found.scaleBits]),
      JSON.stringify([ring, dataBits, specialBits, scaleBits]),
    ],
    ['block', `${block.rows} x ${block.columns}`, `${training.block.rows} x ${training.block.columns}`],
    ['shape.features', String(shape.features), String(training.shape.features)],
    ['shape.classes', String(shape.classes), String(training.shape.classes)],
  ];
  const different = facts.filter(([, here, there]) => here !== there);
  if (different.length > 0) {
    throw unusable(
      `the manifest does not fit the model of ${job.id}: ` +
        different.map(([name, here, there]) => `${name} is ${here}, the model has ${there}`).join('; '),
      SAME,
    );
  }
  return { digests: job.result.models, hyperparameters: training.hyperparameters };
}

function unusable(detail: string, hint: string): ApiError {
  return new ApiError(422, 'MODEL_UNUSABLE', 'Model cannot be used', detail, hint);
}
