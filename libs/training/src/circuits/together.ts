/** Key switches of several ciphertexts with one key, which a fused evaluator reads once for several of them. */
import type { Ciphertext, Evaluator } from '@blindfit/he';

/** rot(a, step) of every a, all of one level; the caller disposes of them. One rotation each. */
export function rotateAll(evaluator: Evaluator, a: readonly Ciphertext[], step: number): Ciphertext[] {
  return evaluator.fused?.rotateAll?.(a, step) ?? a.map((each) => evaluator.rotate(each, step));
}

/** Brings every a, all of one level, back to size 2. One relinearisation each. */
export function relineariseAllInPlace(evaluator: Evaluator, a: readonly Ciphertext[]): void {
  if (evaluator.fused?.relineariseAllInPlace !== undefined) evaluator.fused.relineariseAllInPlace(a);
  else for (const each of a) evaluator.relineariseInPlace(each);
}
