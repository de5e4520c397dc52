import { SealBackend, SealEvaluator } from '@blindfit/he/seal';
import { SecretKeyHolder } from '@blindfit/owner';
import { type Plan } from '@blindfit/training';
import { medianMs } from './measure.ts';

/** Median milliseconds of one rotation at the top level of a plan's parameters: the unit that times are told in. */
export async function rotationMs({ parameters }: Plan): Promise<number> {
  const backend = await SealBackend.open(parameters);
  const secret = SecretKeyHolder.generate(backend);
  const key = backend.loadGaloisKey(secret.galoisKey(1), 1);
  try {
    const evaluator = new SealEvaluator(backend, { relinearisation: undefined, galois: new Map([[1, key]]) });
    using a = backend.loadCiphertext(
      secret.encryptToBytes(
        Float64Array.from({ length: parameters.slots }, (_, i) => Math.sin(i)),
        parameters.maxLevel,
        parameters.scale,
      ),
    );
    return medianMs(() => evaluator.rotate(a, 1)[Symbol.dispose]());
  } finally {
    key.delete();
    secret[Symbol.dispose]();
    backend[Symbol.dispose]();
  }
}
