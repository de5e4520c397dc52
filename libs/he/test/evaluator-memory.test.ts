/**
 * The native evaluator on an addon that computes nothing: how operands are divided into calls, where a computation can
 * be abandoned, and that every buffer goes back. And what node-seal's contexts and keys are told apart by.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Parameters, WireError, type Ciphertext } from '@blindfit/he';
import { NativeBackend, NativeEvaluator, type NativeAddon, type NativeKey } from '@blindfit/he/native';
import { SealBackend } from '@blindfit/he/seal';
import { nativeCiphertext } from '../src/native/native-backend.ts';
import { KeyHolder } from './key-holder.ts';

const PARAMETERS = Parameters.of({ ring: 1024, dataBits: [50, 40, 40], specialBits: 50, scaleBits: 20 }, 'none');
const WORDS = 3 * 3 * 1024;

interface Calls {
  readonly name: string;
  readonly count: number;
}

/** Counts buffers of ciphertexts, and calls of the ring with the number of their operands. */
function openBench({ failing = '' } = {}) {
  const calls: Calls[] = [];
  const released: unknown[] = [];
  let costly = 0;
  let buffers = 0;
  const ring = new Proxy(
    {},
    {
      get: (_target, name: string) => {
        if (name === 'openCiphertext')
          return () => ({ polys: 2, level: 1, scale: 1, data: new BigUint64Array(2 * 2 * 1024) });
        return (_out: unknown, a: unknown) => {
          calls.push({ name, count: Array.isArray(a) ? a.length : 1 });
          if (name === failing) throw new RangeError('as planned');
        };
      },
    },
  );
  const addon = {
    kernels: () => ['portable'],
    blake2b256: () => new BigUint64Array(4),
    allocate: (words: number) => {
      if (words === WORDS) buffers++;
      return new BigUint64Array(words);
    },
    release: (data: unknown) => void released.push(data),
    createRing: () => ring,
  } as unknown as NativeAddon;
  const backend = new NativeBackend(addon, PARAMETERS);
  const key = {} as NativeKey;
  const evaluator = new NativeEvaluator(
    backend,
    {
      relinearisation: key,
      galois: new Map([
        [1, key],
        [2, key],
      ]),
    },
    () => {
      costly++;
    },
  );
  const ciphertexts = (count: number, size = 2): Ciphertext[] =>
    Array.from({ length: count }, () => {
      const empty = backend.mapCiphertext('x');
      const made = evaluator.copy(empty);
      if (size === 2) return made;
      const product = evaluator.multiply(made, made);
      made[Symbol.dispose]();
      return product;
    });
  return {
    backend,
    evaluator,
    released,
    ciphertexts,
    /** Of the calls since the last time. */
    take: () => ({ calls: calls.splice(0), costly: costly - (costly = 0) }),
    buffers: () => buffers,
  };
}

function free(all: readonly Ciphertext[]): void {
  for (const each of all) each[Symbol.dispose]();
}

describe('the native evaluator', () => {
  it('adds up 64 products a call, and switches the keys of 8 ciphertexts', () => {
    const { backend, evaluator, ciphertexts, take } = openBench();
    const a = ciphertexts(130);
    const products = ciphertexts(17, 3);
    take();
    free([evaluator.sumOfProducts(a, a)]);
    const sums = take();
    assert.deepEqual(
      sums.calls.filter(({ name }) => name === 'sumOfProducts').map(({ count }) => count),
      [64, 64, 2],
    );
    const rotated = evaluator.rotateAll(a.slice(0, 17), 1);
    const next = backend.take(2, 1);
    for (const each of rotated) assert.notEqual(nativeCiphertext(each).data.buffer, next.buffer, 'it is in use');
    backend.pool.give(next);
    free(rotated);
    assert.deepEqual(take(), {
      calls: [8, 8, 1].map((count) => ({ name: 'rotate', count })),
      costly: 3,
    });
    evaluator.relineariseAllInPlace([...products, ...a.slice(0, 3)]);
    assert.deepEqual(take(), {
      calls: [8, 8, 1].map((count) => ({ name: 'relinearise', count })),
      costly: 3,
    });
    assert.ok(products.every(({ size }) => size === 2));
    assert.deepEqual([evaluator.counts.rotations, evaluator.counts.relinearisations], [17, 17]);
    free([...a, ...products]);
  });

  const operations: readonly [
    string,
    (evaluator: NativeEvaluator, a: Ciphertext, b: Ciphertext, round: number) => unknown,
  ][] = [
    ['add', (evaluator, a, b) => evaluator.add(a, b)],
    ['subtract', (evaluator, a, b) => evaluator.subtract(a, b)],
    ['multiply', (evaluator, a, b) => evaluator.multiply(a, b)],
    ['square', (evaluator, a) => evaluator.square(a)],
    ['multiplyPlain', (evaluator, a) => evaluator.multiplyPlain(a, evaluator.monomial(3, a.level))],
    ['rotate', (evaluator, a) => evaluator.rotate(a, 1)],
    ['rotate', (evaluator, a, b) => evaluator.rotateAll([a, b], 1)],
    ['dropTo', (evaluator, a) => evaluator.dropTo(a, 0)],
    ['sumOfProducts', (evaluator, a, b) => evaluator.sumOfProducts([a, b], [b, a])],
    ['rescale', (evaluator, a) => evaluator.rescaleInPlace(a)],
    ['rotateAndSum', (evaluator, a) => evaluator.rotateAndSumInPlace(a, [1, 2])],
    ['addTimesJ', (evaluator, _a, _b, round) => evaluator.encode(Float64Array.of(round), 2, 2, new Float64Array(1))],
  ];
  for (const [name, operation] of operations) {
    it(`gives back every buffer of ${name}`, () => {
      const bench = openBench();
      let most = 0;
      for (let round = 0; round < 4; round++) {
        const [a, b] = bench.ciphertexts(2);
        assert.ok(a !== undefined && b !== undefined);
        const result = operation(bench.evaluator, a, b, round);
        const made = (Array.isArray(result) ? result : [result]).filter((each) => each !== undefined) as Ciphertext[];
        const others = new Set([a, b, ...made].filter((each) => 'size' in each));
        free([...others]);
        if (round === 0) most = bench.buffers();
        assert.equal(bench.buffers(), most, 'later rounds need no more than the first');
      }
    });

    it(`keeps no buffer when ${name} fails`, () => {
      if (['rescale', 'rotateAndSum', 'addTimesJ'].includes(name)) return;
      const bench = openBench({ failing: name });
      let most = 0;
      for (let round = 0; round < 4; round++) {
        const [a, b] = bench.ciphertexts(2);
        assert.ok(a !== undefined && b !== undefined);
        assert.throws(() => operation(bench.evaluator, a, b, round), /as planned/);
        free([a, b]);
        if (round === 0) most = bench.buffers();
        assert.equal(bench.buffers(), most);
      }
    });
  }

  it('divides the scale by the prime that a rescale drops', () => {
    const { evaluator, ciphertexts } = openBench();
    const products = ciphertexts(1, 3);
    for (const product of products) {
      evaluator.rescaleInPlace(product);
      assert.deepEqual([product.level, product.scale], [0, 1 / Number(evaluator.prime(1))]);
    }
    free(products);
  });

  it('unmaps files of ciphertexts, which belong to no pool', () => {
    const { backend, released, buffers } = openBench();
    const mapped = backend.mapCiphertext('x');
    mapped[Symbol.dispose]();
    assert.deepEqual([released.length, released[0] === mapped.data], [1, true]);
    assert.notEqual(backend.take(2, 1).buffer, mapped.data.buffer);
    assert.equal(buffers(), 1);
  });
});

describe('node-seal', () => {
  it('has a context for each set of parameters, also after another one was released', async () => {
    const other = Parameters.of({ ring: 1024, dataBits: [49, 40, 40], specialBits: 50, scaleBits: 20 }, 'none');
    const primesOf = async (parameters: Parameters): Promise<string> => {
      using backend = await SealBackend.open(parameters);
      return backend.primes.join();
    };
    const first = await primesOf(PARAMETERS);
    assert.notEqual(await primesOf(other), first);
    assert.equal(await primesOf(PARAMETERS), first);
  });

  it('takes the key of its place only, and no relinearisation key without a key', async () => {
    using backend = await SealBackend.open(PARAMETERS);
    using holder = new KeyHolder(backend);
    const key = holder.galoisKey(2);
    backend.loadGaloisKey(key, 2).delete();
    for (const step of [1, 3, 0])
      assert.throws(
        () => backend.loadGaloisKey(key, step),
        (error) => error instanceof WireError && /is a key for another rotation/.test(error.message),
      );
    backend.loadRelinearisationKey(holder.relinearisationKey()).delete();
    const empty = new backend.seal.RelinKeys();
    const bytes = empty.saveToArray(backend.seal.ComprModeType.none) as Uint8Array;
    empty.delete();
    assert.throws(() => backend.loadRelinearisationKey(bytes), /relinearisation key is empty|load the relinearisation/);
  });
});
