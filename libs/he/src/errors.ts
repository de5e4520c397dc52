import { BlindfitError, type Fault } from '@blindfit/base';

/** Base of every error this library throws on purpose: what was wrong, and what is allowed. */
export class HeError extends BlindfitError {
  constructor(code: string, message: string, hint = '', retryable = false, fault: Fault = 'task') {
    super(code, message, { hint: hint === '' ? undefined : hint, retryable, fault });
  }
}

/** A parameter set that is malformed or not secure. */
export class ParameterError extends HeError {
  constructor(message: string, hint: string) {
    super('HE_PARAMETERS', message, hint);
  }
}

/** A circuit was given operands whose levels, scales or shapes do not fit: a bug in the caller, or hostile input. */
export class CircuitError extends HeError {
  constructor(message: string, hint = '') {
    super('HE_CIRCUIT', message, hint);
  }
}

/** Bytes that are not what their header or their place in a job says. */
export class WireError extends HeError {
  constructor(message: string, hint = '') {
    super('HE_WIRE', message, hint);
  }
}

/** A key that the circuit needs is not in the keyset. */
export class MissingKeyError extends HeError {
  constructor(what: string, available: string) {
    super(
      'HE_MISSING_KEY',
      `the keyset has no ${what}`,
      `it has ${available}; make a keyset with all the steps the plan lists`,
    );
  }
}

/** SEAL refused an operation. node-seal throws `WebAssembly.Exception`, which is no `Error`; this wraps it. */
export class SealError extends HeError {
  constructor(operation: string, reason: string) {
    super('HE_SEAL', `SEAL refused to ${operation}: ${reason}`);
  }
}

/**
 * SEAL's WebAssembly instance broke off, or has no memory left: a fresh instance may do better, this one must not go
 * on.
 */
export class SealCrashError extends HeError {
  constructor(operation: string, reason: string) {
    super('HE_SEAL_CRASHED', `SEAL broke off when asked to ${operation}: ${reason}`, '', true, 'host');
  }
}
