export { loadSeal, locateSeal, sealCall } from './module.ts';
export { Scheme, SealCiphertext, SealPlaintext, plainArray } from './scheme.ts';
export { SealEvaluator, NO_SEAL_KEYS, type SealKeys } from './seal-evaluator.ts';
