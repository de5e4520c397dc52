/**
 * What an owner signs: one text for one act on one job. Each fact stands on a line of its own, and no fact contains a
 * line break, so that two acts never share a text.
 */
import { isSignedBy } from '@blindfit/base/signature';
import type { RefreshAnswer } from './job.ts';

/** The job that an act is about. The digest of its manifest ties the act to what was submitted, whatever its id is. */
export interface SignedJob {
  readonly id: string;
  readonly manifest: string;
}

/** Where in its job a refresh stands. */
export interface RefreshPlace {
  readonly chain: number;
  /** The last finished iteration, t. */
  readonly iteration: number;
}

/** An answer without its signature. */
export type RefreshFacts = Omit<RefreshAnswer, 'signature'>;

/** The owner's answer to one refresh. */
export function refreshStatement(job: SignedJob, place: RefreshPlace, facts: RefreshFacts): string {
  return statement('refresh', job, [
    `chain ${place.chain}`,
    `iteration ${place.iteration}`,
    `request ${facts.id}`,
    `weights ${facts.weights}`,
    `momentum ${facts.momentum}`,
  ]);
}

/** The owner ends the job: a cancellation, or a training that stops early. */
export function cancelStatement(job: SignedJob): string {
  return statement('cancel', job, []);
}

/** The owner removes the finished job and its data. */
export function purgeStatement(job: SignedJob): string {
  return statement('purge', job, []);
}

/** Whether the job's signer gave this answer, at this place. */
export function isAnswerOf(signer: string, job: SignedJob, place: RefreshPlace, answer: RefreshAnswer): boolean {
  return isSignedBy(signer, refreshStatement(job, place, answer), answer.signature);
}

/** Whether the job's signer has cancelled it. */
export function isCancelledBy(signer: string, job: SignedJob, signature: string): boolean {
  return isSignedBy(signer, cancelStatement(job), signature);
}

/** Whether the job's signer has purged it. */
export function isPurgedBy(signer: string, job: SignedJob, signature: string): boolean {
  return isSignedBy(signer, purgeStatement(job), signature);
}

function statement(act: string, { id, manifest }: SignedJob, facts: readonly string[]): string {
  return [`blindfit/1 ${act}`, `job ${id}`, `manifest ${manifest}`, ...facts, ''].join('\n');
}
