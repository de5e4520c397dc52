/**
 * What SEAL derives from a parameter set. Making it takes seconds at the usual sizes (SEAL divides 128-bit numbers bit
 * by bit for every entry of every level's tables), so the context that was released last stays cached.
 */
import type { CKKSEncoder, Evaluator as RawEvaluator, ParmsIdType, SEALContext } from 'node-seal';
import { ParameterError } from '../errors.ts';
import type { Parameters } from '../parameters.ts';
import { sealCall, type SealModule } from './module.ts';
import type { RootTable } from './roots.ts';

export class BackendContext {
  readonly module: SealModule;
  readonly context: SEALContext;
  /** Data primes, q0 first. */
  readonly primes: readonly bigint[];
  /** The prime of the keys alone. */
  readonly specialPrime: bigint;
  readonly evaluator: RawEvaluator;
  readonly encoder: CKKSEncoder;
  /** Indexed by level. */
  readonly parmsIds: readonly ParmsIdType[];
  readonly parmsIdWords: readonly BigUint64Array[];
  /** Tables of the primes used so far. */
  readonly roots = new Map<bigint, RootTable>();
  readonly #key: string;

  private constructor(parameters: Parameters, module: SealModule) {
    this.module = module;
    this.#key = keyOf(parameters);
    const { seal } = module;
    const literal = new seal.EncryptionParameters(seal.SchemeType.ckks);
    literal.setPolyModulusDegree(parameters.ring);
    const modulus = sealCall('choose primes', () =>
      seal.CoeffModulus.Create(parameters.ring, Int32Array.from(parameters.coefficientModulusBits)),
    );
    literal.setCoeffModulus(modulus);
    const security = parameters.security === '128' ? seal.SecLevelType.tc128 : seal.SecLevelType.none;
    this.context = sealCall('make a context', () => new seal.SEALContext(literal, true, security));
    if (!this.context.parametersSet())
      throw new ParameterError(`SEAL refuses the parameter set ${parameters.name}`, 'see its table of moduli');
    const primes = seal.jsArrayFromVecModulus(modulus) as bigint[];
    this.primes = primes.slice(0, -1);
    this.specialPrime = primes.at(-1) ?? 0n;
    modulus.delete();
    literal.delete();
    const parmsIds: ParmsIdType[] = [];
    let data = this.context.firstContextData();
    for (let level = parameters.maxLevel; level >= 0; level--) {
      parmsIds[level] = data.parmsId();
      if (level > 0) data = data.nextContextData();
    }
    this.parmsIds = parmsIds;
    this.parmsIdWords = parmsIds.map((id) => BigUint64Array.from(id.values() as BigUint64Array));
    this.encoder = new seal.CKKSEncoder(this.context);
    this.evaluator = new seal.Evaluator(this.context);
  }

  /** A context for the caller alone, until the caller gives it back. @throws ParameterError, SealError */
  static take(parameters: Parameters, module: SealModule): BackendContext {
    if (spare?.module !== module || spare.#key !== keyOf(parameters)) return new BackendContext(parameters, module);
    const found = spare;
    spare = undefined;
    return found;
  }

  /** Nobody must use it after that. */
  static giveBack(context: BackendContext): void {
    if (spare !== undefined) spare.#free();
    spare = context;
  }

  #free(): void {
    this.evaluator.delete();
    this.encoder.delete();
    for (const id of this.parmsIds) id.delete();
    this.context.delete();
  }
}

let spare: BackendContext | undefined;

function keyOf({ fingerprint, security }: Parameters): string {
  return `${fingerprint} ${security}`;
}
