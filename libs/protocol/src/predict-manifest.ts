/**
 * The manifest of a prediction job: encrypted samples for the encrypted model of a training job that has succeeded.
 * Digests only, no data.
 */
import { Type, type Static } from 'typebox';
import { JobIdSchema } from './job.ts';
import { EvaluationKeysSchema, grid, TrainingManifestSchema, whole } from './manifest.ts';

export const PREDICT_FORMAT = 'blindfit-predict/1';

const { name, signer, parameters, shape, block } = TrainingManifestSchema.properties;

export const PredictManifestSchema = Type.Object(
  {
    format: Type.Literal(PREDICT_FORMAT),
    name,
    signer,
    model: Type.Unsafe<string>({
      ...JobIdSchema,
      description:
        'the training job whose model predicts; its parameters, block, features and classes are this manifest’s',
    }),
    parameters,
    shape,
    block,
    grouping: Type.Object({ shardsPerTask: whole(1, 1_000_000, 'shards per task') }, { additionalProperties: false }),
    blobs: Type.Object(
      { features: grid('X: by shard, then by turn and block'), ...EvaluationKeysSchema.properties },
      { additionalProperties: false },
    ),
  },
  { additionalProperties: false, description: 'A prediction job' },
);

export type PredictManifest = Static<typeof PredictManifestSchema>;
