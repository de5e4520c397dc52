export {
  HeError,
  ParameterError,
  PlanError,
  CircuitError,
  WireError,
  MissingKeyError,
  SealError,
  SealCrashError,
} from './errors.ts';
export {
  RINGS,
  type Ring,
  type SecurityTable,
  GUIDELINES_2024,
  SEAL_128,
  type SecurityLevel,
  isRing,
  maxLogQP,
  assertSecure,
} from './security.ts';
export { type ParametersLiteral, Parameters } from './parameters.ts';
export {
  type Ciphertext,
  type Plaintext,
  type OperationCounts,
  noOperations,
  addOperations,
  type FusedOperations,
  type Evaluator,
  type GaloisSteps,
  CONJUGATION,
} from './evaluator.ts';
export type { CiphertextCodec } from './codec.ts';
export { galoisElement } from './galois.ts';
export { keySwitchTransforms, DryRunEvaluator } from './counting/counting-evaluator.ts';
export {
  WIRE_HEADER_BYTES,
  type WireKind,
  type WireHeader,
  type WireFields,
  wrap,
  parseHeader,
  type WireExpectation,
  maxPayloadBytes,
  checkHeader,
  unwrap,
} from './formats/wire.ts';
export { constantContent, residue } from './constants.ts';
export { assertSame, assertRoom } from './exact-scales.ts';
export { discard } from './discard.ts';
export { compressedPayload } from './formats/payload.ts';
export { addSlots, monomialSlots, multiplySlots, unitRoots, type PairedSlots } from './slots.ts';
