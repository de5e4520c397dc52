import { defined } from '@blindfit/base';
import { MissingKeyError, type Parameters } from '@blindfit/he';
import type { EvaluationKeyBlobs, TrainingManifest, PredictManifest } from '@blindfit/protocol';
import type { Plan, PredictionPlan } from '@blindfit/training';
import type { DataBlobs } from './encrypt-job.ts';
import type { Keyset } from './keyset.ts';

/**
 * The manifest of a job, as the API takes it.
 * @param name shown in listings, and visible to the server
 * @throws MissingKeyError when the keyset was opened for another plan
 */
export function manifestFor(plan: Plan, blobs: DataBlobs, keyset: Keyset, name?: string): TrainingManifest {
  const { layout } = plan;
  const { decay, ...hyperparameters } = plan.hyperparameters;
  return {
    format: 'blindfit-job/1',
    ...defined({ name }),
    signer: keyset.secret.signer.name,
    parameters: literalOf(plan.parameters),
    shape: { samples: layout.samples, features: layout.features, classes: layout.classes },
    block: { rows: layout.rows, columns: layout.columns, turns: layout.turns },
    grouping: { ...plan.grouping },
    schedule: { ...plan.schedule },
    hyperparameters: {
      ...hyperparameters,
      // Without decay the manifest is that of releases that know none.
      ...defined({ decay: decay === 0 ? undefined : decay }),
      sigmoid: { ...hyperparameters.sigmoid, odd: [...hyperparameters.sigmoid.odd] },
    },
    blobs: {
      features: blobs.features,
      gradientFeatures: blobs.gradientFeatures,
      labels: blobs.labels,
      ...keysOf(plan, keyset),
    },
  };
}

/**
 * The manifest of a prediction.
 * @param features digests by shard, then by cell
 * @param model the training job whose model predicts
 * @param name shown in listings, and visible to the server
 * @throws MissingKeyError when the keyset was opened for another plan
 */
export function predictManifestFor(
  plan: PredictionPlan,
  features: PredictManifest['blobs']['features'],
  keyset: Keyset,
  model: string,
  name?: string,
): PredictManifest {
  const { layout } = plan;
  return {
    format: 'blindfit-predict/1',
    ...defined({ name }),
    model,
    signer: keyset.secret.signer.name,
    parameters: literalOf(plan.parameters),
    shape: { samples: layout.samples, features: layout.features, classes: layout.classes },
    block: { rows: layout.rows, columns: layout.columns, turns: layout.turns },
    grouping: { ...plan.grouping },
    blobs: { features, ...keysOf(plan, keyset) },
  };
}

function literalOf({ ring, dataBits, specialBits, scaleBits }: Parameters): TrainingManifest['parameters'] {
  return { ring, dataBits: [...dataBits], specialBits, scaleBits };
}

function keysOf({ steps }: Pick<Plan, 'steps'>, keyset: Keyset): EvaluationKeyBlobs {
  const galoisKeys: Record<string, string> = {};
  for (const step of steps) {
    const key = keyset.galoisKeys.get(step);
    if (key === undefined)
      throw new MissingKeyError(
        step === 0 ? 'conjugation key' : `rotation key for step ${step}`,
        `steps ${[...keyset.galoisKeys.keys()].join(', ')}`,
      );
    galoisKeys[String(step)] = key.digest;
  }
  return { relinearisationKey: keyset.relinearisationKey.digest, galoisKeys };
}
