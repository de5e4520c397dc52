/** What a thread computes with, for one parameter set: node-seal or the native evaluator. */
import type { Ciphertext, CiphertextCodec, Evaluator } from '@blindfit/he';
import type { EvaluationKeyBlobs } from '@blindfit/protocol';
import type { Plan } from '@blindfit/training';
import type { CiphertextPlace } from './parse-ciphertext.ts';

/** What is known of a job's keys, whatever its kind. */
export interface KeyedJob {
  readonly manifest: { readonly blobs: EvaluationKeyBlobs };
  readonly plan: Pick<Plan, 'parameters' | 'steps'>;
}

export interface Input {
  readonly ciphertext: Ciphertext;
  /** From a file, whose pages all threads share; else in memory of the thread's own. */
  readonly mapped: boolean;
}

export interface Engine extends CiphertextCodec {
  /**
   * An evaluator with counts of its own.
   * @param job whose keys it has; none when left out
   * @param checkpoint called before everything that takes a while: throwing there abandons the computation
   * @throws WireError naming the key that is none
   */
  evaluator(job: KeyedJob | undefined, checkpoint: () => void): Promise<Evaluator>;
  /**
   * One of the owner's ciphertexts, which circuits must not change in place.
   * @param read fetches its blob
   * @throws WireError when it is none or none for that place; what `read` throws
   */
  loadInput(digest: string, place: CiphertextPlace, read: () => Promise<Uint8Array>): Promise<Input>;
}
