/** What the planner expects of noise, and what it keeps plans from. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as training from '@blindfit/training';
import { planOf, type PlanOptions } from './setup.ts';

const PAPER = { samples: 128, features: 401, classes: 10 } as const;

describe('the planned error', () => {
  it('grows with the noise that the circuits make', () => {
    const of = (options: Partial<PlanOptions>): number =>
      training.expectedError(planOf({ ...PAPER, security: '128', ...options }));
    const zero = of({ ring: 16384 });
    assert.ok(zero < 5e-6, String(zero));
    // Primes of at most 50 bits are the default where they are precise enough; longer ones are there for the asking.
    const fine = training.expectedError(
      training.choosePlan({
        shape: { samples: 128, features: 401, classes: 10 },
        hyperparameters: training.DEFAULT_HYPERPARAMETERS,
        ring: 16384,
        precision: 1e-6,
      }),
    );
    assert.ok(fine < 1e-6 && fine < zero, String(fine));
    const constant = of({ ring: 16384, initialWeight: 0.0128 });
    assert.ok(constant > zero && constant < 1e-5, String(constant));
  });

  it('keeps plans from parameters that are too coarse', () => {
    const shape = { samples: 128, features: 401, classes: 10 };
    const hyperparameters = training.PAPER_HYPERPARAMETERS;
    const fine = training.choosePlan({ shape, hyperparameters, precision: 2e-6, refreshEvery: 2 });
    const coarse = training.choosePlan({ shape, hyperparameters, precision: 1e-5, refreshEvery: 2 });
    assert.equal(coarse.parameters.ring, 16384);
    assert.equal(fine.parameters.ring, 32768);
    assert.ok(training.expectedError(fine) <= 2e-6);
    assert.throws(
      () => training.choosePlan({ shape, hyperparameters, precision: 1e-16, refreshEvery: 2 }),
      training.PlanError,
    );
  });
});
