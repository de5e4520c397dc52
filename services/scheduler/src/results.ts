/** Results of a job's steps by their ids: what the next steps are made of. */
import { valueOf } from '@blindfit/base';

export class Results {
  readonly #outputs = new Map<string, readonly string[]>();

  set(step: string, outputs: readonly string[]): void {
    this.#outputs.set(step, outputs);
  }

  /** The digests of all results of a step. @throws RangeError when the step has no results yet */
  readonly outputsOf = (step: string): readonly string[] => valueOf(this.#outputs, step, 'results');
}
