import type { Manifest } from '@blindfit/contracts';
import { MissingKeyError, type Plan } from '@blindfit/he';
import type { DataBlobs } from './encrypt-job.ts';
import type { Keyset } from './keyset.ts';

/**
 * The manifest of a job, as the API takes it.
 * @param name shown in listings, and visible to the server
 * @throws MissingKeyError when the keyset was opened for another plan
 */
export function manifestFor(plan: Plan, blobs: DataBlobs, keyset: Keyset, name?: string): Manifest {
  const { layout, hyperparameters } = plan;
  const { ring, dataBits, specialBits, scaleBits } = plan.parameters;
  const galoisKeys: Record<string, string> = {};
  for (const step of plan.steps) {
    const key = keyset.galoisKeys.get(step);
    if (key === undefined) throw new MissingKeyError(step === 0 ? 'conjugation key' : `rotation key for step ${step}`, `steps ${[...keyset.galoisKeys.keys()].join(', ')}`);
    galoisKeys[String(step)] = key.digest;
  }
  return {
    format: 'blindfit-job/1',
    ...(name === undefined ? {} : { name }),
    parameters: { ring, dataBits: [...dataBits], specialBits, scaleBits },
    shape: { samples: layout.samples, features: layout.features, classes: layout.classes },
    block: { rows: layout.rows, columns: layout.columns },
    grouping: { ...plan.grouping },
    schedule: { ...plan.schedule },
    hyperparameters: { ...hyperparameters, sigmoid: { ...hyperparameters.sigmoid, odd: [...hyperparameters.sigmoid.odd] } },
    blobs: { features: blobs.features, gradientFeatures: blobs.gradientFeatures, labels: blobs.labels, relinearisationKey: keyset.relinearisationKey.digest, galoisKeys },
  };
}
