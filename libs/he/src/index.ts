export {
  HeError,
  ParameterError,
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
export type { Ciphertext, Plaintext } from './ciphertext.ts';
export { type OperationCounts, noOperations, addOperations } from './operations.ts';
export { Evaluator } from './evaluator.ts';
export type { CiphertextCodec } from './codec.ts';
export { CONJUGATION, galoisElement } from './galois.ts';
export { CountingEvaluator } from './counting/counting-evaluator.ts';
export { keySwitchTransforms, type CostFunction } from './counting/cost.ts';
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
export { assertFreshlyEncrypted, compressedPayload } from './formats/payload.ts';
export { addSlots, monomialSlots, multiplySlots, unitRoots, type PairedSlots } from './slots.ts';
