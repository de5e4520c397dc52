import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KeysetError, OwnerError } from '@blindfit/owner';
import { CliError, InterruptedError, reportError, UsageError } from '../src/errors.ts';

test('errors become a message, a hint and a status', () => {
  const report = (error: unknown): [number, string] => {
    let text = '';
    const status = reportError(error, (part) => (text += part), {});
    return [status, text];
  };
  assert.deepEqual(report(new CliError('no', 'try')), [1, 'error: no\nhint: try\n']);
  assert.deepEqual(report(new UsageError('no')), [2, 'error: no\n']);
  assert.deepEqual(report(new OwnerError('no', { code: 'OWNER_REQUEST', hint: 'try' })), [2, 'error: no\nhint: try\n']);
  assert.equal(report(new OwnerError('no'))[0], 1);
  assert.deepEqual(report(new OwnerError('`keys` x is no directory', { hint: 'use `sigmoidRange` 9, not `x`' })), [
    1,
    'error: --keys x is no directory\nhint: use --sigmoid-range 9, not `x`\n',
  ]);
  assert.deepEqual(report(new KeysetError('KEYSET_BUSY', 'no', 'try')), [1, 'error: no\nhint: try\n']);
  assert.deepEqual(report(new KeysetError('KEYSET_BUSY', 'no', '')), [1, 'error: no\n']);
  assert.deepEqual(report(new InterruptedError('SIGINT')), [130, '']);
  assert.deepEqual(report(new InterruptedError('SIGTERM')), [143, '']);
  assert.deepEqual(report(new Error('\u001b]0;title\u0007')), [1, 'error: \uFFFD]0;title\uFFFD\n']);
  assert.match(
    report(new TypeError('x is not a function'))[1],
    /^error: x is not a function\nhint: this looks like a bug.*BLINDFIT_DEBUG=1/,
  );
  assert.match(report('thrown text')[1], /^error: thrown text\nhint: this looks like a bug/);
});
