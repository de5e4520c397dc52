/** What the API tells about a job. */
import { Type, type Static } from 'typebox';
import { DigestSchema } from './digest.ts';
import { HyperparametersSchema } from './manifest.ts';
import { OperationsSchema } from './operations.ts';
import { SignatureSchema, SignerSchema } from './signer.ts';
import { PrioritySchema } from './tenants.ts';
import { TenantSchema } from './tokens.ts';

export const JOB_STATES = ['queued', 'running', 'awaiting-refresh', 'succeeded', 'failed', 'cancelled'] as const;
export const JobStateSchema = Type.Enum([...JOB_STATES]);
export type JobState = (typeof JOB_STATES)[number];

export function isFinal(state: JobState): boolean {
  return state === 'succeeded' || state === 'failed' || state === 'cancelled';
}

export const JOB_KINDS = ['train', 'predict'] as const;
export type JobKind = (typeof JOB_KINDS)[number];

export const JobIdSchema = Type.String({ pattern: '^job-[0-9a-z]{12,40}$', description: 'job-<id>' });

const timestamp = () => Type.String({ format: 'date-time' });
const seconds = () => Type.Number({ minimum: 0 });

export const ProgressSchema = Type.Object({
  phase: Type.String({
    description: 'queued, start, training, packing, done; of a prediction queued, predicting, done',
  }),
  iteration: Type.Integer({
    minimum: 0,
    description: 'iterations that every pair of classes has finished; a prediction has one',
  }),
  iterations: Type.Integer({ minimum: 1 }),
  tasksDone: Type.Integer({ minimum: 0 }),
  tasksTotal: Type.Integer({ minimum: 0 }),
  levelsLeft: Type.Integer({ minimum: 0, description: 'multiplicative levels the slowest pair still has' }),
  classes: Type.Optional(Type.String({ description: 'the classes of the task that finished last' })),
  etaSeconds: Type.Optional(seconds()),
});
export type Progress = Static<typeof ProgressSchema>;

export const JobResultSchema = Type.Object({
  /** Packed model ciphertexts, in order; none of a prediction. */
  models: Type.Array(DigestSchema),
  /**
   * Packed V_t of every iteration t = 1 ... T: blobs from which the owner, and only the owner, sees how training went.
   * Empty when there were refreshes, which show the owner the same.
   */
  iterates: Type.Array(Type.Array(DigestSchema, { minItems: 1 })),
  /** Of a prediction: encrypted class scores by shard, then by pair of classes. */
  scores: Type.Optional(Type.Array(Type.Array(DigestSchema, { minItems: 1 }), { minItems: 1 })),
  operations: OperationsSchema,
  /** Tasks by what computed them: `native (ifma)`, `node-seal (WebAssembly)`, ... */
  evaluators: Type.Optional(Type.Record(Type.String(), Type.Integer({ minimum: 1 }))),
  seconds: Type.Object({
    /** First task picked up until the model was packed, or the last score computed, without the loading of keys. */
    train: seconds(),
    /** Longest time a worker thread spent setting up the parameters and loading evaluation keys. */
    loadKeys: seconds(),
    /** Submission until the first task was picked up. */
    queued: seconds(),
    /**
     * By iteration: its first task's start, keys loaded, until its last task's end. Iterations of different classes
     * overlap.
     */
    iterations: Type.Array(seconds()),
    /** Busy time of all worker threads together. */
    compute: seconds(),
    /** Of the training, while everything waited for the owner's refresh. */
    refresh: seconds(),
  }),
});
export type JobResult = Static<typeof JobResultSchema>;

/** Weights whose levels have run out: the owner decrypts them, encrypts them anew and posts them back. */
export const RefreshRequestSchema = Type.Object(
  {
    /** Names this request and no other: the answer repeats it. */
    id: Type.String({ pattern: '^[0-9a-f]{32}$' }),
    chain: Type.Integer({ minimum: 0, description: 'which pairs of classes' }),
    iteration: Type.Integer({ minimum: 1, description: 'the last finished one, t' }),
    weights: DigestSchema,
    /** Packed V_{t-1}; absent when it is the public start. */
    previous: Type.Optional(DigestSchema),
    since: timestamp(),
  },
  { description: 'A refresh a job waits for: packed V_t of a chain, and V_{t-1}' },
);
export type RefreshRequest = Static<typeof RefreshRequestSchema>;

export const RefreshAnswerSchema = Type.Object(
  {
    id: Type.String({ pattern: '^[0-9a-f]{32}$', description: 'of the request' }),
    weights: DigestSchema,
    momentum: DigestSchema,
    signature: SignatureSchema,
  },
  {
    additionalProperties: false,
    description: 'The answer: V_t, encrypted anew at the top level, and W_t, signed by the owner of the job',
  },
);
export type RefreshAnswer = Static<typeof RefreshAnswerSchema>;

/** An answer that a chain has taken, and where in the job it stands. */
export const TakenAnswerSchema = Type.Object(
  {
    ...RefreshAnswerSchema.properties,
    chain: Type.Integer({ minimum: 0 }),
    iteration: Type.Integer({ minimum: 1 }),
  },
  { description: 'The last answer that a chain has taken' },
);
export type TakenAnswer = Static<typeof TakenAnswerSchema>;

export const JobErrorSchema = Type.Object({
  code: Type.String(),
  message: Type.String(),
  task: Type.Optional(Type.String()),
});
export type JobError = Static<typeof JobErrorSchema>;

export const JobViewSchema = Type.Object(
  {
    id: JobIdSchema,
    kind: Type.Enum([...JOB_KINDS]),
    name: Type.Optional(Type.String()),
    priority: Type.Optional(PrioritySchema),
    tenant: TenantSchema,
    state: JobStateSchema,
    manifest: DigestSchema,
    shape: Type.Object({ samples: Type.Integer(), features: Type.Integer(), classes: Type.Integer() }),
    /** Of a prediction: those its model was trained with. */
    hyperparameters: HyperparametersSchema,
    model: Type.Optional(
      Type.Unsafe<string>({ ...JobIdSchema, description: 'of a prediction: the job that trained its model' }),
    ),
    parameters: Type.String({ description: 'name of the parameter set' }),
    createdAt: timestamp(),
    startedAt: Type.Optional(timestamp()),
    finishedAt: Type.Optional(timestamp()),
    progress: ProgressSchema,
    /** Jobs from before there were signatures have none: they take no answers any more. */
    signer: Type.Optional(SignerSchema),
    refreshes: Type.Array(RefreshRequestSchema, { description: 'what the owner is asked to refresh' }),
    answers: Type.Array(TakenAnswerSchema, { description: 'by chain: the last answer taken, for the owner to check' }),
    result: Type.Optional(JobResultSchema),
    error: Type.Optional(JobErrorSchema),
  },
  { description: 'A job as its owner sees it' },
);
export type JobView = Static<typeof JobViewSchema>;

/** An error as the API reports it: RFC 9457, with our stable `code` and, where there is one, a `hint`. */
export const ProblemSchema = Type.Object(
  {
    type: Type.String({ description: 'URN of the kind of problem', examples: ['urn:blindfit:problem:blob-not-found'] }),
    title: Type.String({ description: 'The kind of problem, in words' }),
    status: Type.Integer({ description: 'HTTP status' }),
    code: Type.String({ description: 'Stable identifier of the kind of problem', examples: ['BLOB_NOT_FOUND'] }),
    detail: Type.String({ description: 'What went wrong this time' }),
    hint: Type.Optional(Type.String({ description: 'What to do about it' })),
    blobs: Type.Optional(
      Type.Array(
        Type.Object({
          place: Type.String({ examples: ['blobs.features[0][3]'] }),
          digest: Type.String(),
          reason: Type.String(),
        }),
        {
          description: 'The first blobs of a manifest that are missing or do not fit, by their place in it',
        },
      ),
    ),
  },
  { description: 'A problem (RFC 9457)' },
);
export type Problem = Static<typeof ProblemSchema>;
