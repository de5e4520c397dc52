/** What the native addon offers besides SEAL's operations, and that it refuses what it must not touch. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { RootTable } from '../src/seal/roots.ts';
import { loadAddon, NativeBench, Random } from './native-bench.ts';

const addon = await loadAddon();
const directory = mkdtempSync(join(tmpdir(), 'blindfit-native-'));
after(() => rmSync(directory, { recursive: true, force: true }));
const LITERAL = { ring: 1024, dataBits: [50, 45, 60, 40], specialBits: 50, scaleBits: 30 } as const;

describe('the native addon', { skip: typeof addon === 'string' ? addon : false }, () => {
  if (typeof addon === 'string') return;

  it('makes monomials, adds J times a plaintext, and transforms there and back, with every kernel', async () => {
    using bench = await NativeBench.open(addon, LITERAL, 'none');
    const n = bench.ring;
    const random = new Random(5);
    const level = bench.maxLevel;
    const tables = bench.moduli.slice(0, -1).map((prime) => new RootTable(n, prime));
    const [a, b] = [bench.values(random, 'mixed', 1, level), bench.values(random, 'mixed', 1, level)];
    for (const kernel of bench.kernels) {
      const ring = bench.createRing(kernel);
      for (const power of [0, 1, n / 2, n, -3, 12345, -(2 ** 40) - 1]) {
        const out = addon.allocate(a.length);
        ring.monomial(out, power, level);
        const wanted = new BigUint64Array(a.length);
        tables.forEach((table, i) => table.writeMonomial(power, wanted.subarray(i * n, (i + 1) * n)));
        assert.deepEqual(Buffer.from(out.buffer), Buffer.from(wanted.buffer), `X^${power}, ${kernel}`);
      }
      for (const sign of [1, -1]) {
        const out = addon.allocate(a.length);
        ring.addTimesJ(out, a, b, level, sign);
        const wanted = a.map((value, k) => {
          const q = bench.moduli[Math.floor(k / n)] ?? 1n;
          const unit = tables[Math.floor(k / n)]?.imaginaryUnit ?? 0n;
          const plus = k % n < n / 2 === (sign === 1);
          return (value + (b[k] ?? 0n) * (plus ? unit : q - unit)) % q;
        });
        assert.deepEqual(Buffer.from(out.buffer), Buffer.from(wanted.buffer), `sign ${sign}, ${kernel}`);
      }
      const there = a.slice();
      ring.ntt(there, level);
      assert.notDeepEqual(there, a);
      ring.inverseNtt(there, level);
      assert.deepEqual(there, a);
    }
  });

  it('reads what node-seal writes, seeds included', async () => {
    using bench = await NativeBench.open(addon, LITERAL, 'none');
    const ring = bench.createRing();
    const values = bench.values(new Random(2), 'random', 3, 2);
    using raw = bench.load(values, 3, 2, 1234.5);
    const bytes = bench.save(raw);
    const { data, ...fields } = ring.readCiphertext(bytes);
    assert.deepEqual(fields, { polys: 3, level: 2, scale: 1234.5 });
    assert.deepEqual(data, values);
    assert.deepEqual(Buffer.from(ring.writeCiphertext(data, 3, 2, 1234.5)), Buffer.from(bytes));
    const seeded = bench.seededCiphertext();
    const expanded = ring.readCiphertext(seeded);
    assert.ok(seeded.length < 0.6 * expanded.data.byteLength);
    assert.deepEqual(
      Buffer.from(ring.writeCiphertext(expanded.data, expanded.polys, expanded.level, expanded.scale)),
      Buffer.from(bench.resaved(seeded)),
    );
    assert.throws(() => ring.readCiphertext(bytes.subarray(0, bytes.length - 1)), /an object of \d+ bytes at byte 0/);
    assert.throws(() => ring.packKey(bytes, 0), /parms_id/);
  });

  it('maps ciphertexts from files, as operands only', async () => {
    using bench = await NativeBench.open(addon, LITERAL, 'none');
    const ring = bench.createRing();
    const values = bench.values(new Random(3), 'random', 2, 2);
    const [path, other] = [join(directory, 'mapped.ct'), join(directory, 'other.ct')];
    writeFileSync(
      path,
      Buffer.concat([ring.ciphertextFileHeader(values, 2, 2, 1234.5), new Uint8Array(values.buffer)]),
    );
    const { data, ...fields } = ring.openCiphertext(path);
    assert.deepEqual(fields, { polys: 2, level: 2, scale: 1234.5 });
    assert.deepEqual(data, values);
    const again = ring.openCiphertext(path).data;
    const sum = new BigUint64Array(data.length);
    ring.add(sum, data, again, 2, 2);
    const expected = new BigUint64Array(data.length);
    ring.add(expected, values, values, 2, 2);
    assert.deepEqual(sum, expected);
    // Its content serves as input, never as output: a write would end the process.
    const refusal = { name: 'TypeError', message: "out is a file's content, which cannot be written to" };
    assert.throws(() => ring.add(data, values, values, 2, 2), refusal);
    assert.throws(() => ring.negate(data.subarray(0), values, 2, 2), refusal);
    assert.throws(() => ring.readCiphertext(bench.save(bench.load(values, 2, 2, 1)), data), refusal);
    assert.throws(() => addon.release(values), { name: 'TypeError', message: "words is no file's content" });
    addon.release(data);
    assert.equal(data.length, 0);
    assert.throws(() => ring.add(sum, data, values, 2, 2), { name: 'RangeError', message: /a has 0 words/ });
    assert.deepEqual(again, values, 'each has it until it lets go');
    const content = readFileSync(path);
    for (const [what, bytes] of [
      ['it has 5000 bytes', content.subarray(0, 5000)],
      ['it was cut off', content.subarray(0, 100)],
      ['its header is damaged', content.map((byte, at) => (at === 30 ? byte ^ 1 : byte))],
      ['it holds no ciphertext', Buffer.alloc(content.length)],
      ['it is empty', Buffer.alloc(0)],
    ] as const) {
      writeFileSync(other, bytes);
      assert.throws(
        () => ring.openCiphertext(other),
        new RegExp(`the ciphertext file ${other} cannot be used: .*${what}`),
      );
    }
    using others = await NativeBench.open(addon, { ...LITERAL, dataBits: [50, 44, 60, 40] }, 'none');
    assert.throws(() => others.createRing().openCiphertext(path), /is of other parameters/);
    assert.throws(() => ring.openCiphertext(join(directory, 'none')), /cannot open the ciphertext file/);
    assert.throws(() => ring.openCiphertext(directory), /no regular file/);
  });

  it('refuses arguments that are of the wrong kind, size or place, and changes nothing', async () => {
    using bench = await NativeBench.open(addon, LITERAL, 'none');
    const ring = bench.createRing();
    const words = 2 * 2 * bench.ring;
    const [a, b, out] = [
      new BigUint64Array(words).fill(1n),
      new BigUint64Array(words).fill(2n),
      new BigUint64Array(words),
    ];
    assert.throws(() => ring.add(out.subarray(1), a, b, 2, 1), {
      name: 'RangeError',
      message: `out has ${words - 1} words, ${words} are needed`,
    });
    assert.throws(() => ring.add(out, a, new Float64Array(words) as unknown as BigUint64Array, 2, 1), {
      name: 'TypeError',
      message: 'b must be a BigUint64Array',
    });
    assert.throws(() => ring.add(out, a, b, 2, 4), {
      name: 'RangeError',
      message: 'level must be a whole number from 0 to 3',
    });
    assert.throws(() => ring.add(out, a, b, 2, NaN), RangeError);
    assert.throws(() => ring.rescale(out, a, 2, 0), RangeError);
    const shared = new BigUint64Array(words + 8);
    assert.throws(() => ring.add(shared.subarray(8), shared.subarray(0, words), b, 2, 1), {
      name: 'RangeError',
      message: 'out overlaps a',
    });
    assert.throws(() => ring.addTimesJ.call({} as typeof ring, out, a, b, 1, 1), {
      name: 'TypeError',
      message: 'not a NativeRing',
    });
    const [relinearisation, galois] = [join(directory, 'relinearisation'), join(directory, 'galois')];
    writeFileSync(relinearisation, ring.packKey(bench.keyBytes(bench.relinearisation), 0));
    writeFileSync(galois, ring.packKey(bench.keyBytes(bench.galoisKey(1)), (bench.element(1) - 1) / 2));
    const key = ring.openKey(relinearisation);
    assert.throws(() => ring.rotate([out], [a], 1, 3, key), {
      name: 'RangeError',
      message: 'the key is for relinearisation, one for the Galois element 3 is needed',
    });
    assert.throws(() => ring.rotate([a], [a], 1, 3, ring.openKey(galois)), {
      name: 'RangeError',
      message: 'out must not be a',
    });
    assert.throws(() => ring.rotate([out], [a], 1, 4, key), { name: 'RangeError', message: 'element must be odd' });
    using other = await NativeBench.open(addon, { ...LITERAL, dataBits: [50, 45, 60, 41] }, 'none');
    assert.throws(() => other.createRing().openKey(galois), /is of other parameters/);
    assert.throws(() => ring.openKey(join(directory, 'none')), /cannot open the key file/);
    assert.throws(() => addon.createRing(1000, BigUint64Array.of(), BigUint64Array.of(), new BigUint64Array(4)), {
      name: 'RangeError',
    });
    assert.throws(
      () => addon.createRing(1024, BigUint64Array.of(12289n, 12290n), new BigUint64Array(4), new BigUint64Array(4)),
      /12290 is not a prime/,
    );
    assert.throws(() => bench.createRing('mmx' as 'avx2'), /the kernel "mmx" does not run here/);
    assert.ok(out.every((word) => word === 0n) && a.every((word) => word === 1n));
  });
});

describe('building the native addon', () => {
  it('says why it cannot', () => {
    const script = fileURLToPath(new URL('../native/build.mjs', import.meta.url));
    const failing = (env: NodeJS.ProcessEnv): string => {
      try {
        execFileSync(process.execPath, [script], { env, stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' });
        return '';
      } catch (error) {
        return String((error as { stderr?: unknown }).stderr);
      }
    };
    assert.match(failing({ PATH: directory }), /^no C\+\+ compiler was found: install g\+\+, or set CXX\n$/);
    assert.match(
      failing({ PATH: directory, CXX: '/nowhere/g++' }),
      /the compiler \/nowhere\/g\+\+ \(from CXX\) is not there/,
    );
    assert.match(failing({ CXX: process.execPath }), /failed: /);
  });
});
