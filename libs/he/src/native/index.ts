export {
  EVALUATOR_CHOICES,
  evaluatorName,
  loadAddon,
  resolveEvaluator,
  type EvaluatorChoice,
  type ResolvedEvaluator,
} from './resolve.ts';
export { KERNELS, type Kernel, type NativeAddon, type NativeKey } from './addon.ts';
export { MAX_PLAINTEXTS, NativeBackend, type NativeCiphertext } from './native-backend.ts';
export { NativeEvaluator, NO_NATIVE_KEYS, type NativeKeys } from './native-evaluator.ts';
