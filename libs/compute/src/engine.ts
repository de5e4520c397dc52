/** What a thread computes with, for one parameter set: node-seal or the native evaluator. */
import type { Ciphertext, CiphertextCodec, Evaluator } from '@blindfit/he';
import type { EvaluationKeyBlobs } from '@blindfit/protocol';
import type { Plan } from '@blindfit/training';
import type { CiphertextPlace } from './parse-ciphertext.ts';

/** The keys of a job of any kind. */
export interface KeyedJob {
  readonly manifest: { readonly blobs: EvaluationKeyBlobs };
  readonly plan: Pick<Plan, 'parameters' | 'steps'>;
}

export interface Input {
  readonly ciphertext: Ciphertext;
  /**
   * Whether the file that it lies in is as it was written. Threads share the pages of such files; undefined when the
   * ciphertext lies in the memory of the thread.
   */
  readonly isIntact?: (() => boolean) | undefined;
}

export interface Engine extends CiphertextCodec {
  /**
   * A new evaluator, whose counts begin at zero.
   * @param job the job whose keys the evaluator has; it has no keys when undefined
   * @param checkpoint called before every costly operation: throwing there abandons the computation
   * @throws WireError naming the blob that is not a key
   */
  evaluator(job: KeyedJob | undefined, checkpoint: () => void): Promise<Evaluator>;
  /**
   * One of the owner's ciphertexts, which circuits must not change in place.
   * @param read fetches its blob
   * @throws WireError when the blob is not a ciphertext for the place; what `read` throws
   */
  loadInput(digest: string, place: CiphertextPlace, read: () => Promise<Uint8Array>): Promise<Input>;
  /**
   * Forgets the keys of a job if a file of theirs is not as it was written, so that they are made anew.
   * @returns whether they were intact
   */
  keysIntact(job: KeyedJob): boolean;
}
