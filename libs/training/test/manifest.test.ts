/** From manifests to plans: what fits, what is refused, which blobs are expected, and what the cache keeps. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { at } from '@blindfit/base';
import type { PredictManifest, TrainingManifest } from '@blindfit/protocol';
import { ContractError } from '@blindfit/protocol/contract-error';
import {
  choosePlan,
  DEFAULT_HYPERPARAMETERS,
  expectedBlobs,
  PlanCache,
  planOf,
  predictionPlan,
  type Plan,
  type PredictionPlan,
} from '@blindfit/training';

const shape = { samples: 100, features: 5, classes: 6 };
const training = choosePlan({
  shape,
  hyperparameters: { ...DEFAULT_HYPERPARAMETERS, iterations: 1 },
  modelLevel: 1,
});
const prediction = predictionPlan(training, 20);

/** Names that are told apart by their place. */
function gridOf(name: string, shards: number, columns: number): string[][] {
  return Array.from({ length: shards }, (_, i) => Array.from({ length: columns }, (__, j) => `${name}-${i}-${j}`));
}

function common(plan: Plan | PredictionPlan) {
  const { parameters, layout } = plan;
  return {
    name: 'a test',
    signer: 'ed25519:x',
    parameters: { ...parameters.toJSON(), dataBits: [...parameters.dataBits] },
    block: { rows: layout.rows, columns: layout.columns, turns: layout.turns },
    keys: {
      relinearisationKey: 'relinearisation',
      galoisKeys: Object.fromEntries(plan.steps.map((step) => [String(step), `galois-${step}`])),
    },
  };
}

function trainingManifest(): TrainingManifest {
  const { keys, ...rest } = common(training);
  const { layout, hyperparameters } = training;
  return {
    ...rest,
    format: 'blindfit-job/1',
    shape: { ...shape },
    grouping: { ...training.grouping },
    schedule: { ...training.schedule },
    hyperparameters: {
      ...hyperparameters,
      sigmoid: { ...hyperparameters.sigmoid, odd: [...hyperparameters.sigmoid.odd] },
    },
    blobs: {
      features: gridOf('x', layout.shards, layout.cells),
      gradientFeatures: gridOf('g', layout.shards, layout.cells),
      labels: gridOf('y', layout.shards, layout.pairs),
      ...keys,
    },
  };
}

function predictManifest(): PredictManifest {
  const { keys, ...rest } = common(prediction);
  const { layout } = prediction;
  return {
    ...rest,
    format: 'blindfit-predict/1',
    model: { job: 'job-x' },
    shape: { ...shape, samples: 20 },
    grouping: { ...prediction.grouping },
    blobs: { features: gridOf('x', layout.shards, layout.cells), ...keys },
  } as unknown as PredictManifest;
}

describe('a manifest', () => {
  it('has the plan that its owner made', () => {
    assert.equal(training.layout.shards > 0 && training.layout.pairs, 3);
    assert.notEqual(training.layout.cells, training.layout.pairs);
    const planned = planOf(trainingManifest());
    assert.equal(planned.kind, 'train');
    assert.deepEqual(planned.plan, training);
    const predicted = planOf(predictManifest());
    assert.equal(predicted.kind, 'predict');
    assert.deepEqual(predicted.plan, prediction);
  });

  for (const [kind, make, grids] of [
    ['training', trainingManifest, ['features', 'gradientFeatures', 'labels']],
    ['prediction', predictManifest, ['features']],
  ] as const) {
    const refused = (change: (manifest: TrainingManifest) => void, message: RegExp): void => {
      const manifest = make() as TrainingManifest;
      change(manifest);
      assert.throws(
        () => planOf(manifest),
        (error) => error instanceof ContractError && message.test(error.message),
        String(message),
      );
    };

    it(`of a ${kind} has as many blobs as its plan`, () => {
      for (const name of grids) {
        const expected = name === 'labels' ? training.layout.pairs : null;
        refused(({ blobs }) => void blobs[name].push([...at(blobs[name], 0, name)]), /has 2 shards, 1 are needed/);
        refused(({ blobs }) => void blobs[name].pop(), /has 0 shards, 1 are needed/);
        refused(({ blobs }) => void blobs[name][0]?.push('one more'), /\[0\] has \d+ entries, \d+ are needed/);
        refused(
          ({ blobs }) => void blobs[name][0]?.pop(),
          new RegExp(`blobs\\.${name}\\[0\\] has \\d+ entries, ${expected ?? '\\d+'} are needed`),
        );
      }
    });

    it(`of a ${kind} has the keys of its plan, and no others`, () => {
      const step = String(at((kind === 'training' ? training : prediction).steps, 0, 'steps'));
      refused(
        ({ blobs }) => void Reflect.deleteProperty(blobs.galoisKeys, step),
        new RegExp(`lacks the rotation steps ${step}; needed`),
      );
      refused(({ blobs }) => void (blobs.galoisKeys['77'] = 'x'), /steps that are not used: 77/);
    });

    it(`of a ${kind} is of at most 8192 shards and 65536 blocks`, () => {
      refused((m) => {
        m.block = { rows: 1, columns: 4096, turns: 1 };
        m.shape.samples = 8193;
      }, /8193 shards of 1 blocks are more than the 8192 shards and 65536 blocks of a job/);
      refused((m) => {
        m.block = { rows: 16, columns: 256, turns: 1 };
        m.shape.samples = 16 * 4097;
        m.shape.features = 4096;
      }, /4097 shards of 16 blocks are more/);
      refused((m) => {
        m.block = { rows: 16, columns: 256, turns: 1 };
        m.shape.samples = 16 * 4096;
        m.shape.features = 4096;
      }, /blobs\.features has 1 shards, 4096 are needed/);
      refused((m) => {
        m.block = { rows: 1, columns: 4096, turns: 1 };
        m.shape.samples = 8192;
      }, /blobs\.features has 1 shards, 8192 are needed/);
    });
  }

  it('names its blobs by place, each with what its header must say', () => {
    const fields = (name: string, blobs: ReturnType<typeof expectedBlobs>) =>
      blobs.filter(({ place }) => place.startsWith(`blobs.${name}`));
    const planned = planOf(trainingManifest());
    const expected = expectedBlobs(planned);
    const { cells, pairs } = training.layout;
    assert.equal(expected.length, 2 * cells + pairs + 1 + training.steps.length);
    for (const [name, short, { level, scale }] of [
      ['features', 'x', training.features],
      ['gradientFeatures', 'g', training.gradientFeatures],
      ['labels', 'y', training.labels],
    ] as const) {
      const digests = gridOf(short, 1, name === 'labels' ? pairs : cells).flat();
      assert.deepEqual(
        fields(`${name}[`, expected),
        digests.map((digest, j) => ({
          digest,
          place: `blobs.${name}[0][${j}]`,
          fields: { kind: 'ciphertext', level, scale },
        })),
      );
    }
    assert.notEqual(training.labels.scale, training.gradientFeatures.scale);
    assert.deepEqual(fields('relinearisationKey', expected), [
      {
        digest: 'relinearisation',
        place: 'blobs.relinearisationKey',
        fields: { kind: 'relinearisation-key' },
      },
    ]);
    assert.deepEqual(
      fields('galoisKeys', expected),
      training.steps.map((step) => ({
        digest: `galois-${step}`,
        place: `blobs.galoisKeys.${step}`,
        fields: { kind: 'galois-key', step },
      })),
    );
    const predicted = expectedBlobs(planOf(predictManifest()));
    assert.equal(predicted.length, prediction.layout.cells + 1 + prediction.steps.length);
    assert.deepEqual(predicted[0]?.fields, { kind: 'ciphertext', ...prediction.features });
  });
});

describe('the cache of plans', () => {
  it('reads a manifest once, keeps those used last, and nothing that failed', async () => {
    const reads: string[] = [];
    let away = true;
    const cache = new PlanCache(async (digest) => {
      reads.push(digest);
      if (digest === 'away' && away) throw new Error('the store is away');
      return Promise.resolve(digest === 'predict' ? predictManifest() : trainingManifest());
    }, 2);
    const a = await cache.get('a');
    assert.equal(await cache.get('a'), a);
    assert.equal(await cache.training('a'), a);
    await cache.get('b');
    await cache.get('a');
    await cache.get('c');
    await cache.get('a');
    assert.deepEqual(reads, ['a', 'b', 'c'], 'b has gone, not a, which was used later');
    await cache.get('b');
    assert.deepEqual(reads, ['a', 'b', 'c', 'b']);
    await assert.rejects(cache.get('away'), /the store is away/);
    away = false;
    assert.equal((await cache.get('away')).kind, 'train');
  });

  it('gives no plan of a prediction where a training is asked for', async () => {
    const cache = new PlanCache(async () => Promise.resolve(predictManifest()), 2);
    assert.equal((await cache.get('p')).kind, 'predict');
    await assert.rejects(cache.training('p'), (error) => {
      assert.ok(error instanceof ContractError);
      assert.match(error.message, /not the manifest of a training job.*p is of kind predict/);
      return true;
    });
  });
});
