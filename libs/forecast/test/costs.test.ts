/** Costs, clusters and caches against figures worked out by hand. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { chainsOf, choosePlan, DEFAULT_HYPERPARAMETERS, packStage, type Plan } from '@blindfit/training';
import { calibratedCost } from '../src/calibration.ts';
import { QUEUE, transferSeconds } from '../src/cluster.ts';
import { localCluster, predict, remoteCluster, secondsOf, simulate, StepCosts, taskGraph } from '../src/index.ts';
import { lesser, lowerQuartile } from '../src/statistics.ts';
import { madeUp, node } from './support.ts';

const near = (actual: number, expected: number): void =>
  assert.ok(Math.abs(actual - expected) <= 1e-9 * Math.max(1, expected), `${actual} instead of ${expected}`);

const plan = choosePlan({
  shape: { samples: 2000, features: 401, classes: 4 },
  hyperparameters: { ...DEFAULT_HYPERPARAMETERS, iterations: 2 },
  vcpus: 64,
  refreshEvery: 1,
});
const { parameters } = plan;
const FREE = { latency: 0, bytesPerSecond: Infinity };
const ONE = { latency: 0, bytesPerSecond: 1 };

describe('the cost of an operation', () => {
  const calibration = madeUp(parameters, { rescale: 2, rescaleProduct: 3, add: 4, copy: 6, negate: 8, rotate: 10 });
  const cost = calibratedCost(calibration);

  it('depends on the polynomials that it works on', () => {
    assert.deepEqual([cost('rescale', 1, 2), cost('rescale', 1, 3)], [2, 3]);
    for (const [operation, two] of [
      ['add', 4],
      ['copy', 6],
      ['negate', 8],
    ] as const)
      assert.deepEqual([cost(operation, 1, 2), cost(operation, 1, 3)], [two, 1.5 * two]);
    assert.deepEqual([cost('rotate', 1, 2), cost('rotate', 1, 3)], [10, 10]);
  });

  it('grows as a key switch for rotations and relinearisations, and with the primes for the rest', () => {
    const { operations } = calibration;
    const one = (seconds: number) => [{ level: 0, seconds }];
    const sparse = {
      ...calibration,
      operations: { ...operations, rotate: one(7), relinearise: one(7), multiply: one(1) },
    };
    assert.deepEqual(
      (['rotate', 'relinearise', 'multiply'] as const).map((name) => secondsOf(sparse, name, 2)),
      [23, 23, 3],
    );
    // Twice as dear at level 2 as the model says: half way between at level 1, and beyond as at level 2.
    const rotate = [0, 2].map((level) => ({ level, seconds: level === 0 ? 7 : 46 }));
    const measured = { ...calibration, operations: { ...operations, rotate } };
    assert.deepEqual(
      [0, 1, 2, 3].map((level) => secondsOf(measured, 'rotate', level)),
      [7, 14 * 1.5, 46, 34 * 2],
    );
    assert.throws(
      () => secondsOf({ ...calibration, operations: { ...operations, add: [] } }, 'add', 0),
      /no measurement of add/,
    );
  });

  it('is the lower quartile of its times, and the less of two passes', () => {
    assert.equal(lowerQuartile([8, 1, 7, 2, 6, 3, 5, 4]), 3);
    assert.equal(lowerQuartile([3, 1, 2]), 1);
    assert.deepEqual(lesser({ add: 1, copy: 5, drop: 7 }, { add: 2, copy: 4, write: 8 }), {
      add: 1,
      copy: 4,
      drop: 7,
      write: 8,
    });
  });
});

describe('a cluster', () => {
  it('has a scheduler thread for every eight compute threads', () => {
    for (const [threads, schedulers] of [
      [1, 1],
      [8, 1],
      [9, 2],
      [64, 8],
      [65, 9],
    ] as const) {
      assert.equal(localCluster(threads).schedulerThreads, schedulers, String(threads));
      assert.equal(remoteCluster(threads, 1e6).schedulerThreads, schedulers, String(threads));
    }
  });

  it('shares cores and files on one machine, and sends every byte between several', () => {
    assert.deepEqual([localCluster(3).threads, localCluster(3).shared], [3, true]);
    assert.deepEqual(localCluster(3).store, { latency: 0, bytesPerSecond: Infinity });
    const remote = remoteCluster(3, 1e6);
    assert.deepEqual([remote.threads, remote.shared], [3, false]);
    assert.deepEqual(remote.owner, { latency: 0.02, bytesPerSecond: 1e6 });
    assert.deepEqual(remote.store, { latency: 0.001, bytesPerSecond: 125e6 });
    assert.equal(transferSeconds({ latency: 2, bytesPerSecond: 5 }, 15), 5);
  });
});

describe('caches of a thread', () => {
  const one = { threads: 1, schedulerThreads: 1 };
  const keys = (text: string, bytes: number) => Array.from(text, (key) => ({ key, seconds: 1, bytes }));

  it('evict the input that was used least recently', () => {
    const spent = (text: string, inputBytes: number): number =>
      simulate(
        keys(text, 10).map((input) => node('worker', 0, [], { inputs: [input] })),
        { ...one, inputBytes },
      ).spent.inputs;
    assert.equal(spent('abaca', 20), 3, 'a is read once');
    assert.equal(spent('abcab', 20), 5);
    assert.equal(spent('abcab', 30), 3);
    assert.equal(spent('abcab', 29), 5);
    assert.equal(spent('abab', 5), 4, 'the input in use stays until the next comes');
  });

  it('evict the least recently used monomial, or all', () => {
    const spent = (text: string, capacity: number, evicts: 'oldest' | 'all'): number =>
      simulate(
        keys(text, 0).map((monomial) => node('worker', 0, [], { monomials: [monomial] })),
        { ...one, monomials: { capacity, evicts } },
      ).spent.inputs;
    for (const evicts of ['oldest', 'all'] as const) {
      assert.equal(spent('abab', 2, evicts), 2, 'both fit');
      assert.equal(spent('abab', 1, evicts), 4);
    }
    assert.equal(spent('abaca', 2, 'oldest'), 3, 'a stays');
    assert.equal(spent('abaca', 2, 'all'), 4, 'a goes with b');
  });
});

describe('contention', () => {
  it('slows workers and schedulers, inputs and the store, not the owner and not the queue', () => {
    const seconds = { compute: 1, store: 2, queue: 4 };
    const inputs = [{ key: 'x', seconds: 8, bytes: 1 }];
    const makespan = (actor: 'worker' | 'scheduler' | 'owner'): number =>
      simulate([node(actor, 0, [], { seconds, inputs })], { threads: 1, schedulerThreads: 1, contention: 3 }).makespan;
    assert.deepEqual([makespan('worker'), makespan('scheduler'), makespan('owner')], [3 * 11 + 4, 3 * 3 + 4, 5]);
  });

  it('grows with the threads of one machine up to all of them', () => {
    const calibration = madeUp(
      parameters,
      { rotate: 1 },
      { contention: 2, machine: { cpu: '', threads: 5, seal: '', node: '', evaluator: 'native (test)' } },
    );
    const slowed = (threads: number): number => {
      const { compute, contention } = predict(plan, calibration, {
        ...remoteCluster(threads, 1e6),
        store: FREE,
      }).training.spent;
      return contention / compute;
    };
    near(slowed(1), 0);
    near(slowed(2), 0.25);
    near(slowed(5), 1);
    near(slowed(40), 1);
  });
});

describe('steps of a plan', () => {
  const polynomial = (level: number): number => (level + 1) * parameters.ring * 8;
  const cold = madeUp(parameters, { readInput: 3 }, { context: 5, keyLoad: 7, keyBytes: 11 });
  const graph = taskGraph(plan, new StepCosts(plan, cold, { store: ONE, owner: FREE }));

  it('read each input as it travels and keep it expanded', () => {
    const level = plan.features.level;
    const [input] = graph.find(({ kind }) => kind === 'forward')?.inputs ?? [];
    assert.deepEqual(input, {
      key: 'features 0 0',
      seconds: 3 + polynomial(level),
      bytes: 2 * polynomial(level),
    });
  });

  it('begin with the parameters and every key of the plan, the relinearisation key among them', () => {
    near(new StepCosts(plan, cold, { store: ONE, owner: FREE }).setup, 5 + (plan.steps.length + 1) * (7 + 11));
  });

  it('take the time of the queue for every task, and add all children of a stage', () => {
    for (const { kind, seconds } of graph)
      if (kind !== 'wait')
        assert.equal(seconds.queue, ['start', 'forward', 'backward'].includes(kind) ? QUEUE.task : 0, kind);
    const waits = graph.filter(({ kind }) => kind === 'wait').map(({ seconds }) => seconds.queue);
    const count = (wanted: number): number => waits.filter((each) => Math.abs(each - wanted) < 1e-12).length;
    const chains = chainsOf(plan).length;
    const tasks = graph.filter(({ actor }) => actor === 'worker').length;
    // Two stages an iteration, each with its children of one chain.
    const added = waits.filter((each) => each > 0 && Math.abs((each / QUEUE.child) % 1) < 1e-9 && each < QUEUE.step);
    assert.ok(tasks > 4 * chains, 'a stage has several children');
    near(
      added.reduce((sum, each) => sum + each, 0),
      tasks * QUEUE.child,
    );
    assert.equal(count(QUEUE.notify), chains);
    assert.equal(count(QUEUE.refresh), chains);
    assert.equal(packStage(plan).length, graph.filter(({ kind }) => kind === 'pack').length);
  });
});

describe('the owner before the training', () => {
  it('makes every key, encrypts every cell twice and every pair, and uploads each blob', () => {
    const calibration = madeUp(parameters, { encrypt: 2, encryptPair: 5 }, { keyMake: 3 });
    const cluster = { ...remoteCluster(1, 1e6), owner: { latency: 10, bytesPerSecond: 4 } };
    const { layout, steps, bytes }: Plan = plan;
    const cells = layout.shards * layout.cells;
    const pairs = layout.shards * layout.pairs;
    const { keys, encrypt, upload } = predict(plan, calibration, cluster).owner;
    near(keys, (steps.length + 1) * 3);
    near(encrypt, cells * 4 + pairs * 5);
    // Features and gradient features by cell, labels by pair, the keys; one more round trip for the last byte.
    near(upload, (2 * cells + pairs + steps.length + 1 + 1) * 10 + (bytes.data + bytes.keys) / 4);
  });

  it('uses the caches of the evaluator that was measured', () => {
    // Native threads keep inputs on disk; SEAL's memory holds fewer, so some are read again.
    const big = choosePlan({
      shape: { samples: 20_000, features: 401, classes: 10 },
      hyperparameters: DEFAULT_HYPERPARAMETERS,
      vcpus: 2,
    });
    const inputs = (evaluator: string): number => {
      const machine = { cpu: '', threads: 64, seal: '', node: '', evaluator };
      const calibration = madeUp(big.parameters, { readInput: 1 }, { machine });
      return predict(big, calibration, localCluster(1)).training.spent.inputs;
    };
    assert.ok(inputs('native (test)') < inputs('node-seal (WebAssembly)'));
  });
});
