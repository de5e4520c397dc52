import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canonicalJson } from '../src/index.ts';

test('canonical JSON has keys in order, no white space, and the value unchanged', () => {
  const value = { b: [1, { z: null, a: 'é "quoted"\n' }], a: { 10: true, 9: false, '-1': 1e-7 }, c: 0.1 };
  const text = canonicalJson(value);
  assert.equal(text, '{"a":{"-1":1e-7,"10":true,"9":false},"b":[1,{"a":"é \\"quoted\\"\\n","z":null}],"c":0.1}');
  assert.deepEqual(JSON.parse(text), value);
});

test('canonical JSON does not depend on the order of keys, nor on keys without a value', () => {
  assert.equal(
    canonicalJson({ a: 1, b: { c: 2, d: [3] } }),
    canonicalJson({ b: { d: [3], c: 2 }, x: undefined, a: 1 }),
  );
  assert.notEqual(canonicalJson({ a: [1, 2] }), canonicalJson({ a: [2, 1] }));
});

test('canonical JSON sorts keys by their code units, whatever the language', () => {
  assert.equal(canonicalJson({ b: 1, a: 2, B: 3, é: 4, z: 5, _: 6 }), '{"B":3,"_":6,"a":2,"b":1,"z":5,"é":4}');
});
