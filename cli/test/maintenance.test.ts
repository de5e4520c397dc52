import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sentence } from '../src/commands/maintenance.ts';

test('the state of maintenance is a sentence', () => {
  const since = '2026-01-31T10:00:00.000Z';
  assert.equal(sentence({ on: false }), 'New jobs are accepted.');
  assert.equal(
    sentence({ on: true, since, reason: 'new disks' }),
    `New jobs are refused since ${since}; those that were accepted wait. Reason: new disks`,
  );
  assert.equal(
    sentence({ on: true, drain: true, since }),
    `New jobs are refused since ${since}; those that were accepted go on.`,
  );
});
