/** What commands say of outages, and of jobs that were left because of one. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { InvalidArgumentError } from 'commander';
import { ApiProblemError } from '@blindfit/client';
import { OwnerError } from '@blindfit/owner';
import { millisecondsOf } from '../src/duration.ts';
import { EXIT, reportError } from '../src/errors.ts';
import { patienceOf, withComeback } from '../src/give-up-after.ts';

it('an outage is one line at its begin, and one at its end', () => {
  const lines: string[] = [];
  let now = 5_000;
  const { patienceMs, onOutage } = patienceOf({}, { log: (line) => lines.push(line) }, () => now);
  assert.equal(patienceMs, 3_600_000);
  onOutage?.(new Error('nothing listens there'));
  now += 90_000;
  onOutage?.(undefined);
  assert.deepEqual(lines, [
    'the servers are away: nothing listens there; waiting for up to 1 h 00 min (--give-up-after)',
    'the servers are back after 1 min 30 s',
  ]);
  assert.equal(patienceOf({ giveUpAfter: 30_000 }, { log: () => undefined }).patienceMs, 30_000);
});

it('a job that was left names the command to go on with, and exits with 75', () => {
  const left = new OwnerError('the API cannot be reached', { code: 'GAVE_UP', fault: 'world' });
  let said = '';
  const status = reportError(withComeback(left, 'blindfit attach job-1'), (text) => (said += text), {});
  assert.equal(said, 'error: the API cannot be reached\nhint: when the servers are back: blindfit attach job-1\n');
  assert.equal(status, 75);
  assert.equal(status, EXIT.gaveUp);
  const others = [new OwnerError('failed'), new ApiProblemError({ status: 503, code: 'X', title: 'x', detail: 'x' })];
  for (const error of others) assert.equal(withComeback(error, 'blindfit attach job-1'), error);
});

it('times have a unit', () => {
  const cases = { '1s': 1_000, '30m': 1_800_000, '12h': 43_200_000, '90d': 7_776_000_000 };
  for (const [text, expected] of Object.entries(cases)) assert.equal(millisecondsOf(text), expected);
  for (const text of ['', '0s', '1', 's', '1.5h', '-1h', '100000s', '1w'])
    assert.throws(() => millisecondsOf(text), InvalidArgumentError);
});
