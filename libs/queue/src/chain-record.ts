/** What is durably known of a chain: the pairs of classes that advance, and are refreshed, together. */
import type { ChainHistory, RefreshRequest, TakenAnswer } from '@blindfit/protocol';

export const RUNNING = 'running';
export const AWAITING = 'awaiting';
export const DONE = 'done';

/**
 * Written at the ends of segments; what happens inside one is the queue's. No record: the first segment is running.
 * `history` is filled when the chain is done, and then holds the V of its last segment.
 */
export interface ChainRecord extends ChainHistory {
  /** Of the segment: being computed, waiting for its refresh, or the last one and done. */
  readonly phase: typeof RUNNING | typeof AWAITING | typeof DONE;
  /** While awaiting. */
  readonly request?: RefreshRequest;
  /** To the refresh before this segment, also when that is over: a client that repeats itself gets the same reply. */
  readonly answer?: TakenAnswer | undefined;
  /** Packed W_T, when done. */
  readonly weights?: string;
}

export function answerOf(record: ChainRecord | undefined): TakenAnswer[] {
  return record?.answer === undefined ? [] : [record.answer];
}

export function requestOf(record: ChainRecord | undefined): RefreshRequest[] {
  return record?.phase === AWAITING && record.request !== undefined ? [record.request] : [];
}
