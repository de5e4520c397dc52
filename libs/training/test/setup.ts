/** What the tests of circuits share: a backend, a secret key and an evaluator that has only the given keys. */
import type { GaloisKeys } from 'node-seal';
import { at } from '@blindfit/base';
import {
  Parameters,
  type Ciphertext,
  type ParametersLiteral,
  type SecurityLevel,
  type PairedSlots,
} from '@blindfit/he';
import { SealBackend, SealEvaluator } from '@blindfit/he/seal';
import { KeyHolder } from '../../he/test/key-holder.ts';

export interface Bench extends Disposable {
  readonly backend: SealBackend;
  readonly evaluator: SealEvaluator;
  encrypt(first: Float64Array, level?: number, second?: Float64Array, scale?: number): Ciphertext;
  decrypt(ciphertext: Ciphertext): PairedSlots;
}

export async function openBench(
  literal: ParametersLiteral,
  steps: readonly number[],
  security: SecurityLevel,
): Promise<Bench> {
  const backend = await SealBackend.open(Parameters.of(literal, security));
  const secret = new KeyHolder(backend);
  const galois = new Map<number, GaloisKeys>();
  for (const step of steps) {
    const key = new backend.seal.GaloisKeys();
    key.loadFromArray(backend.context, secret.galoisKey(step));
    galois.set(step, key);
  }
  const relinearisation = new backend.seal.RelinKeys();
  relinearisation.loadFromArray(backend.context, secret.relinearisationKey());
  const evaluator = new SealEvaluator(backend, { relinearisation, galois });
  return {
    backend,
    evaluator,
    encrypt: (first, level = backend.parameters.maxLevel, second, scale = backend.parameters.scale) =>
      backend.loadCiphertext(secret.encryptToBytes(first, level, scale, second)),
    decrypt: (ciphertext) => secret.decrypt(ciphertext),
    [Symbol.dispose]() {
      for (const key of galois.values()) key.delete();
      relinearisation.delete();
      secret[Symbol.dispose]();
      backend[Symbol.dispose]();
    },
  };
}

/** Largest absolute difference of two slot vectors. */
export function maxError(a: PairedSlots, b: PairedSlots): number {
  let error = 0;
  a.first.forEach((value, slot) => {
    error = Math.max(
      error,
      Math.abs(value - at(b.first, slot, 'slots')),
      Math.abs(at(a.second, slot, 'slots') - at(b.second, slot, 'slots')),
    );
  });
  return error;
}
