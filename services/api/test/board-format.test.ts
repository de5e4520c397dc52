/** Titles and shortened values of queue entries on the operators' page. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shortened, titleOf } from '../src/board-format.ts';

test('lists of six are shown whole, of seven the beginning, digests by 12 digits', () => {
  const six = [1, 2, 3, 4, 5, 6];
  assert.deepEqual(shortened(six), six);
  assert.deepEqual(shortened([...six, 7, 8]), [...six, '… 2 more']);
  const digits = '0123456789abcdef'.repeat(4);
  assert.deepEqual(shortened({ inputs: [`sha256:${digits}`, `in sha256:${digits}.`], count: 3, none: null }), {
    inputs: ['sha256:0123456789ab…', 'in sha256:0123456789ab….'],
    count: 3,
    none: null,
  });
  assert.equal(shortened(`sha256:${digits.slice(1)}`), `sha256:${digits.slice(1)}`, 'too short for a digest');
});

test('a title names kind, job, iteration, pair and ranges', () => {
  const title = (data: unknown, name = 'task'): string => titleOf({ id: 'job-0123456789ab.x', name, data });
  const start = 'forward · job 01234567… · iteration 3 · pair 2';
  const forward = { kind: 'forward', iteration: 3, pair: 2 };
  assert.equal(title({ ...forward, shards: [0, 1, 2, 3] }), `${start} · shards 0-3`);
  assert.equal(title({ ...forward, shards: [4] }), `${start} · shard 4`);
  assert.equal(title({ ...forward, blocks: [0, 2, 5] }), `${start} · blocks 0,2,5`);
  assert.equal(title({ ...forward, blocks: [0, 2, 4, 6, 8, 10, 12] }), `${start} · blocks 0,2,4,6,8,10,…`);
  assert.equal(title({ ...forward, blocks: [] }), start);
  assert.equal(title({ chain: 2, segment: 0 }), 'chain 2 · job 01234567… · segment 0');
  assert.equal(title({}, 'finish'), 'finish · job 01234567…');
  assert.equal(title(undefined, 'job'), 'begin · job 01234567…');
});
