import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type OperationCounts } from '@blindfit/he';
import {
  chainsOf,
  choosePlan,
  DEFAULT_HYPERPARAMETERS,
  type Hyperparameters,
  type Plan,
  type PlanRequest,
} from '@blindfit/training';
import {
  criticalPath,
  efficiency,
  localCluster,
  losses,
  predict,
  remoteCluster,
  StepCosts,
  taskGraph,
  type Node,
  type Operation,
} from '../src/index.ts';
import { madeUp } from './support.ts';

const hyperparameters = (more: Partial<Hyperparameters>): Hyperparameters => ({ ...DEFAULT_HYPERPARAMETERS, ...more });

const REQUESTS: Readonly<Record<string, PlanRequest>> = {
  'two iterations': {
    shape: { samples: 128, features: 401, classes: 10 },
    hyperparameters: DEFAULT_HYPERPARAMETERS,
    vcpus: 2,
  },
  'a start other than 0 and many threads': {
    shape: { samples: 300, features: 65, classes: 7 },
    hyperparameters: hyperparameters({ initialWeight: 0.0128 }),
    vcpus: 16,
  },
  refreshes: {
    shape: { samples: 256, features: 64, classes: 10 },
    hyperparameters: hyperparameters({ iterations: 5 }),
    vcpus: 8,
    refreshEvery: 2,
  },
  'a refresh after every iteration, a model to predict with': {
    shape: { samples: 256, features: 64, classes: 10 },
    hyperparameters: hyperparameters({ iterations: 4 }),
    refreshEvery: 1,
    modelLevel: 1,
  },
  batches: {
    shape: { samples: 700, features: 64, classes: 4 },
    hyperparameters: hyperparameters({ iterations: 6, batch: { size: 256, seed: 7 } }),
    vcpus: 4,
    refreshEvery: 2,
  },
};

const CHEAP = localCluster(2);

function graphOf(plan: Plan, seconds: Partial<Record<Operation, number>>): Node[] {
  return taskGraph(plan, new StepCosts(plan, madeUp(plan.parameters, seconds), CHEAP));
}

function compute(graph: readonly Node[]): number {
  return graph.filter(({ actor }) => actor !== 'owner').reduce((sum, node) => sum + node.seconds.compute, 0);
}

const COUNTED: Readonly<Record<keyof OperationCounts, readonly Operation[]>> = {
  rotations: ['rotate'],
  relinearisations: ['relinearise'],
  multiplications: ['multiply', 'square'],
  plainMultiplications: ['multiplyPlain'],
  rescales: ['rescale', 'rescaleProduct'],
};

for (const [name, request] of Object.entries(REQUESTS)) {
  describe(name, () => {
    const plan = choosePlan(request);

    it('has as many tasks for workers as a job reports', () => {
      assert.equal(graphOf(plan, {}).filter(({ actor }) => actor === 'worker').length, plan.tasks);
    });

    for (const [counted, operations] of Object.entries(COUNTED)) {
      it(`spends its time on the ${counted} that the plan counts`, () => {
        const graph = graphOf(plan, Object.fromEntries(operations.map((operation) => [operation, 1])));
        assert.equal(compute(graph), plan.operations[counted as keyof OperationCounts]);
      });
    }

    it('refreshes every chain at the end of every segment but the last', () => {
      const chains = chainsOf(plan).length;
      assert.equal(
        graphOf(plan, {}).filter(({ actor }) => actor === 'owner').length,
        (plan.segments.length - 1) * chains,
      );
    });
  });
}

describe('a prediction', () => {
  const plan = choosePlan({
    shape: { samples: 1024, features: 65, classes: 20 },
    hyperparameters: hyperparameters({ iterations: 4 }),
    vcpus: 64,
    refreshEvery: 2,
  });
  const calibration = madeUp(
    plan.parameters,
    {
      rotate: 0.03,
      relinearise: 0.03,
      multiply: 0.004,
      encryptPair: 0.02,
      decrypt: 0.01,
      read: 0.001,
      write: 0.002,
      readInput: 0.005,
    },
    { keyLoad: 0.05, context: 1, keyBytes: 1e7 },
  );

  it('is never below the critical path nor the work over the threads, and no slower on more threads', () => {
    let before = Infinity;
    for (let threads = 1; threads <= 256; threads *= 2) {
      const {
        training,
        criticalPath: path,
        cold,
        loadKeys,
      } = predict(plan, calibration, { ...remoteCluster(threads, 1e7), schedulerThreads: 1 });
      assert.ok(training.makespan >= path);
      assert.ok(
        training.makespan >= (training.spent.compute + training.spent.store + training.spent.queue) / threads - 1e-9,
      );
      assert.ok(training.makespan <= before * 1.001, `${threads} threads: ${training.makespan}, ${before} before`);
      assert.ok(cold > training.makespan && cold <= training.makespan + loadKeys + 1e-9);
      before = training.makespan;
    }
  });

  it('names losses that make 1 together with the efficiency', () => {
    const one = predict(plan, calibration, remoteCluster(1, 1e7)).training;
    const many = predict(plan, calibration, remoteCluster(64, 1e7)).training;
    const lost = losses(one, many, 64);
    assert.ok(Math.abs(lost.reduce((sum, { share }) => sum + share, 0) + efficiency(one, many, 64) - 1) < 1e-9);
    assert.deepEqual(
      lost.map(({ share }) => share),
      lost.map(({ share }) => share).sort((a, b) => b - a),
    );
    assert.equal(efficiency(one, one, 1), 1);
  });

  it('waits for a slow owner', () => {
    const path = (bytesPerSecond: number): number =>
      criticalPath(taskGraph(plan, new StepCosts(plan, calibration, remoteCluster(4, bytesPerSecond))));
    // Down: the weights of the last iteration and of the one before, two polynomials each at the last level.
    const bytes = plan.bytes.refreshUp / chainsOf(plan).length + 4 * plan.parameters.ring * 8;
    const expected = (plan.segments.length - 1) * bytes * (1e-4 - 1e-8);
    const found = path(1e4) - path(1e8);
    assert.ok(Math.abs(found - expected) < 1e-6 * expected, `${found} instead of ${expected}`);
  });

  it('is slower where schedulers and the owner take their time from the workers', () => {
    const local = localCluster(2);
    const shared = predict(plan, calibration, local).training;
    const apart = predict(plan, calibration, { ...local, shared: false }).training;
    assert.equal(apart.spent.contention, 0);
    assert.ok(shared.spent.contention > 0 && shared.makespan > apart.makespan);
    assert.ok(shared.makespan < 1.5 * apart.makespan);
  });

  it('refuses a calibration of other parameters', () => {
    assert.throws(() => predict(plan, { ...calibration, fingerprint: '00' }, CHEAP), /other parameters/);
  });
});
