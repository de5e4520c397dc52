/**
 * The manifest of a training job: everything that determines its result, byte for byte. Digests only, no data.
 */
import { Type, type Static } from 'typebox';
import { DigestSchema } from './digest.ts';
import { SignerSchema } from './signer.ts';

/** A whole number in a range. */
export const whole = (minimum: number, maximum: number, description: string) =>
  Type.Integer({ minimum, maximum, description });

export const ParametersSchema = Type.Object(
  {
    ring: whole(1024, 32768, 'polynomial degree N'),
    dataBits: Type.Array(whole(20, 60, 'bits of a prime'), {
      minItems: 1,
      maxItems: 30,
      description: 'primes of the ciphertext modulus, the last level’s first',
    }),
    specialBits: whole(20, 60, 'bits of the special prime'),
    scaleBits: whole(10, 59, 'log2 of the nominal scale'),
  },
  { additionalProperties: false },
);

export const HyperparametersSchema = Type.Object(
  {
    iterations: whole(1, 1000, 'training iterations'),
    learningRate: Type.Number({ minimum: 1e-4, maximum: 1e3, description: 'multiplies 1 + gamma_t' }),
    initialWeight: Type.Number({ minimum: -1, maximum: 1, description: 'every entry of the start; 0 saves levels' }),
    sigmoid: Type.Object(
      {
        degree: Type.Union([Type.Literal(1), Type.Literal(3), Type.Literal(5), Type.Literal(7)]),
        range: Type.Number({ exclusiveMinimum: 0, maximum: 64 }),
        odd: Type.Array(Type.Number({ minimum: -10, maximum: 10 }), {
          minItems: 1,
          maxItems: 4,
          description: 'coefficients of z, z^3, ...',
        }),
      },
      { additionalProperties: false },
    ),
    decay: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        exclusiveMaximum: 1,
        description: 'weight decay, the part that the weights lose in every iteration; none without it',
      }),
    ),
    batch: Type.Optional(
      Type.Object(
        {
          size: whole(1, 1_000_000, 'samples of a mini-batch'),
          seed: whole(0, 2 ** 32 - 1, 'of the order of batches in each epoch'),
        },
        {
          additionalProperties: false,
          description: 'mini-batches; without it every iteration learns from all samples',
        },
      ),
    ),
  },
  { additionalProperties: false },
);

/** Digests by shard and something else. */
export const grid = (description: string) =>
  Type.Array(Type.Array(DigestSchema, { minItems: 1, maxItems: 4097 }), {
    minItems: 1,
    maxItems: 100_000,
    description,
  });

export const EvaluationKeysSchema = Type.Object({
  relinearisationKey: DigestSchema,
  galoisKeys: Type.Record(Type.String({ pattern: '^(0|[1-9][0-9]{0,4})$' }), DigestSchema, {
    additionalProperties: false,
    description: 'by rotation step; 0 is the conjugation',
  }),
});
export type EvaluationKeyBlobs = Static<typeof EvaluationKeysSchema>;

export const TRAIN_FORMAT = 'blindfit-job/1';

export const TrainingManifestSchema = Type.Object(
  {
    format: Type.Literal(TRAIN_FORMAT),
    name: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 200,
        pattern: '^[^\\u0000-\\u001f\\u007f]*$',
        description: 'shown in listings',
      }),
    ),
    /** Submissions need it; manifests from before there were signatures have none. */
    signer: Type.Optional(SignerSchema),
    parameters: ParametersSchema,
    shape: Type.Object(
      {
        samples: whole(1, 1_000_000, 'rows of X'),
        features: whole(2, 4097, 'columns of X, the bias included'),
        classes: whole(2, 1000, 'classes'),
      },
      { additionalProperties: false },
    ),
    block: Type.Object(
      {
        rows: whole(1, 16384, 'rows of a ciphertext'),
        columns: whole(2, 16384, 'features per block'),
        turns: Type.Optional(whole(1, 16384, 'samples per row; 1 when it is not given')),
      },
      { additionalProperties: false },
    ),
    grouping: Type.Object(
      {
        blocksPerTask: whole(1, 4097, 'blocks per backward task'),
        shardsPerTask: whole(1, 1_000_000, 'shards per task'),
        pairsPerChain: whole(1, 16384, 'pairs of classes that are refreshed together'),
      },
      { additionalProperties: false },
    ),
    schedule: Type.Object(
      {
        refreshEvery: whole(1, 1000, 'iterations between refreshes by the owner'),
        modelLevel: Type.Union([Type.Literal(0), Type.Literal(1)], {
          description: 'level of the returned model; 1 to predict with it',
        }),
      },
      { additionalProperties: false },
    ),
    hyperparameters: HyperparametersSchema,
    blobs: Type.Object(
      {
        features: grid('X: by shard, then by turn and block'),
        gradientFeatures: grid('X o b, staggered: by shard, then by turn and block'),
        labels: grid('Y - 0.5: by shard, then by pair of classes'),
        ...EvaluationKeysSchema.properties,
      },
      { additionalProperties: false },
    ),
  },
  { additionalProperties: false, description: 'A training job' },
);

export type TrainingManifest = Static<typeof TrainingManifestSchema>;
