/** Jobs in one sorted set by state, and within a state by a time: the scores of the states do not overlap. */
import { JOB_STATES, type JobState } from '@blindfit/protocol';

/** Longer than any time in milliseconds since the epoch. */
export const STATE_SPAN = 1e13;

/** Where the scores of a state begin; the time of creation, or of the end, is added. */
export function stateScore(state: JobState): number {
  return JOB_STATES.indexOf(state) * STATE_SPAN;
}

/** Where the scores of states begin that this release does not know. */
export const UNKNOWN_SCORE = (JOB_STATES.length + 1) * STATE_SPAN;

/** Where the scores of a state end, exclusive, in the notation of Redis. */
export function endOfScores(state: JobState): string {
  return `(${stateScore(state) + STATE_SPAN}`;
}
