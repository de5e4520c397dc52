/** Plaintexts are cached by content, level and scale, and leave the cache in the order of their last use. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Parameters } from '@blindfit/he';
import { loadAddon, NativeBackend, resolveEvaluator } from '@blindfit/he/native';
import { SealBackend } from '@blindfit/he/seal';

const PARAMETERS = Parameters.of({ ring: 1024, dataBits: [50, 40, 40], specialBits: 50, scaleBits: 40 }, 'none');
const resolved = await resolveEvaluator();
const skip = resolved.kind === 'seal' ? resolved.why : false;

test('the native backend caches 64 plaintexts, the least recently used first to go', { skip }, () => {
  assert.ok(resolved.kind === 'native');
  using backend = new NativeBackend(loadAddon(resolved.path), PARAMETERS);
  const data = (power: number): BigUint64Array => backend.monomial(power, 1).data;
  const first = data(0);
  const second = data(1);
  for (let power = 2; power < 64; power++) data(power);
  assert.equal(data(0), first, '64 fit');
  data(64);
  assert.equal(data(0), first, 'used last but one');
  assert.notEqual(data(1), second, 'the one that was not used since');
});

test('the native backend tells plaintexts apart by content, level, scale and second part', { skip }, () => {
  assert.ok(resolved.kind === 'native');
  using backend = new NativeBackend(loadAddon(resolved.path), PARAMETERS);
  const slots = Float64Array.of(1, 2);
  const data = [
    backend.encode(slots, 1, 2 ** 30).data,
    backend.encode(Float64Array.of(1, 3), 1, 2 ** 30).data,
    backend.encode(slots, 2, 2 ** 30).data,
    backend.encode(slots, 1, 2 ** 31).data,
    backend.encode(slots, 1, 2 ** 30, slots).data,
    backend.encodeConstant(1, 1, 2 ** 30).data,
    backend.encodeConstant(1, 2, 2 ** 30).data,
    backend.encodeConstant(2, 1, 2 ** 30).data,
    backend.monomial(1, 1).data,
    backend.monomial(-1, 1).data,
    backend.monomial(1, 2).data,
  ];
  assert.equal(new Set(data).size, data.length);
  assert.equal(backend.encode(Float64Array.of(1, 2), 1, 2 ** 30).data, data[0]);
  assert.equal(backend.encodeConstant(0.5, 1, 2 ** 31).data, data[5], 'the same integer');
});

test('node-seal’s monomials are cached, all given up when there are 96', async () => {
  using backend = await SealBackend.open(PARAMETERS);
  const first = backend.monomial(0, 1);
  for (let power = 1; power < 96; power++) backend.monomial(power, 1);
  assert.equal(backend.monomial(0, 1), first);
  assert.notEqual(backend.monomial(0, 2), first);
  assert.ok(first.raw.isDeleted());
  assert.notEqual(backend.monomial(0, 1), first);
});
