export { loadSeal, locateSeal, sealCall } from './module.ts';
export { MAX_MONOMIALS, SealBackend, SealCiphertext, SealPlaintext, plainArray } from './seal-backend.ts';
export { SealEvaluator, NO_SEAL_KEYS, type SealKeys } from './seal-evaluator.ts';
