/**
 * When a job's levels run out, and what an iteration finds: segments between refreshes by the owner, the levels inside
 * them, and the momentum's terms across them (docs/reference/encryption.md, "Refresh").
 */
import { BACKWARD_LEVELS } from './circuits/backward.ts';
import { forwardLevels } from './circuits/forward.ts';
import { momentumCoefficients, type Hyperparameters } from './method.ts';

export interface Schedule {
  /** Iterations from one refresh by the owner to the next; all iterations: there is no refresh. */
  readonly refreshEvery: number;
  /** Level at which the model is returned: 0, or 1 so that the servers can predict with it. */
  readonly modelLevel: 0 | 1;
}

/** The iterations from one refresh to the next. */
export interface Segment {
  /** Number of its first iteration, from 1. */
  readonly first: number;
  readonly count: number;
}

export interface IterationLevels {
  /** Of V as the iteration finds it; undefined in the first one, whose weights are public. */
  readonly weights: number | undefined;
  readonly errors: number;
  readonly gradient: number;
}

export function segmentsOf(iterations: number, refreshEvery: number): Segment[] {
  const segments: Segment[] = [];
  for (let first = 1; first <= iterations; first += refreshEvery)
    segments.push({ first, count: Math.min(refreshEvery, iterations - first + 1) });
  return segments;
}

/** Levels of every iteration: each segment ends at level 0, the last one at the model's. */
export function iterationLevels(
  hyperparameters: Hyperparameters,
  { refreshEvery, modelLevel }: Schedule,
): IterationLevels[] {
  const perIteration = forwardLevels(hyperparameters.sigmoid.degree) + BACKWARD_LEVELS;
  return segmentsOf(hyperparameters.iterations, refreshEvery).flatMap(({ first, count }) => {
    const last = first + count > hyperparameters.iterations ? modelLevel : 0;
    return Array.from({ length: count }, (_, position) => {
      const gradient = last + (count - 1 - position) * perIteration;
      return {
        weights: first + position === 1 ? undefined : gradient + perIteration,
        errors: gradient + BACKWARD_LEVELS,
        gradient,
      };
    });
  });
}

/** V and W as the owner sent them at the refresh before a segment. */
export interface Refreshed<T> {
  readonly weights: T;
  readonly momentum: T;
}

/** What a chain has at an iteration of a segment. */
export interface ChainState<T> {
  /** V = M of the segment's iterations so far. */
  readonly history: readonly T[];
  /** Undefined in the first segment. */
  readonly fresh: Refreshed<T> | undefined;
}

export interface MomentumTerms<T> {
  readonly momentum: readonly { readonly coefficient: number; readonly weights: T }[];
  /** The share of the public start, in every weight. */
  readonly constant: number;
}

/**
 * (1 - decay) W_{t-1} as the terms of the step of iteration t.
 * @param start every entry of V_0 = W_0
 */
export function momentumTerms<T>(
  etas: readonly number[],
  segment: Segment,
  iteration: number,
  { history, fresh }: ChainState<T>,
  start: number,
  decay = 0,
): MomentumTerms<T> {
  const kept = 1 - decay;
  if (iteration === 1) return { momentum: [], constant: kept * start };
  if (iteration === segment.first && fresh !== undefined)
    return { momentum: [{ coefficient: kept, weights: fresh.momentum }], constant: 0 };
  const { newest, older } = momentumCoefficients(etas, iteration - 1);
  const position = iteration - segment.first;
  const [last, before] = [history[position - 1], history[position - 2] ?? fresh?.weights];
  return {
    momentum: [
      ...(last === undefined ? [] : [{ coefficient: kept * newest, weights: last }]),
      ...(before === undefined ? [] : [{ coefficient: kept * older, weights: before }]),
    ],
    constant: iteration === 2 ? kept * older * start : 0,
  };
}

/** The terms of W_T besides M_T itself, whose coefficient the scale carries. @param segment the last one */
export function finalTerms<T>(
  etas: readonly number[],
  segment: Segment,
  { history, fresh }: ChainState<T>,
  start: number,
): MomentumTerms<T> & { readonly newestCoefficient: number } {
  const last = segment.first + segment.count - 1;
  const { newest, older } = momentumCoefficients(etas, last);
  const before = history[segment.count - 2] ?? fresh?.weights;
  return {
    newestCoefficient: newest,
    momentum: before === undefined ? [] : [{ coefficient: older, weights: before }],
    constant: last === 1 ? older * start : 0,
  };
}
