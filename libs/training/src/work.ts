/** The units of work of a job, generic over how they refer to earlier results. */
import type { Refreshed } from './schedule.ts';

/**
 * The state of a chain before an update: V of the segment's iterations so far, and the owner's answer before the
 * segment.
 */
export interface ChainWork<R> {
  readonly chain: number;
  /** Number of the segment between two refreshes, from 0. */
  readonly segment: number;
  readonly history: readonly R[];
  /** Absent in the first segment. */
  readonly fresh?: Refreshed<R> | undefined;
}

/** Scores s(X v) - 0.5 of the public constant start, shared by all classes. Results: one ciphertext a shard. */
export interface StartWork {
  readonly kind: 'start';
  readonly iteration: number;
  readonly shards: readonly number[];
}

/** Errors of one pair on some shards, from the packed weights of its chain. Results: one ciphertext a shard. */
export interface ForwardWork<R> {
  readonly kind: 'forward';
  readonly iteration: number;
  readonly pair: number;
  readonly shards: readonly number[];
  readonly weights: R;
}

/**
 * Gradient of one pair over some shards and blocks, packed. `errors`: by shard, from `forward`; `scores`: by shard,
 * from `start`, to be combined with the labels; neither: the labels are the errors. L refers to all results of a step.
 */
export interface BackwardWork<R, L = readonly R[]> {
  readonly kind: 'backward';
  readonly iteration: number;
  readonly pair: number;
  readonly shards: readonly number[];
  readonly blocks: readonly number[];
  readonly errors?: L | undefined;
  readonly scores?: L | undefined;
}

/** V of an iteration, from the gradients. No key. */
export interface UpdateWork<R> extends ChainWork<R> {
  readonly kind: 'step';
  readonly iteration: number;
  readonly gradients: readonly { readonly pair: number; readonly gradient: R }[];
}

/** W_T of a chain, at the level of the model. No key. */
export interface FinishWork<R> extends ChainWork<R> {
  readonly kind: 'finish';
  /** The last one. */
  readonly iteration: number;
}

/** V of a chain at level 0, for the owner. No key. */
export interface PublishWork<R> {
  readonly kind: 'publish';
  readonly chain: number;
  /** The iteration that V belongs to. */
  readonly iteration: number;
  readonly weights: R;
  /** The level that V is at. */
  readonly level: number;
}

/** The owner's answer. Results: V at the top of the next segment, and W. */
export interface RefreshWork<R> {
  readonly kind: 'refresh';
  readonly chain: number;
  /** The last finished iteration. */
  readonly iteration: number;
  /** Published V of that iteration, and of the one before unless it is the public start. */
  readonly weights: R;
  readonly previous?: R | undefined;
}

/** All chains in as few ciphertexts as possible. No key. */
export interface PackWork<R> {
  readonly kind: 'pack';
  /** The iteration that V belongs to; the one after the last for the model. */
  readonly iteration: number;
  readonly chains: readonly R[];
  /** The level that the chains are at, and the level of the result. */
  readonly level: number;
  readonly to: number;
}

/** Scores of one pair on some shards, from the packed model that holds the pair. Results: one ciphertext a shard. */
export interface PredictWork<R> {
  readonly kind: 'predict';
  readonly iteration: number;
  readonly pair: number;
  readonly shards: readonly number[];
  readonly model: R;
}

/** What compute threads of workers do: it needs keys. */
export type KeyedWork<R, L = readonly R[]> = StartWork | ForwardWork<R> | BackwardWork<R, L>;
/** What the scheduler's own threads do. */
export type KeylessWork<R> = UpdateWork<R> | FinishWork<R> | PublishWork<R> | PackWork<R>;
/** Work that a thread can run. R refers to an intermediate result: a digest, a ciphertext, or a {@link Source}. */
export type RunWork<R, L = readonly R[]> = KeyedWork<R, L> | KeylessWork<R>;
/** One unit of work of a training: the owner's as well. */
export type Work<R, L = readonly R[]> = RunWork<R, L> | RefreshWork<R>;

/** One result of an earlier step. */
export interface Source {
  readonly step: string;
  readonly output: number;
}

/**
 * A unit of work over earlier steps, with its name within the job. The name never changes: task ids are made of it.
 */
export type Step<W = Work<Source, string>> = W & { readonly id: string };
