import assert from 'node:assert/strict';
import { test } from 'node:test';
import { at } from '@blindfit/base';
import { ContractError } from '@blindfit/protocol/contract-error';
import { choosePlan, DEFAULT_HYPERPARAMETERS, expectedRefresh, type Plan } from '../src/index.ts';

function planOf(iterations: number, refreshEvery: number): Plan {
  const hyperparameters = { ...DEFAULT_HYPERPARAMETERS, iterations };
  return choosePlan({
    shape: { samples: 50, features: 10, classes: 3 },
    hyperparameters,
    refreshEvery,
    ring: 2048,
    security: 'none',
    precision: 1,
  });
}

test('after a segment V comes back at the top, W where the next gradient is rescaled to', () => {
  const plan = planOf(5, 2);
  const { maxLevel } = plan.parameters;
  for (const iteration of [2, 4]) {
    const { weights, momentum } = expectedRefresh(plan, iteration);
    const next = at(plan.iterations, iteration, 'iterations');
    assert.deepEqual(weights, { kind: 'ciphertext', level: next.weights, scale: plan.refreshScale });
    assert.deepEqual(momentum, { kind: 'ciphertext', level: next.gradient + 1, scale: plan.refreshScale });
  }
  const level = (iteration: number): number => {
    const { weights } = expectedRefresh(plan, iteration);
    return weights.kind === 'ciphertext' ? (weights.level ?? NaN) : NaN;
  };
  assert.equal(level(2), maxLevel);
  // The last segment has one iteration: what is not needed is not sent.
  assert.ok(level(4) < maxLevel);
});

test('no refresh follows other iterations', () => {
  const plan = planOf(5, 2);
  for (const iteration of [0, 1, 3, 5, 6, -1, 1.5]) {
    assert.throws(
      () => expectedRefresh(plan, iteration),
      (error) =>
        error instanceof ContractError &&
        error.message.includes(`no refresh follows iteration ${iteration}; one follows every 2 of 5`),
    );
  }
  for (const iteration of [1, 2]) assert.throws(() => expectedRefresh(planOf(2, 2), iteration), ContractError);
});
