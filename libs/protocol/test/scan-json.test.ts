/** The form of JSON before it is parsed: limits just kept and just broken, and text that only looks like structure. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ContractError, PRIORITIES, scanJson } from '../src/index.ts';

const refusal = (text: string, depth: number, items: number): string => {
  try {
    scanJson(new TextEncoder().encode(text), 'the text is not valid', { depth, items });
    return '';
  } catch (error) {
    assert.ok(error instanceof ContractError);
    return error.message;
  }
};

test('so many levels and so many parts are allowed, and not one more', () => {
  assert.equal(refusal('[[{}]]', 3, 9), '');
  assert.match(refusal('[[{}]]', 2, 9), /nested deeper than 2 levels/);
  assert.equal(refusal(`[${'[],'.repeat(50)}[]]`, 2, 102), '', 'levels that were left do not count');
  assert.match(refusal(`[${'[],'.repeat(50)}[]]`, 2, 101), /more than 101 parts/);
  assert.equal(refusal('{"a":1,"b":2,"c":3}', 1, 3), '');
  assert.match(refusal('{"a":1,"b":2,"c":3}', 1, 2), /more than 2 parts/);
  assert.match(refusal('['.repeat(1000), 8, 300_000), /deeper than 8/, 'also of what is no JSON');
});

test('what is in strings is no structure, whatever is escaped in them', () => {
  for (const text of ['"[[[["', '"\\"[[[["', '"\\\\"', '"a\\\\\\"[[[["', '"[,,,,', '"\\', ''])
    assert.equal(refusal(text, 1, 1), '', text);
  assert.match(refusal('["\\\\",[]]', 1, 9), /deeper than 1/, 'a string ends behind an escaped backslash');
  assert.match(refusal('["é",[]]', 1, 9), /deeper than 1/);
});

test('the parts of jobs among those of a tenant', () =>
  assert.deepEqual(PRIORITIES, { low: 0.25, normal: 1, high: 4 }));
