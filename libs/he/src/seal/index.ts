export { loadSeal, sealCall } from './module.ts';
export { Scheme, SealCiphertext, SealPlaintext, plainArray } from './scheme.ts';
export { SealEvaluator, NO_KEYS, type EvaluationKeys } from './seal-evaluator.ts';
