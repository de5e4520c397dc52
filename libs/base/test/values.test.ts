/** Values that must be there, and what errors say of themselves. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { at, BlindfitError, errnoOf, messageOf, messageWithHint, required, valueOf } from '@blindfit/base';

test('what is missing throws and names itself; zero and empty text are not missing', () => {
  assert.equal(at([0, 1], 0, 'list'), 0);
  assert.equal(at(Float64Array.of(5), 0, 'list'), 5);
  for (const index of [-1, 2, NaN])
    assert.throws(() => at([0, 1], index, 'the list'), { name: 'RangeError', message: /in the list: it has 2$/ });
  assert.throws(() => at([undefined], 0, 'the list'), RangeError);
  for (const value of [0, '', false, null]) assert.equal(required(value, 'it'), value);
  assert.throws(() => required(undefined, 'the thing'), { name: 'RangeError', message: 'the thing is missing' });
  const map = new Map([['a', 0]]);
  assert.equal(valueOf(map, 'a', 'the map'), 0);
  assert.throws(() => valueOf(map, 'b', 'the map'), { name: 'RangeError', message: 'no b in the map' });
});

test('an error has a code, and is neither worth another attempt nor of the host unless it says so', () => {
  class OwnError extends BlindfitError {}
  const { name, code, message, hint, retryable, fault, cause } = new OwnError('CODE', 'text');
  assert.deepEqual(
    [name, code, message, hint, retryable, fault, cause],
    ['OwnError', 'CODE', 'text', undefined, false, 'task', undefined],
  );
  assert.ok(!('cause' in new OwnError('CODE', 'text')));
  const full = new OwnError('CODE', 'text', { hint: 'do it', retryable: true, fault: 'host', cause: 7 });
  assert.deepEqual([full.hint, full.retryable, full.fault, full.cause], ['do it', true, 'host', 7]);
});

test('a hint is told once', () => {
  assert.equal(messageWithHint(new BlindfitError('C', 'text', { hint: 'do it' })), 'text; do it');
  assert.equal(messageWithHint(new BlindfitError('C', 'text: do it now', { hint: 'do it' })), 'text: do it now');
  assert.equal(messageWithHint(new BlindfitError('C', 'text')), 'text');
  assert.equal(messageWithHint(new TypeError('text')), 'text');
  assert.deepEqual(['x', 7, undefined].map(messageOf), ['x', '7', 'undefined']);
});

test('codes of the system are told from codes of others', () => {
  const of = (more: object): string | undefined => errnoOf(Object.assign(new Error('x'), more));
  assert.equal(of({ code: 'ENOENT', syscall: 'open' }), 'ENOENT');
  assert.equal(of({ code: 'ENOENT', errno: -2 }), 'ENOENT');
  for (const more of [{ code: 'ERR_X' }, { syscall: 'open' }, { code: 2, errno: -2 }])
    assert.equal(of(more), undefined);
  assert.equal(errnoOf({ code: 'ENOENT', errno: -2 }), undefined);
});
