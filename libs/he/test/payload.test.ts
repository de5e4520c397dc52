/** SEAL's framing, built by hand: what is let through to SEAL, and what is refused with its place. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { concatBytes } from '@noble/hashes/utils.js';
import { discard } from '../src/discard.ts';
import { CircuitError, WireError } from '../src/errors.ts';
import { assertRoom, assertSame, assertScale } from '../src/exact-scales.ts';
import { assertFreshlyEncrypted, checkedPayload } from '../src/formats/payload.ts';
import { plaintextBytes, plaintextValues } from '../src/formats/plaintext-bytes.ts';
import { CONJUGATION, galoisElement } from '../src/galois.ts';
import type { Words } from '../src/native/addon.ts';
import { BufferPool } from '../src/native/buffer-pool.ts';
import { NativeCiphertext } from '../src/native/native-backend.ts';
import { Parameters } from '../src/parameters.ts';

function u64(...values: readonly number[]): Uint8Array {
  return new Uint8Array(BigUint64Array.from(values, BigInt).buffer);
}

/** An object of SEAL: 16 bytes and its content. */
function framed(
  content: Uint8Array,
  { compression = 0, size = 16 + content.length, version = 4, magic = 0xa15e } = {},
) {
  const head = new Uint8Array(16);
  const view = new DataView(head.buffer);
  view.setUint16(0, magic, true);
  view.setUint8(2, 16);
  view.setUint8(3, version);
  view.setUint8(4, 1);
  view.setUint8(5, compression);
  view.setBigUint64(8, BigInt(size), true);
  return concatBytes(head, content);
}

const numbers = (count: number): Uint8Array => framed(concatBytes(u64(count), new Uint8Array(8 * count)));

/** N = 2 and one prime, so that a polynomial has two coefficients. */
function fieldsOf(polynomials = 2): Uint8Array {
  return concatBytes(new Uint8Array(32), Uint8Array.of(1), u64(polynomials, 2, 1), new Uint8Array(8), u64(1));
}

const SEED = framed(new Uint8Array(65));
const whole = (polynomials = 2): Uint8Array => framed(concatBytes(fieldsOf(polynomials), numbers(2 * polynomials)));
const seeded = (polynomials = 2): Uint8Array => framed(concatBytes(fieldsOf(polynomials), numbers(2), SEED));
const keysOf = (...lists: readonly (readonly Uint8Array[])[]): Uint8Array =>
  framed(
    concatBytes(
      new Uint8Array(32),
      u64(lists.length),
      ...lists.flatMap((parts) => [u64(parts.length), ...parts.map((part) => part)]),
    ),
  );

const ciphertext = (bytes: Uint8Array, limit = 10_000) => checkedPayload('ciphertext', bytes, limit);
const key = (bytes: Uint8Array, limit = 10_000) => checkedPayload('key', bytes, limit);

function zstd(plain: Uint8Array): Uint8Array {
  return framed(zstdCompressSync(plain.subarray(16)), { compression: 2 });
}

describe('a payload', () => {
  it('is what SEAL writes: ciphertexts, seeded or not, and keys, compressed or not', () => {
    for (const bytes of [whole(), seeded(), whole(3)]) {
      assert.equal(ciphertext(bytes), bytes);
      assert.deepEqual(ciphertext(zstd(bytes)), bytes);
    }
    for (const bytes of [keysOf(), keysOf([whole(), seeded()]), keysOf([], [whole()], [])]) {
      assert.equal(key(bytes), bytes);
      assert.deepEqual(key(zstd(bytes)), bytes);
    }
    const buffer = Buffer.from(whole());
    assert.equal(ciphertext(buffer).constructor, Uint8Array, 'SEAL takes no buffers of Node');
  });

  it('is no longer than its limit, also when it is compressed', () => {
    const bytes = whole();
    assert.deepEqual(ciphertext(bytes, bytes.length), bytes);
    assert.throws(() => ciphertext(bytes, bytes.length - 1), WireError);
    assert.deepEqual(ciphertext(zstd(bytes), bytes.length), bytes);
    assert.throws(() => ciphertext(zstd(bytes), bytes.length - 1), WireError);
    const bomb = zstd(framed(new Uint8Array(100_000)));
    assert.ok(bomb.length < 1000);
    assert.throws(() => ciphertext(bomb, 1000), /inflates to more than 1000 bytes/);
  });

  const changed = (bytes: Uint8Array, offset: number, ...values: number[]): Uint8Array => {
    const copy = bytes.slice();
    copy.set(values, offset);
    return copy;
  };
  const INNER = 16 + fieldsOf().length;
  const KEY = 16 + 32;
  const refused: readonly [string, () => unknown, RegExp][] = [
    ['what is shorter than a header', () => ciphertext(new Uint8Array(15)), /cut off after 15 bytes/],
    ['another magic', () => ciphertext(changed(whole(), 0, 0)), /does not start with SEAL's header/],
    ['another header size', () => ciphertext(changed(whole(), 2, 17)), /does not start with SEAL's header/],
    ['another version', () => ciphertext(changed(whole(), 3, 3)), /saved by SEAL 3/],
    ['zlib', () => ciphertext(changed(whole(), 5, 1)), /compression mode 1/],
    [
      'a header of another length',
      () => ciphertext(concatBytes(whole(), Uint8Array.of(0))),
      /its header says|has \d+ bytes/,
    ],
    ['damaged compression', () => ciphertext(framed(new Uint8Array(40), { compression: 2 })), /cannot be decompressed/],
    ['something compressed inside', () => ciphertext(changed(whole(), INNER + 5, 2)), /compressed inside, at byte 89/],
    ['no object inside', () => ciphertext(changed(whole(), INNER, 0)), /damaged or cut off at byte 89/],
    ['an inner object longer than the outer', () => ciphertext(changed(whole(), INNER + 8, 255)), /at byte 89/],
    ['an inner object shorter than its header', () => ciphertext(changed(whole(), INNER + 8, 15)), /at byte 89/],
    ['something behind the seed', () => ciphertext(framed(concatBytes(seeded().subarray(16), u64(0)))), /damaged/],
    ['a ciphertext of fields only', () => ciphertext(framed(fieldsOf())), /damaged or cut off at byte 89/],
    ['more keys than bytes', () => key(changed(keysOf([whole()]), KEY, 0, 0, 0, 0, 1)), /at byte 48/],
    ['more parts than bytes', () => key(changed(keysOf([whole()]), KEY + 8, 200)), /at byte 56/],
    ['one part more than there are', () => key(changed(keysOf([whole()]), KEY + 8, 2)), /damaged/],
    [
      'something behind the last key',
      () => key(framed(concatBytes(keysOf([whole()]).subarray(16), u64(0)))),
      /damaged/,
    ],
    ['keys without their number', () => key(framed(new Uint8Array(36))), /at byte 48/],
    ['a damaged ciphertext in a key', () => key(keysOf([changed(whole(), INNER + 5, 1)])), /compressed inside/],
  ];
  for (const [name, body, message] of refused)
    it(`is not ${name}`, () =>
      assert.throws(body, (error) => error instanceof WireError && message.test(error.message)));

  it('is freshly encrypted when one polynomial of two is there, and a seed', () => {
    assertFreshlyEncrypted(seeded(), 10_000);
    for (const bytes of [whole(), seeded(3), seeded(1), framed(concatBytes(fieldsOf(), numbers(1), SEED))])
      assert.throws(() => assertFreshlyEncrypted(bytes, 10_000), /second half is not a seed/);
  });
});

describe('a plaintext', () => {
  it('comes back from its bytes, which have the length of its values', () => {
    const values = BigUint64Array.of(1n, 2n, 3n);
    const bytes = plaintextBytes(BigUint64Array.of(4n, 5n, 6n, 7n), 8, values);
    assert.deepEqual(plaintextValues(bytes, 3), values);
    const view = new DataView(bytes.buffer);
    // The parameters, the number of values, the scale.
    assert.deepEqual(
      [16, 24, 32, 40].map((place) => Number(view.getBigUint64(place, true))),
      [4, 5, 6, 7],
    );
    assert.deepEqual([Number(view.getBigUint64(48, true)), view.getFloat64(56, true)], [3, 8]);
    for (const count of [2, 4]) assert.throws(() => plaintextValues(bytes, count), WireError);
  });
});

describe('scales', () => {
  it('agree to some units in the last place', () => {
    const scale = 2 ** 40;
    assertScale('add', scale, scale * (1 + 2 ** -45));
    assert.throws(() => assertScale('add', scale, scale * (1 + 2 ** -42)), CircuitError);
    assert.throws(() => assertSame('add', { level: 1, scale }, { level: 2, scale }), /levels 1 and 2/);
  });

  it('leave room in the modulus', () => {
    const parameters = Parameters.of({ ring: 1024, dataBits: [30, 20], specialBits: 30, scaleBits: 20 }, 'none');
    assertRoom(parameters, 2 ** 29.9, 0);
    assertRoom(parameters, 2 ** 49.9, 1);
    for (const [bits, level] of [
      [30, 0],
      [50, 1],
    ] as const)
      assert.throws(() => assertRoom(parameters, 2 ** bits, level), CircuitError);
  });
});

it('rotations are powers of 3 modulo 2N, the conjugation is -1', () => {
  assert.deepEqual(
    [CONJUGATION, 1, 2, 3, 7, 8].map((step) => galoisElement(step, 16)),
    [31, 3, 9, 27, 11, 1],
  );
});

it('discards whole buffers, and parts of larger ones not', () => {
  const outer = new Uint8Array(8);
  discard(outer.subarray(0, 4));
  assert.equal(outer.length, 8);
  discard(outer);
  assert.equal(outer.length, 0);
});

describe('buffers of ciphertexts', () => {
  function poolOf(words: number): { pool: BufferPool; allocated: number[] } {
    const allocated: number[] = [];
    const allocate = (count: number): Words => {
      allocated.push(count);
      return new BigUint64Array(count);
    };
    return { pool: new BufferPool({ allocate }, words), allocated };
  }

  it('are used again at any length, and shorter ones of others are not', () => {
    const { pool, allocated } = poolOf(100);
    const first = pool.take(30);
    assert.equal(first.length, 30);
    pool.give(first);
    assert.equal(pool.take(100).buffer, first.buffer);
    pool.give(new BigUint64Array(99));
    assert.equal(pool.take(100).length, 100);
    assert.deepEqual(allocated, [100, 100]);
    pool.give(first);
    pool.clear();
    assert.notEqual(pool.take(1).buffer, first.buffer);
  });

  it('fill 96 MiB at most', () => {
    const words = (32 * 2 ** 20) / 8;
    const { pool, allocated } = poolOf(words);
    const taken = Array.from({ length: 4 }, () => pool.take(1));
    taken.forEach(pool.give);
    for (let i = 0; i < 4; i++) pool.take(1);
    assert.equal(allocated.length, 5, 'three were kept');
  });

  it('are given back once, when they are replaced or the ciphertext is freed', () => {
    const given: Words[] = [];
    const [one, two] = [new BigUint64Array(1), new BigUint64Array(1)];
    const made = new NativeCiphertext((data) => void given.push(data), one, { size: 2, level: 0, scale: 1 });
    made.replace(two, 2, 0);
    assert.deepEqual([given.length, given[0] === one], [1, true]);
    made[Symbol.dispose]();
    made[Symbol.dispose]();
    assert.deepEqual([given.length, given[1] === two], [2, true]);
  });
});
