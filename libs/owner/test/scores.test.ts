/** Scores from a server that lies: withheld, replayed, out of range, of other keys, or where there are no samples. */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { at, digestOf, required } from '@blindfit/base';
import { wrap } from '@blindfit/he';
import { temporaryDirectory } from '@blindfit/testkit';
import { derivePredictionPlan, type PredictionPlan } from '@blindfit/training';
import { decryptScores, encryptSamples, ModelError, type Keyset } from '../src/index.ts';
import { openKeyset } from '../src/node/index.ts';
import { planOf } from './setup.ts';

const SHAPE = { samples: 300, features: 3, classes: 3 };
const BLOCK = { rows: 256, columns: 4 };
const trained = planOf({ ...SHAPE, ring: 2048, block: BLOCK, modelLevel: 1 });
const plan = derivePredictionPlan(trained.parameters, BLOCK, SHAPE, { shardsPerTask: 1 });
const home = await temporaryDirectory();
const keyset = await openKeyset({ directory: home.path, plan, create: true });
after(async () => {
  keyset[Symbol.dispose]();
  await home[Symbol.asyncDispose]();
});

/** A score that tells sample and class. */
const scoreOf = (sample: number, label: number): number => (sample % 50) / 10 - label;

type Slots = (sample: number, label: number) => number;

/** One ciphertext of scores as a worker returns it. `padding`: what it holds where there is no sample. */
function ciphertext(owner: Keyset, shard: number, pair: number, score: Slots = scoreOf, padding = 0): Uint8Array {
  const { layout, parameters } = plan;
  const slots = (label: number): Float64Array => {
    const values = new Float64Array(parameters.slots);
    for (let place = 0; place < layout.samplesPerShard; place++) {
      const sample = shard * layout.samplesPerShard + place;
      values[place * layout.width] = sample < layout.samples ? score(sample, label) : padding;
    }
    return values;
  };
  const scale = 2 ** parameters.scaleBits;
  const second = 2 * pair + 1 < layout.classes ? slots(2 * pair + 1) : undefined;
  using loaded = owner.backend.loadCiphertext(owner.secret.encryptToBytes(slots(2 * pair), 0, scale, second));
  return wrap(parameters, { kind: 'ciphertext', level: 0, scale }, owner.backend.saveCiphertext(loaded));
}

/** Opens what a server returns: by shard, then by pair. */
function open(grid: readonly (readonly Uint8Array[])[], by: PredictionPlan = plan): Promise<Float64Array> {
  const blobs = new Map(grid.flat().map((bytes) => [digestOf(bytes) as string, bytes]));
  const digests = grid.map((row) => row.map((bytes) => digestOf(bytes)));
  return decryptScores(keyset, by, digests, (digest) => Promise.resolve(required(blobs.get(digest), digest)));
}

const honest = [0, 1].map((shard) => [0, 1].map((pair) => ciphertext(keyset, shard, pair)));
const cell = (shard: number, pair: number): Uint8Array => at(at(honest, shard, 'shards'), pair, 'pairs');
const refused = (grid: readonly (readonly Uint8Array[])[], message: RegExp): Promise<void> =>
  assert.rejects(open(grid), (error) => error instanceof ModelError && message.test(error.message));

it('samples are encrypted shard by shard, in the manifest’s order, and told of one by one', async () => {
  const x = new Float64Array(SHAPE.samples * SHAPE.features).fill(0.5);
  const steps: [number, number][] = [];
  const places: string[] = [];
  const grid = await encryptSamples(
    keyset,
    plan,
    { x, ...SHAPE },
    {
      store: ({ place, digest, bytes }) => {
        assert.equal(digestOf(bytes), digest);
        return Promise.resolve(void places.push(place));
      },
      onProgress: (...step) => void steps.push(step),
    },
  );
  assert.deepEqual(
    grid.map((row) => row.length),
    [1, 1],
  );
  assert.deepEqual(steps, [
    [0, 2],
    [1, 2],
    [2, 2],
  ]);
  assert.deepEqual(places, ['blobs.features[0][0]', 'blobs.features[1][0]']);
});

describe('scores of a prediction', () => {
  it('are put where sample and class belong', async () => {
    const opened = await open(honest);
    assert.equal(opened.length, SHAPE.samples * SHAPE.classes);
    for (let sample = 0; sample < SHAPE.samples; sample++)
      for (let label = 0; label < SHAPE.classes; label++)
        assert.ok(Math.abs(at(opened, sample * SHAPE.classes + label, 'scores') - scoreOf(sample, label)) < 1e-3);
  });

  it('are refused when some are withheld, or there are too many', async () => {
    await refused(honest.slice(1), /scores of 1 x 2 ciphertexts/);
    await refused([...honest, [cell(0, 0), cell(0, 1)]], /scores of 3 x 2/);
    await refused([[cell(0, 0), cell(0, 1)], [cell(1, 0)]], /scores of 2 x 1/);
  });

  it('are refused when one is given again in place of another', async () => {
    await refused(
      [
        [cell(0, 0), cell(0, 0)],
        [cell(1, 0), cell(1, 1)],
      ],
      /the same ciphertext twice/,
    );
    await refused(
      [
        [cell(0, 0), cell(0, 1)],
        [cell(0, 0), cell(1, 1)],
      ],
      /the same ciphertext twice/,
    );
  });

  it('are refused when shards are swapped: scores stand where there is no sample', async () => {
    await refused([...honest].reverse(), /where there is no sample/);
  });

  it('are refused beyond the range, and just below it taken', async () => {
    const { maxScore } = plan;
    const extreme = (value: number): Uint8Array => ciphertext(keyset, 0, 1, (sample) => (sample === 7 ? value : 0));
    for (const value of [0.999 * maxScore, -0.999 * maxScore])
      await open([
        [cell(0, 0), extreme(value)],
        [cell(1, 0), cell(1, 1)],
      ]);
    for (const value of [1.001 * maxScore, -1.001 * maxScore])
      await refused(
        [
          [cell(0, 0), extreme(value)],
          [cell(1, 0), cell(1, 1)],
        ],
        /score of sample 8 for class 2 is/,
      );
  });

  it('are refused when places without a sample hold more than noise', async () => {
    const last = (padding: number): Uint8Array => ciphertext(keyset, 1, 1, scoreOf, padding);
    await open([
      [cell(0, 0), cell(0, 1)],
      [cell(1, 0), last(0.049)],
    ]);
    for (const padding of [0.051, -0.051])
      await refused(
        [
          [cell(0, 0), cell(0, 1)],
          [cell(1, 0), last(padding)],
        ],
        /where there is no sample/,
      );
  });

  it('of other keys are refused', async () => {
    await using other = await temporaryDirectory();
    using strangers = await openKeyset({ directory: other.path, plan, create: true });
    await assert.rejects(
      open([
        [cell(0, 0), ciphertext(strangers, 0, 1)],
        [cell(1, 0), cell(1, 1)],
      ]),
    );
  });
});
