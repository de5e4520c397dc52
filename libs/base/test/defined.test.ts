import assert from 'node:assert/strict';
import { it } from 'node:test';
import { defined } from '@blindfit/base';

it('drops undefined properties and keeps every other one', () => {
  const value = defined<{ a?: number; b?: string; c: null; d: number }>({ a: undefined, b: '', c: null, d: 0 });
  assert.deepEqual(Object.entries(value), [
    ['b', ''],
    ['c', null],
    ['d', 0],
  ]);
});
