import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checker, ContractError, TaskSchema } from '../src/index.ts';

const check = checker('the task is not valid', TaskSchema);
const digest = `sha256:${'a'.repeat(64)}`;
const task = {
  kind: 'forward',
  job: 'job-0123456789ab',
  manifest: digest,
  iteration: 2,
  pair: 0,
  shards: [0, 1],
  weights: digest,
};
const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

test('a task may say which span added it, and need not', () => {
  assert.equal(check(task), task);
  assert.deepEqual(check({ ...task, traceparent }), { ...task, traceparent });
});

test('a field that a newer release added is no error', () => {
  for (const kind of [{ kind: 'start' }, {}, { kind: 'backward', blocks: [0] }, { kind: 'predict', model: digest }]) {
    const newer = { ...task, ...kind, hint: 'from a newer release' };
    assert.equal(check(newer), newer);
  }
});

test('what is no span of W3C Trace Context is refused', () => {
  for (const bad of [
    '',
    traceparent.toUpperCase(),
    traceparent.replace('00-', '01-'),
    traceparent.replace('4bf92f3577b34da6a3ce929d0e0e4736', '0'.repeat(32)),
    traceparent.replace('00f067aa0ba902b7', '0'.repeat(16)),
    `${traceparent}-00`,
    7,
  ]) {
    assert.throws(() => check({ ...task, traceparent: bad }), ContractError, String(bad));
  }
});
