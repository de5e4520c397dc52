/**
 * What travels through the queues: digests and numbers, never bytes. The reader checks it again. It ignores fields that
 * it does not know, which a newer release of the same protocol may add.
 */
import { Type, type Static } from 'typebox';
import { DigestSchema } from './digest.ts';
import { OperationsSchema } from './operations.ts';
import { TraceparentSchema } from './traceparent.ts';

const index = (description: string) => Type.Integer({ minimum: 0, maximum: 1_000_000, description });
const indices = (description: string) => Type.Array(index(description), { minItems: 1, maxItems: 100_000 });

const common = {
  job: Type.String(),
  manifest: DigestSchema,
  /** From 1. */
  iteration: Type.Integer({ minimum: 1, maximum: 1000 }),
  /** The span that added the task, of jobs that are traced. */
  traceparent: Type.Optional(TraceparentSchema),
};

/**
 * s(X v) - 0.5 of some shards for the public constant start, shared by all classes. Results: one ciphertext a shard.
 */
export const StartTaskSchema = Type.Object({ kind: Type.Literal('start'), ...common, shards: indices('shard') });

/** Errors of one pair on some shards, from the packed weights of its chain. Results: one ciphertext a shard. */
export const ForwardTaskSchema = Type.Object({
  kind: Type.Literal('forward'),
  ...common,
  pair: index('pair'),
  shards: indices('shard'),
  weights: DigestSchema,
});

/**
 * Gradient of one pair over some shards and blocks. Results: one packed ciphertext. `errors`: by shard, from `forward`;
 * `scores`: by shard, from `start`, with the labels; neither: the labels themselves.
 */
export const BackwardTaskSchema = Type.Object({
  kind: Type.Literal('backward'),
  ...common,
  pair: index('pair'),
  shards: indices('shard'),
  blocks: indices('block'),
  errors: Type.Optional(Type.Array(DigestSchema, { minItems: 1 })),
  scores: Type.Optional(Type.Array(DigestSchema, { minItems: 1 })),
});

/**
 * Scores of one pair on some shards, from the packed model ciphertext that holds the pair. Results: one ciphertext a
 * shard.
 */
export const PredictTaskSchema = Type.Object({
  kind: Type.Literal('predict'),
  ...common,
  pair: index('pair'),
  shards: indices('shard'),
  model: DigestSchema,
});

export const TaskSchema = Type.Union([StartTaskSchema, ForwardTaskSchema, BackwardTaskSchema, PredictTaskSchema]);
export type StartTask = Static<typeof StartTaskSchema>;
export type ForwardTask = Static<typeof ForwardTaskSchema>;
export type BackwardTask = Static<typeof BackwardTaskSchema>;
export type PredictTask = Static<typeof PredictTaskSchema>;
export type Task = StartTask | ForwardTask | BackwardTask | PredictTask;
export type TaskKind = Task['kind'];

/** What a chain of pairs has of earlier iterations: digests of packed ciphertexts. */
export interface ChainHistory {
  /** Number of the segment between two refreshes, from 0. */
  readonly segment: number;
  /** V of the segment's iterations so far. */
  readonly history: readonly string[];
  /** What the owner sent at the refresh before the segment; absent in the first one. */
  readonly fresh?: { readonly weights: string; readonly momentum: string } | undefined;
}

export const TaskResultSchema = Type.Object({
  outputs: Type.Array(DigestSchema, { minItems: 1 }),
  operations: OperationsSchema,
  /** What computed it, for people: `native (ifma)`, `node-seal (WebAssembly)`. */
  evaluator: Type.Optional(Type.String({ pattern: '^[a-zA-Z0-9() -]{1,40}$' })),
  /** Milliseconds since the epoch at which a thread took the task, and at which its results were stored. */
  startedAt: Type.Number(),
  finishedAt: Type.Number(),
  /**
   * Of that, setting up the parameter set in SEAL and loading evaluation keys: next to nothing once a thread has them.
   */
  loadKeysSeconds: Type.Number({ minimum: 0 }),
});
export type TaskResult = Static<typeof TaskResultSchema>;

export const PHASES = ['load keys', 'load inputs', 'circuit', 'store result'] as const;

/** What a thread did in a stretch of a task; a task goes through some of these several times. */
export interface TaskPhase {
  readonly phase: (typeof PHASES)[number];
  /** Milliseconds since the epoch. */
  readonly start: number;
  readonly end: number;
}
