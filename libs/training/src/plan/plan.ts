/** What a plan says: everything that schedulers, threads and owners need to know about a job besides its data. */
import type { OperationCounts, Parameters } from '@blindfit/he';
import type { Layout } from '../layout/shape.ts';
import type { Hyperparameters } from '../method.ts';
import type { IterationLevels, Schedule, Segment } from '../schedule.ts';

export interface JobShape {
  readonly samples: number;
  /** Columns of X, the bias included. */
  readonly features: number;
  readonly classes: number;
}

/** How much one task does. Part of the plan, so that a job's bytes do not depend on who happens to work on it. */
export interface Grouping {
  readonly blocksPerTask: number;
  readonly shardsPerTask: number;
  /** Pairs of classes that advance, and are refreshed, together: a power of two. */
  readonly pairsPerChain: number;
}

export interface Plan {
  readonly parameters: Parameters;
  readonly layout: Layout;
  readonly hyperparameters: Hyperparameters;
  readonly grouping: Grouping;
  readonly schedule: Schedule;
  readonly segments: readonly Segment[];
  /** Levels and scales the owner encrypts at. */
  readonly features: { readonly level: number; readonly scale: number };
  readonly gradientFeatures: { readonly level: number; readonly scale: number };
  readonly labels: { readonly level: number; readonly scale: number };
  /** Scale of the weights and of the momentum that the owner sends at a refresh. */
  readonly refreshScale: number;
  readonly iterations: readonly IterationLevels[];
  /** Left rotations keys are needed for, ascending; 0 is the conjugation. */
  readonly steps: readonly number[];
  readonly operations: OperationCounts;
  /** Cost of the whole job in transforms of length N, and in key switches at the top level. */
  readonly transforms: number;
  readonly rotationEquivalents: number;
  /** Transforms of one iteration that must come one after the other, however many threads there are. */
  readonly span: number;
  /** Tasks that workers compute: what progress is measured against. */
  readonly tasks: number;
  /**
   * `refreshDown` and `refreshUp`: of one refresh of all chains. `intermediates`: what the store keeps of a job besides
   * its data and keys until some time after its end, results of steps and answers of the owner.
   */
  readonly bytes: {
    readonly data: number;
    readonly keys: number;
    readonly model: number;
    readonly refreshDown: number;
    readonly refreshUp: number;
    readonly intermediates: number;
  };
  /** Of one worker thread with the keys loaded. */
  readonly threadMemoryBytes: number;
  /** Largest |weight| the last level can carry; the owner checks against the clear twin. */
  readonly maxWeight: number;
}

/**
 * Largest jobs, so that the plan of a manifest from outside takes seconds at most. As many blocks of X are some 100 GB
 * of ciphertexts.
 */
export const MAX_BLOCKS = 65_536;
export const MAX_SHARDS = 8_192;

/** The choices of a plan and what they determine directly: what its steps need. */
export type PlanBase = Pick<
  Plan,
  | 'parameters'
  | 'layout'
  | 'hyperparameters'
  | 'grouping'
  | 'schedule'
  | 'segments'
  | 'refreshScale'
  | 'features'
  | 'gradientFeatures'
  | 'labels'
  | 'iterations'
>;

/** How much one task does. */
export interface PredictionGrouping {
  readonly shardsPerTask: number;
}

export interface PredictionPlan {
  readonly parameters: Parameters;
  readonly layout: Layout;
  readonly grouping: PredictionGrouping;
  /** Level and scale the owner encrypts samples at. */
  readonly features: { readonly level: number; readonly scale: number };
  /** Level of the model, and the largest scale it may have. */
  readonly model: { readonly level: number; readonly maxScale: number };
  /**
   * Left rotations keys are needed for, ascending: those of a training of several iterations and as many turns suffice.
   */
  readonly steps: readonly number[];
  readonly operations: OperationCounts;
  /** Cost of the whole job in transforms of length N, and in key switches at the top level. */
  readonly transforms: number;
  readonly rotationEquivalents: number;
  /** Tasks that workers compute. */
  readonly tasks: number;
  readonly bytes: { readonly data: number; readonly keys: number; readonly scores: number };
  /** Of one worker thread with the keys loaded. */
  readonly threadMemoryBytes: number;
  /** Largest |score| the last level can carry. */
  readonly maxScore: number;
}
