/**
 * The native addon against node-seal, operation by operation: the bytes of the results must be the same, with every
 * kernel that this CPU can run. Operands are made by bytes, from seeds that a failure prints.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import type { Ciphertext as RawCiphertext, Evaluator as RawEvaluator, GaloisKeys, RelinKeys } from 'node-seal';
import { at } from '@blindfit/base';
import type { SecurityLevel } from '@blindfit/he';
import type { Kernel, NativeKey, NativeRing, Words } from '../src/native/addon.ts';
import { loadAddon, NativeBench, PATTERNS, Random, type Pattern } from './native-bench.ts';

const addon = await loadAddon();
const directory = mkdtempSync(join(tmpdir(), 'blindfit-native-'));
after(() => rmSync(directory, { recursive: true, force: true }));

interface Chain {
  readonly ring: number;
  readonly bits: readonly number[];
  readonly security: SecurityLevel;
  readonly patterns: readonly Pattern[];
  readonly steps: readonly number[];
}

// Small rings have the many cases; the large ones show that results do not depend on the size. The last prime is the
// special one.
const SMALL = { security: 'none', patterns: PATTERNS } as const;
const LARGE = { security: '128', patterns: ['mixed'], steps: [1, 0] } as const;
const CHAINS: readonly Chain[] = [
  { ...SMALL, ring: 1024, bits: [30, 30, 30], steps: [1, -1, 0] },
  { ...SMALL, ring: 1024, bits: [50, 45, 45, 50], steps: [1, 3, 0] },
  { ...SMALL, ring: 1024, bits: [50, 50, 50, 50, 50], steps: [2, -7] },
  { ...SMALL, ring: 1024, bits: [60, 30, 46, 47, 48, 60], steps: [5, 0] },
  { ...SMALL, ring: 1024, bits: [49, 31, 60, 51, 33, 40], steps: [511, 100] },
  { ...SMALL, ring: 1024, bits: [60, 60, 60, 60], steps: [64, 0] },
  { ...SMALL, ring: 1024, bits: [50, 45, 45, 45, 45, 45, 45, 50], patterns: ['mixed'], steps: [1, 0] },
  { ...SMALL, ring: 2048, bits: [45, 60, 31, 50], steps: [1, 0] },
  { ...SMALL, ring: 2048, bits: [50, 40, 40, 50], steps: [-1, 512] },
  { ...SMALL, ring: 4096, bits: [50, 36, 46, 50], steps: [17], patterns: ['mixed'] },
  { ...LARGE, ring: 16384, bits: [50, 45, 45, 50] },
  { ...LARGE, ring: 32768, bits: [50, 40, 50] },
  { ...LARGE, ring: 32768, bits: [60, 52, 60] },
];

describe('the native addon against node-seal', { skip: typeof addon === 'string' ? addon : false }, () => {
  if (typeof addon === 'string') return;
  let cases = 0;
  after(() =>
    console.log(`${cases} results compared with node-seal's, byte by byte, kernels ${addon.kernels().join(', ')}`),
  );

  for (const chain of CHAINS) {
    const { ring, bits, security, patterns } = chain;
    it(`N = ${ring}, primes of ${bits.join(', ')} bits`, async () => {
      using bench = await NativeBench.open(
        addon,
        { ring, dataBits: bits.slice(0, -1), specialBits: at(bits, bits.length - 1, 'primes'), scaleBits: 20 },
        security,
      );
      const comparison = new Comparison(bench, chain.steps);
      for (let level = bench.maxLevel; level >= 0; level--) {
        for (const pattern of patterns) comparison.run(level, pattern);
      }
      cases += comparison.cases;
      assert.ok(comparison.cases > 0);
    });
  }
});

interface Keys {
  readonly relinearisation: NativeKey;
  readonly galois: ReadonlyMap<number, NativeKey>;
}

/** All operations on one parameter set. */
class Comparison {
  cases = 0;
  readonly #bench: NativeBench;
  readonly #seal: RawEvaluator;
  readonly #steps: readonly number[];
  readonly #rings: ReadonlyMap<Kernel, NativeRing>;
  readonly #keys: Keys;

  constructor(bench: NativeBench, steps: readonly number[]) {
    this.#bench = bench;
    this.#seal = bench.backend.evaluator;
    this.#steps = steps;
    this.#rings = new Map(bench.kernels.map((kernel) => [kernel, bench.createRing(kernel)]));
    const ring = bench.createRing();
    const key = (name: string, raw: RelinKeys | GaloisKeys, place: number): NativeKey => {
      const path = join(directory, `${bench.backend.parameters.name}-${bench.moduli.join('-').slice(0, 100)}-${name}`);
      writeFileSync(path, ring.packKey(bench.keyBytes(raw), place));
      return ring.openKey(path);
    };
    this.#keys = {
      relinearisation: key('relinearisation', bench.relinearisation, 0),
      galois: new Map(
        steps.map((step) => [step, key(`galois${step}`, bench.galoisKey(step), (bench.element(step) - 1) / 2)]),
      ),
    };
  }

  run(level: number, pattern: Pattern): void {
    const bench = this.#bench;
    const seal = this.#seal;
    const seed = level * 1000 + PATTERNS.indexOf(pattern) * 100;
    const random = new Random(seed);
    const size = (polys: number, at = level): number => polys * (at + 1) * bench.ring;
    const [a, b, c] = [
      bench.values(random, pattern, 2, level),
      bench.values(random, pattern, 2, level),
      bench.values(random, pattern, 3, level),
    ];
    const [plain, plain2] = [bench.values(random, pattern, 1, level), bench.values(random, 'random', 1, level)];
    const raw = {
      a: bench.load(a, 2, level),
      b: bench.load(b, 2, level),
      c: bench.load(c, 3, level),
      plain: bench.loadPlain(plain, level),
      plain2: bench.loadPlain(plain2, level),
    };

    const compare = (
      name: string,
      outLevel: number,
      polys: number,
      expected: (out: RawCiphertext) => void,
      actual: (ring: NativeRing, out: Words) => void,
    ): void => {
      const out = new bench.backend.seal.Ciphertext();
      try {
        try {
          expected(out);
        } catch (error) {
          // SEAL refuses to make a ciphertext without its second polynomial, which anyone could read.
          assert.match(String((error as { message?: unknown }).message), /transparent/, `${name}, seed ${seed}`);
          return;
        }
        const wanted = bench.save(out);
        for (const [kernel, ring] of this.#rings) {
          const words = bench.addon.allocate(size(polys, outLevel));
          words.fill(0xfedcba9876543210n);
          actual(ring, words);
          const found = ring.writeCiphertext(words, polys, outLevel, out.scale());
          if (Buffer.compare(wanted, found) !== 0) {
            assert.fail(
              `${name} with kernel ${kernel} differs from node-seal: level ${level}, values "${pattern}", ` +
                `seed ${seed}, first at byte ` +
                `${wanted.findIndex((byte, i) => byte !== found[i])} of ${wanted.length}`,
            );
          }
          this.cases++;
        }
      } finally {
        out.delete();
      }
    };

    compare(
      'add',
      level,
      2,
      (out) => seal.add(raw.a, raw.b, out),
      (ring, out) => ring.add(out, a, b, 2, level),
    );
    compare(
      'add in place',
      level,
      2,
      (out) => seal.add(raw.a, raw.b, out),
      (ring, out) => {
        out.set(a);
        ring.add(out, out, b, 2, level);
      },
    );
    compare(
      'add of 3 polynomials',
      level,
      3,
      (out) => seal.add(raw.c, raw.c, out),
      (ring, out) => ring.add(out, c, c, 3, level),
    );
    compare(
      'subtract',
      level,
      2,
      (out) => seal.sub(raw.a, raw.b, out),
      (ring, out) => ring.subtract(out, a, b, 2, level),
    );
    compare(
      'negate',
      level,
      2,
      (out) => seal.negate(raw.a, out),
      (ring, out) => ring.negate(out, a, 2, level),
    );
    compare(
      'addPlain',
      level,
      2,
      (out) => seal.addPlain(raw.a, raw.plain, out),
      (ring, out) => ring.addPlain(out, a, plain, 2, level),
    );
    compare(
      'multiplyPlain',
      level,
      2,
      (out) => seal.multiplyPlain(raw.a, raw.plain2, out),
      (ring, out) => ring.multiplyPlain(out, a, plain2, 2, level),
    );
    compare(
      'multiplyPlain by the pattern',
      level,
      3,
      (out) => seal.multiplyPlain(raw.c, raw.plain, out),
      (ring, out) => ring.multiplyPlain(out, c, plain, 3, level),
    );
    for (const [kernel, ring] of this.#rings) {
      // Of operations that are compared with node-seal above, which would refuse a difference of zero on the way.
      const [sum, product, left, right] = [
        new BigUint64Array(size(2)),
        new BigUint64Array(size(2)),
        a.slice(),
        b.slice(),
      ];
      ring.add(sum, a, b, 2, level);
      ring.subtract(product, a, b, 2, level);
      ring.multiplyPlain(product, product, plain2, 2, level);
      ring.split(left, right, plain2, level);
      assert.ok(
        Buffer.compare(Buffer.from(left.buffer), Buffer.from(sum.buffer)) === 0,
        `split, the sum, with kernel ${kernel}, seed ${seed}`,
      );
      assert.ok(
        Buffer.compare(Buffer.from(right.buffer), Buffer.from(product.buffer)) === 0,
        `split, the product, with kernel ${kernel}, seed ${seed}`,
      );
      this.cases += 2;
    }
    compare(
      'multiply',
      level,
      3,
      (out) => seal.multiply(raw.a, raw.b, out),
      (ring, out) => ring.multiply(out, a, b, level),
    );
    compare(
      'square',
      level,
      3,
      (out) => seal.square(raw.a, out),
      (ring, out) => ring.square(out, a, level),
    );
    compare(
      'sumOfProducts',
      level,
      3,
      (out) => {
        using second = new bench.backend.seal.Ciphertext();
        seal.multiply(raw.a, raw.b, out);
        seal.square(raw.b, second);
        seal.addInplace(out, second);
        for (let i = 0; i < 3; i++) seal.addInplace(out, second);
      },
      (ring, out) => ring.sumOfProducts(out, [a, b, b, b, b], [b, b, b, b, b], level),
    );
    compare(
      'relinearise',
      level,
      2,
      (out) => seal.relinearize(raw.c, bench.relinearisation, out),
      (ring, out) => ring.relinearise([out], [c], level, this.#keys.relinearisation),
    );
    const other = bench.values(random, 'random', 3, level);
    compare(
      'relinearise the last of nine',
      level,
      2,
      (out) => seal.relinearize(raw.c, bench.relinearisation, out),
      (ring, out) =>
        ring.relinearise(
          [...Array.from({ length: 8 }, () => new BigUint64Array(size(2))), out],
          [...Array.from({ length: 8 }, () => other), c],
          level,
          this.#keys.relinearisation,
        ),
    );
    for (const step of this.#steps) {
      const key = this.#keys.galois.get(step);
      assert.ok(key !== undefined);
      const element = bench.element(step);
      const rotate = (from: RawCiphertext, out: RawCiphertext): void =>
        step === 0
          ? seal.complexConjugate(from, bench.galoisKey(0), out)
          : seal.rotateVector(from, step, bench.galoisKey(step), out);
      compare(
        `rotate by ${step}`,
        level,
        2,
        (out) => rotate(raw.a, out),
        (ring, out) => ring.rotate([out], [a], level, element, key),
      );
      compare(
        `rotate the last of nine by ${step}`,
        level,
        2,
        (out) => rotate(raw.b, out),
        (ring, out) =>
          ring.rotate(
            [...Array.from({ length: 8 }, () => new BigUint64Array(size(2))), out],
            [...Array.from({ length: 8 }, () => a), b],
            level,
            element,
            key,
          ),
      );
      compare(
        `rotate one of two by ${step}`,
        level,
        2,
        (out) => rotate(raw.a, out),
        (ring, out) => ring.rotate([out, new BigUint64Array(size(2))], [a, b], level, element, key),
      );
    }
    compare(
      'rotateAndSum',
      level,
      2,
      (out) => {
        seal.negate(raw.a, out);
        seal.negateInplace(out);
        for (const step of this.#steps) {
          using rotated = new bench.backend.seal.Ciphertext();
          if (step === 0) seal.complexConjugate(out, bench.galoisKey(0), rotated);
          else seal.rotateVector(out, step, bench.galoisKey(step), rotated);
          seal.addInplace(out, rotated);
        }
      },
      (ring, out) =>
        ring.rotateAndSum(
          out,
          a,
          level,
          this.#steps.map((step) => bench.element(step)),
          this.#steps.map((step) => this.#keys.galois.get(step) ?? assert.fail()),
        ),
    );
    for (let to = 0; to < level; to++) {
      compare(
        `dropTo ${to}`,
        to,
        2,
        (out) => seal.cipherModSwitchTo(raw.a, bench.backend.parmsId(to), out),
        (ring, out) => ring.dropTo(out, a, 2, level, to),
      );
    }
    if (level > 0) {
      compare(
        'rescale',
        level - 1,
        2,
        (out) => seal.rescaleToNext(raw.a, out),
        (ring, out) => ring.rescale(out, a, 2, level),
      );
      compare(
        'rescale of 3 polynomials',
        level - 1,
        3,
        (out) => seal.rescaleToNext(raw.c, out),
        (ring, out) => ring.rescale(out, c, 3, level),
      );
    }
    for (const object of Object.values(raw)) object.delete();
  }
}
