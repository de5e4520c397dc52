/** The {@link Evaluator} on the native addon: node-seal's results, bit for bit. */
import { at } from '@blindfit/base';
import { BackendEvaluator, type EvaluationKeys } from '../backend-evaluator.ts';
import type { Ciphertext, Plaintext } from '../ciphertext.ts';
import { assertAlike, assertReduced, sameLevel } from '../evaluator.ts';
import { galoisElement } from '../galois.ts';
import type { NativeKey, NativeRing, Words } from './addon.ts';
import { nativeCiphertext, nativePlaintext, NativeCiphertext, type NativeBackend } from './native-backend.ts';

export type NativeKeys = EvaluationKeys<NativeKey, NativeKey>;

export const NO_NATIVE_KEYS: NativeKeys = { relinearisation: undefined, galois: new Map() };

/** Products the addon adds up in one call. */
const MAX_PRODUCTS = 64;
/** Key switches in one call: one pass of the addon over a key, and few enough to cancel a task between calls. */
const MAX_BATCH = 8;

export class NativeEvaluator extends BackendEvaluator<NativeKey, NativeKey> {
  readonly #backend: NativeBackend;
  readonly #ring: NativeRing;

  /** @param beforeCostly called before every key switch and product: throwing there abandons the computation */
  constructor(backend: NativeBackend, keys: NativeKeys = NO_NATIVE_KEYS, beforeCostly?: () => void) {
    super(backend, keys, beforeCostly);
    this.#backend = backend;
    this.#ring = backend.ring;
  }

  copy(a: Ciphertext): Ciphertext {
    const { data, size, level, scale } = nativeCiphertext(a);
    return this.#make(size, level, scale, (out) => out.set(data));
  }

  negateInPlace(a: Ciphertext): void {
    const { data, size, level } = nativeCiphertext(a);
    this.#ring.negate(data, data, size, level);
  }

  /** One reduction for up to {@link MAX_PRODUCTS} products. */
  override sumOfProducts(a: readonly Ciphertext[], b: readonly Ciphertext[]): Ciphertext {
    const { level, scale } = this.startProducts(a, b);
    using lowered = new DisposableStack();
    const dataOf = (operand: Ciphertext): Words =>
      nativeCiphertext(operand.level === level ? operand : lowered.use(this.dropTo(operand, level))).data;
    const part = (from: number): Ciphertext =>
      this.#make(3, level, scale, (out) =>
        this.#ring.sumOfProducts(
          out,
          a.slice(from, from + MAX_PRODUCTS).map(dataOf),
          b.slice(from, from + MAX_PRODUCTS).map(dataOf),
          level,
        ),
      );
    const sum = part(0);
    for (let from = MAX_PRODUCTS; from < a.length; from += MAX_PRODUCTS) {
      using added = part(from);
      this.addInPlace(sum, added);
    }
    return sum;
  }

  override split(a: Ciphertext, b: Ciphertext, plain: Plaintext): [Ciphertext, Ciphertext] {
    assertAlike(a, b);
    assertReduced('split', a);
    const scale = this.startPlainProduct(b, plain);
    const right = nativeCiphertext(b);
    this.#ring.split(nativeCiphertext(a).data, right.data, nativePlaintext(plain).data, a.level);
    right.scale = scale;
    return [a, b];
  }

  override rotateAndSumInPlace(a: Ciphertext, steps: readonly number[]): void {
    if (steps.length === 0) return;
    assertReduced('rotate', a);
    const target = nativeCiphertext(a);
    const { level } = target;
    const keys = steps.map((step) => this.galoisKey(step));
    this.startKeySwitches('rotations', steps.length);
    const out = this.#backend.take(2, level);
    const elements = steps.map((step) => galoisElement(step, this.parameters.ring));
    this.#ring.rotateAndSum(out, target.data, level, elements, keys);
    target.replace(out, 2, level);
  }

  override rotateAll(a: readonly Ciphertext[], step: number): Ciphertext[] {
    assertReduced('rotate', ...a);
    const level = sameLevel(a);
    const key = this.galoisKey(step);
    const element = galoisElement(step, this.parameters.ring);
    using unfinished = new DisposableStack();
    const results = batches(a).flatMap((batch) => {
      this.startKeySwitches('rotations', batch.length);
      const rotated = batch.map(({ scale }) => unfinished.use(this.#empty(2, level, scale)));
      this.#ring.rotate(rotated.map(dataOf), batch.map(dataOf), level, element, key);
      return rotated;
    });
    unfinished.move();
    return results;
  }

  override relineariseAllInPlace(a: readonly Ciphertext[]): void {
    const products = a.filter(({ size }) => size !== 2).map(nativeCiphertext);
    const level = sameLevel(products);
    const key = this.relinearisationKey();
    for (const batch of batches(products)) {
      this.startKeySwitches('relinearisations', batch.length);
      const outs = batch.map(() => this.#backend.take(2, level));
      this.#ring.relinearise(outs, batch.map(dataOf), level, key);
      batch.forEach((product, index) => product.replace(at(outs, index, 'relinearised ciphertexts'), 2, level));
    }
  }

  protected sum(a: Ciphertext, b: Ciphertext): Ciphertext {
    const { data, size, level, scale } = nativeCiphertext(a);
    return this.#make(size, level, scale, (out) => this.#ring.add(out, data, dataOf(b), size, level));
  }

  protected difference(a: Ciphertext, b: Ciphertext): Ciphertext {
    const { data, size, level, scale } = nativeCiphertext(a);
    return this.#make(size, level, scale, (out) => this.#ring.subtract(out, data, dataOf(b), size, level));
  }

  protected addTo(a: Ciphertext, b: Ciphertext): void {
    const { data, size, level } = nativeCiphertext(a);
    this.#ring.add(data, data, dataOf(b), size, level);
  }

  protected addPlainTo(a: Ciphertext, b: Plaintext): void {
    const { data, size, level } = nativeCiphertext(a);
    this.#ring.addPlain(data, data, nativePlaintext(b).data, size, level);
  }

  protected product(a: Ciphertext, b: Ciphertext, scale: number): Ciphertext {
    const { data, level } = nativeCiphertext(a);
    return this.#make(3, level, scale, (out) =>
      a === b ? this.#ring.square(out, data, level) : this.#ring.multiply(out, data, dataOf(b), level),
    );
  }

  protected plainProduct(a: Ciphertext, b: Plaintext, scale: number): Ciphertext {
    const { data, size, level } = nativeCiphertext(a);
    return this.#make(size, level, scale, (out) =>
      this.#ring.multiplyPlain(out, data, nativePlaintext(b).data, size, level),
    );
  }

  protected relinearise(a: Ciphertext): void {
    this.relineariseAllInPlace([a]);
  }

  protected rescale(a: Ciphertext): void {
    const product = nativeCiphertext(a);
    const { data, size, level } = product;
    const out = this.#backend.take(size, level - 1);
    this.#ring.rescale(out, data, size, level);
    product.scale /= Number(this.prime(level));
    product.replace(out, size, level - 1);
  }

  protected dropped(a: Ciphertext, level: number): Ciphertext {
    const from = nativeCiphertext(a);
    return this.#make(from.size, level, from.scale, (out) =>
      this.#ring.dropTo(out, from.data, from.size, from.level, level),
    );
  }

  protected rotated(a: Ciphertext, step: number): Ciphertext {
    const { data, level, scale } = nativeCiphertext(a);
    const key = this.galoisKey(step);
    return this.#make(2, level, scale, (out) =>
      this.#ring.rotate([out], [data], level, galoisElement(step, this.parameters.ring), key),
    );
  }

  protected setScale(a: Ciphertext, scale: number): void {
    nativeCiphertext(a).scale = scale;
  }

  #make(size: number, level: number, scale: number, fill: (out: Words) => void): NativeCiphertext {
    const made = this.#empty(size, level, scale);
    try {
      fill(made.data);
    } catch (error) {
      made[Symbol.dispose]();
      throw error;
    }
    return made;
  }

  /** A ciphertext whose content is undefined. */
  #empty(size: number, level: number, scale: number): NativeCiphertext {
    return new NativeCiphertext(this.#backend.pool.give, this.#backend.take(size, level), { size, level, scale });
  }
}

function dataOf(a: Ciphertext): Words {
  return nativeCiphertext(a).data;
}

function batches<T>(all: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(all.length / MAX_BATCH) }, (_, batch) =>
    all.slice(batch * MAX_BATCH, (batch + 1) * MAX_BATCH),
  );
}
