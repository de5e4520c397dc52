/**
 * What this machine needs for every operation, at one parameter set: measured by `calibrate.ts`, looked up by everyone
 * else.
 */
import { keySwitchTransforms, type CostFunction } from '@blindfit/he';

/**
 * Operations whose cost depends on the level, as the circuits, the compute threads and the owner call them.
 * `rescale` and `rescaleProduct`: of two and three polynomials. `read` and `write`: of a result, store, digest and
 * (de)serialisation included. `readInput`: of one of the owner's ciphertexts, its seed expanded. `encryptPair`: with
 * a second class in the imaginary part.
 */
export const OPERATIONS = [
  'rotate',
  'relinearise',
  'rescale',
  'rescaleProduct',
  'multiply',
  'square',
  'multiplyPlain',
  'add',
  'addPlain',
  'negate',
  'copy',
  'drop',
  'encode',
  'encodePair',
  'monomial',
  'readInput',
  'read',
  'write',
  'encrypt',
  'encryptPair',
  'decrypt',
] as const;
export type Operation = (typeof OPERATIONS)[number];

export interface Measured {
  readonly level: number;
  readonly seconds: number;
}

export interface Calibration {
  readonly format: 'blindfit-calibration/1';
  readonly machine: Machine;
  /** Of the parameter set. */
  readonly fingerprint: string;
  /** ISO. */
  readonly measuredAt: string;
  /** By operation, levels ascending. */
  readonly operations: Readonly<Record<Operation, readonly Measured[]>>;
  /**
   * Seconds: to set up the parameters, to load one evaluation key from the store, to make one, to place or read one
   * block of weights in the clear.
   */
  readonly context: number;
  readonly keyLoad: number;
  readonly keyMake: number;
  readonly packBlock: number;
  /** Bytes of one evaluation key as it travels. */
  readonly keyBytes: number;
  /** How much longer an operation takes while all threads of the machine are at work. */
  readonly contention: number;
}

export interface Machine {
  readonly cpu: string;
  readonly threads: number;
  /** Version of node-seal, and of Node, whose compilers' doing the speed is. */
  readonly seal: string;
  readonly node: string;
  /** What computed, for people: `native (ifma)`, `node-seal (WebAssembly)`. */
  readonly evaluator: string;
}

/**
 * Seconds of an operation: of a rescale from, of a drop to the level. Between measured levels the dry run's cost model
 * is followed, outside the nearest measurement is scaled by it.
 */
export function secondsOf(calibration: Calibration, operation: Operation, level: number): number {
  const measured = calibration.operations[operation];
  const weight = (at: number): number => modelOf(operation, at);
  const rate = ({ level: at, seconds }: Measured): number => seconds / weight(at);
  const above = measured.findIndex((each) => each.level >= level);
  const high = measured[above] ?? measured.at(-1);
  const low = measured[above - 1] ?? high;
  if (high === undefined || low === undefined) throw new Error(`no measurement of ${operation}`);
  const share = high.level === low.level ? 0 : (level - low.level) / (high.level - low.level);
  return weight(level) * (rate(low) + share * (rate(high) - rate(low)));
}

/** Seconds of evaluator operations on the calibrated machine. Sizes other than those measured are scaled. */
export function calibratedCost(calibration: Calibration): CostFunction {
  return (operation, level, size) => {
    const seconds = (name: Operation): number => secondsOf(calibration, name, level);
    switch (operation) {
      case 'rescale':
        return seconds(size === 3 ? 'rescaleProduct' : 'rescale');
      case 'copy':
      case 'add':
      case 'negate':
        return (size / 2) * seconds(operation);
      default:
        return seconds(operation);
    }
  };
}

/** How the cost of an operation grows with the level, in any unit. */
function modelOf(operation: Operation, level: number): number {
  return operation === 'rotate' || operation === 'relinearise' ? keySwitchTransforms(level + 1) : level + 1;
}
