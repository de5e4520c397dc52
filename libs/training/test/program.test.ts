/** The program of a job: names and order of its steps, what they need, and how many there are. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  after,
  bind,
  choosePlan,
  DEFAULT_HYPERPARAMETERS,
  derivePlan,
  packStage,
  segmentStages,
  stepsOf,
  type Hyperparameters,
  type Plan,
  type Step,
} from '@blindfit/training';

/** 40 samples in 3 shards, 100 features in 2 blocks; tasks of 2 shards and 1 block. */
function planWith(
  more: Partial<Hyperparameters>,
  refreshEvery: number,
  {
    classes = 3,
    pairsPerChain = 1,
    modelLevel = 0,
  }: { classes?: number; pairsPerChain?: number; modelLevel?: 0 | 1 } = {},
): Plan {
  const hyperparameters = { ...DEFAULT_HYPERPARAMETERS, ...more };
  const shape = { samples: 40, features: 100, classes };
  const request = { shape, hyperparameters, refreshEvery, modelLevel };
  const { parameters } = choosePlan({ ...request, ring: 2048, security: 'none', precision: 10 });
  const grouping = { blocksPerTask: 1, shardsPerTask: 2, pairsPerChain };
  const block = { rows: 16, columns: 64 };
  return derivePlan(parameters, block, shape, hyperparameters, grouping, { refreshEvery, modelLevel });
}

function idsOf(plan: Plan, kinds?: readonly string[]): string[] {
  return [...stepsOf(plan)].filter(({ kind }) => kinds?.includes(kind) ?? true).map(({ id }) => id);
}

describe('steps', () => {
  it('have the names that task ids are made of, in this order', () => {
    assert.deepEqual(idsOf(planWith({ iterations: 2, initialWeight: 0.01 }, 2, { classes: 2 })), [
      'start.0',
      'start.1',
      'backward.1.0.0.0',
      'backward.1.0.0.1',
      'backward.1.0.1.0',
      'backward.1.0.1.1',
      'step.1.0',
      'forward.2.0.0',
      'forward.2.0.1',
      'backward.2.0.0.0',
      'backward.2.0.0.1',
      'backward.2.0.1.0',
      'backward.2.0.1.1',
      'step.2.0',
      'finish.2.0',
      'pack.1',
      'pack.2',
      'pack.3',
    ]);
  });

  it('of a job with refreshes publish V and wait for the owner, and V is not packed', () => {
    const ids = idsOf(planWith({ iterations: 3 }, 2), ['step', 'publish', 'refresh', 'finish', 'pack']);
    const chain = (number: number): string[] =>
      ['step.1', 'step.2', 'publish.2', 'publish.1', 'refresh.2', 'step.3', 'finish.3'].map((id) => `${id}.${number}`);
    assert.deepEqual(ids, [...chain(0), ...chain(1), 'pack.4']);
  });

  it('of the first refresh after one iteration have no V before', () => {
    const steps = [...stepsOf(planWith({ iterations: 3 }, 1))];
    assert.deepEqual(
      steps.filter((step) => step.kind === 'publish' && step.chain === 0).map(({ id }) => id),
      ['publish.1.0', 'publish.2.0', 'publish.1.0.1'],
      'V_1 is published for the owner, and once more as it came back',
    );
  });

  it('pack the model last, at its level, and V of every iteration at level 0', () => {
    for (const modelLevel of [0, 1] as const) {
      const plan = planWith({ iterations: 2 }, 2, { modelLevel });
      const packs = packStage(plan).map(({ id, iteration, level, to }) => [id, iteration, level, to]);
      const levels = plan.iterations.map(({ gradient }) => gradient);
      assert.deepEqual(packs, [
        ['pack.1', 1, levels[0], 0],
        ['pack.2', 2, levels[1], 0],
        ['pack.3', 3, modelLevel, modelLevel],
      ]);
    }
  });

  it('of several pairs in a chain share a step', () => {
    const plan = planWith({ iterations: 2 }, 1, { classes: 8, pairsPerChain: 2 });
    const [step] = [...stepsOf(plan)].filter(({ kind }) => kind === 'step');
    assert.ok(step?.kind === 'step');
    assert.deepEqual([...new Set(step.gradients.map(({ pair }) => pair))], [0, 1]);
    assert.equal(step.gradients.length, 2 * 2 * 2, 'pairs x groups of shards x groups of blocks');
  });
});

for (const [name, plan] of [
  ['without refreshes', planWith({ iterations: 2 }, 2)],
  ['with a constant start', planWith({ iterations: 2, initialWeight: 0.01 }, 2)],
  ['with refreshes', planWith({ iterations: 5 }, 2)],
  ['with a refresh after every iteration', planWith({ iterations: 3 }, 1, { modelLevel: 1 })],
  ['with batches', planWith({ iterations: 4, batch: { size: 25, seed: 3 } }, 2, { classes: 8, pairsPerChain: 2 })],
] as const) {
  describe(`a job ${name}`, () => {
    const steps: readonly Step[] = [...stepsOf(plan)];

    it('has every step after those that it needs', () => {
      const done = new Set<string>();
      for (const step of steps) {
        for (const id of after(step)) assert.ok(done.has(id), `${step.id} needs ${id}`);
        done.add(step.id);
      }
    });

    it('uses every result but the model and the packed V', () => {
      const used = new Set(steps.flatMap((step) => after(step)));
      for (const { id, kind } of steps) assert.ok(kind === 'pack' || used.has(id), id);
    });

    it('has as many tasks for workers as its plan says', () => {
      const kinds = ['start', 'forward', 'backward'];
      assert.equal(steps.filter(({ kind }) => kinds.includes(kind)).length, plan.tasks);
    });

    it('has stages whose steps do not need each other', () => {
      for (const segment of plan.segments.keys()) {
        for (const stage of segmentStages(plan, 0, segment)) {
          const ids = new Set(stage.map(({ id }) => id));
          for (const step of stage)
            assert.ok(
              after(step).every((id) => !ids.has(id)),
              step.id,
            );
        }
      }
    });
  });
}

describe('bind', () => {
  const steps = [...stepsOf(planWith({ iterations: 3 }, 2))];
  const outputsOf = (step: string): string[] => [`${step}/0`, `${step}/1`];

  it('replaces names by results: V first, W second, errors as they are', () => {
    const bound = (id: string): unknown => {
      const step = steps.find((each) => each.id === id);
      assert.ok(step !== undefined);
      return bind(step, outputsOf);
    };
    assert.deepEqual(bound('forward.3.1.1'), {
      kind: 'forward',
      iteration: 3,
      pair: 1,
      shards: [2],
      weights: 'refresh.2.1/0',
    });
    assert.deepEqual(bound('backward.3.0.0.1'), {
      kind: 'backward',
      iteration: 3,
      pair: 0,
      shards: [0, 1],
      blocks: [1],
      errors: ['forward.3.0.0/0', 'forward.3.0.0/1'],
    });
    assert.deepEqual(bound('finish.3.0'), {
      kind: 'finish',
      chain: 0,
      segment: 1,
      history: ['step.3.0/0'],
      fresh: { weights: 'refresh.2.0/0', momentum: 'refresh.2.0/1' },
      iteration: 3,
    });
    assert.deepEqual(bound('refresh.2.1'), {
      kind: 'refresh',
      chain: 1,
      iteration: 2,
      weights: 'publish.2.1/0',
      previous: 'publish.1.1/0',
    });
  });

  it('refuses a result that is missing', () => {
    const step = steps.find(({ kind }) => kind === 'forward');
    assert.ok(step !== undefined);
    assert.throws(() => bind(step, () => []), /no element 0 in results of step\.1\.0/);
  });
});
