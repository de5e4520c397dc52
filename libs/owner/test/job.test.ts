import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { at, messageWithHint } from '@blindfit/base';
import * as he from '@blindfit/he';
import { ContractError, readTrainingManifest } from '@blindfit/protocol';
import { temporaryDirectory } from '@blindfit/testkit';
import { expectedBlobs, trainingPlanOf } from '@blindfit/training';
import * as training from '@blindfit/training';
import {
  countBlobs,
  decryptModel,
  encryptJob,
  JobDataError,
  manifestFor,
  ModelError,
  type DataBlobs,
  type EncryptedBlob,
  type Keyset,
} from '../src/index.ts';
import { openKeyset } from '../src/node/index.ts';
import { largestError, planOf, randomData } from './setup.ts';

interface Case {
  readonly name: string;
  readonly plan: training.Plan;
}

const SMALL_PLAN = planOf({
  samples: 21,
  features: 40,
  classes: 3,
  iterations: 1,
  initialWeight: 0.0128,
  ring: 1024,
  block: { rows: 16, columns: 32 },
});
const CASES: readonly Case[] = [
  { name: 'N8192, 128 bit', plan: planOf({ samples: 20, features: 6, classes: 3, iterations: 1, security: '128' }) },
  { name: 'N1024, no security, several shards and blocks', plan: SMALL_PLAN },
];

/** Weights of rows, of mean 1. */
function weightsOf(samples: number): Float64Array {
  return Float64Array.from({ length: samples }, (_, i) => (2 * (i + 0.5)) / samples);
}

async function encryptAll(
  keyset: Keyset,
  plan: training.Plan,
  rowWeights?: Float64Array,
): Promise<{ blobs: EncryptedBlob[]; grids: DataBlobs }> {
  const { samples, features, classes } = plan.layout;
  const blobs: EncryptedBlob[] = [];
  const grids = await encryptJob(
    keyset,
    plan,
    { ...randomData(samples, features, classes), rowWeights },
    {
      store: (blob) => {
        blobs.push(blob);
        return Promise.resolve();
      },
    },
  );
  return { blobs, grids };
}

for (const [number, { name, plan }] of CASES.entries()) {
  const { layout } = plan;
  const { samples, features, classes } = layout;

  it(`encrypts what decrypts to the data, ${name}`, async (t) => {
    await using home = await temporaryDirectory();
    using keyset = await openKeyset({ directory: home.path, plan, create: true });
    const data = randomData(samples, features, classes);
    const rowWeights = number === 0 ? undefined : weightsOf(samples);
    const b = training.quadraticGradientRow(data.x, samples, features, rowWeights);
    const gradient = data.x.map(
      (value, i) =>
        value *
        at(b, i % features, 'features') *
        (rowWeights === undefined ? 1 : at(rowWeights, Math.floor(i / features), 'rows')),
    );
    const { blobs, grids } = await encryptAll(keyset, plan, rowWeights);

    const none = new Float64Array(plan.parameters.slots);
    const restored = new Float64Array(samples * features);
    let worst = 0;
    for (const { name: part, shard, index, bytes } of blobs) {
      const payload = he.unwrap(bytes, {
        parameters: plan.parameters,
        fields: { kind: 'ciphertext', level: plan[part].level, scale: plan[part].scale },
      });
      using ciphertext = keyset.backend.loadCiphertext(payload);
      assert.deepEqual([ciphertext.level, ciphertext.scale], [plan[part].level, plan[part].scale]);
      const actual = keyset.secret.decrypt(ciphertext);
      const labelsOf = (label: number): Float64Array => {
        const column = data.labels[label];
        return column === undefined ? none : training.encodeLabels(layout, column, shard);
      };
      const expected = {
        features: () => ({ first: training.encodeFeatures(layout, data.x, shard, index), second: none }),
        gradientFeatures: () => ({
          first: training.encodeGradientFeatures(layout, gradient, shard, index),
          second: none,
        }),
        labels: () => ({ first: labelsOf(2 * index), second: labelsOf(2 * index + 1) }),
      }[part]();
      worst = Math.max(worst, largestError(actual.first, expected.first), largestError(actual.second, expected.second));
      if (part === 'features') training.decodeFeatures(layout, actual.first, shard, index, restored);
    }
    t.diagnostic(`largest error ${worst.toExponential(2)}`);
    // Fresh noise against the smallest scale in use.
    const bound = (50 * Math.sqrt(plan.parameters.ring)) / Math.min(plan.labels.scale, plan.gradientFeatures.scale);
    assert.ok(worst < bound, `error ${worst} is not below ${bound}`);
    assert.ok(largestError(restored, data.x) < bound);

    // In the manifest's order, under the digests that the grids name.
    const { features: f, gradientFeatures: g, labels: y } = grids;
    assert.deepEqual(
      blobs.map((blob) => blob.digest),
      [f, g, y].flat(2),
    );
    assert.equal(blobs.length, countBlobs(plan));
    assert.equal(new Set(blobs.map((blob) => blob.digest)).size, blobs.length);
    assert.ok(
      blobs.reduce((sum, blob) => sum + blob.bytes.length, 0) < plan.bytes.data + 2000 * blobs.length,
      'as many bytes as planned',
    );
  });
}

describe('the manifest', () => {
  it('is one that the API accepts, and every blob is what it expects there', async () => {
    const plan = planOf({ samples: 20, features: 6, classes: 3, iterations: 1, security: '128' });
    await using home = await temporaryDirectory();
    using keyset = await openKeyset({ directory: home.path, plan, create: true });
    const { blobs, grids } = await encryptAll(keyset, plan);
    const manifest = manifestFor(plan, grids, keyset, 'digits');
    assert.equal('decay' in manifest.hyperparameters, false);
    const decaying = (decay: number) => ({ ...plan, hyperparameters: { ...plan.hyperparameters, decay } });
    assert.deepEqual(manifestFor(decaying(0), grids, keyset, 'digits'), manifest);
    assert.equal(manifestFor(decaying(0.1), grids, keyset).hyperparameters.decay, 0.1);
    assert.equal(manifest.name, 'digits');
    assert.equal('name' in manifestFor(plan, grids, keyset), false);
    const planned = trainingPlanOf(readTrainingManifest(JSON.parse(JSON.stringify(manifest))));
    assert.deepEqual(planned.plan.operations, plan.operations);
    assert.deepEqual(planned.plan.steps, plan.steps);
    const byPlace = new Map(blobs.map((blob) => [blob.place, blob]));
    for (const expected of expectedBlobs(planned)) {
      const blob = byPlace.get(expected.place);
      const size =
        blob?.bytes.length ??
        [keyset.relinearisationKey, ...keyset.galoisKeys.values()].find((key) => key.digest === expected.digest)?.size;
      assert.notEqual(size, undefined, expected.place);
      if (blob !== undefined) {
        assert.equal(blob.digest, expected.digest);
        he.checkHeader(he.parseHeader(blob.bytes), blob.bytes.length, {
          parameters: plan.parameters,
          fields: expected.fields,
        });
      }
    }
    assert.throws(
      () => trainingPlanOf(readTrainingManifest({ ...manifest, blobs: { ...manifest.blobs, labels: [] } })),
      ContractError,
    );
  });

  it('needs all rotation keys of the plan', async () => {
    await using home = await temporaryDirectory();
    const plan = SMALL_PLAN;
    using keyset = await openKeyset({
      directory: home.path,
      plan: { parameters: plan.parameters, steps: plan.steps.slice(1) },
      create: true,
    });
    assert.throws(
      () => manifestFor(plan, { features: [], gradientFeatures: [], labels: [] }, keyset),
      he.MissingKeyError,
    );
  });
});

describe('encrypting a job', () => {
  const plan = SMALL_PLAN;
  const { samples, features, classes } = plan.layout;
  const data = randomData(samples, features, classes);

  it('reports progress, waits for the store, stops when it fails, and lets the event loop run', async () => {
    await using home = await temporaryDirectory();
    using keyset = await openKeyset({
      directory: home.path,
      plan: { parameters: plan.parameters, steps: [] },
      create: true,
    });
    const total = countBlobs(plan);
    const progress: number[] = [];
    let storing = 0;
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    await encryptJob(keyset, plan, data, {
      store: async () => {
        assert.equal(++storing, 1, 'one at a time');
        await new Promise((resolve) => setTimeout(resolve, 2));
        storing--;
      },
      onProgress: (done, of) => {
        assert.equal(of, total);
        progress.push(done);
      },
    });
    clearInterval(timer);
    assert.deepEqual(
      progress,
      Array.from({ length: total + 1 }, (_, i) => i),
    );
    assert.ok(turns >= total / 2, `${turns} turns for ${total} ciphertexts`);

    let stored = 0;
    const full = new Error('the disk is full');
    await assert.rejects(
      encryptJob(keyset, plan, data, { store: () => (++stored === 3 ? Promise.reject(full) : Promise.resolve()) }),
      full,
    );
    assert.equal(stored, 3);
  });

  it('refuses data that do not fit the plan', async () => {
    await using home = await temporaryDirectory();
    using keyset = await openKeyset({
      directory: home.path,
      plan: { parameters: plan.parameters, steps: [] },
      create: true,
    });
    const withValue = (array: Float64Array, at: number, value: number): Float64Array =>
      array.map((v, i) => (i === at ? value : v));
    const store = (): Promise<void> => Promise.reject(new Error('nothing may be stored'));
    const [first, ...others] = data.labels;
    assert.ok(first);
    const ones = new Float64Array(samples).fill(1);
    const cases: readonly [RegExp, typeof data][] = [
      [/samples: 20; the plan is for 21/, { ...data, samples: 20 }],
      [/features \(bias included\): 39; the plan is for 40/, { ...data, features: 39 }],
      [/classes: 2; the plan is for 3/, { ...data, labels: others }],
      [/numbers in x: 839/, { ...data, x: data.x.subarray(1) }],
      [/x\[2\]\[5\] is NaN; finite numbers only/, { ...data, x: withValue(data.x, 85, NaN) }],
      [/x\[0\]\[0\] is -Infinity/, { ...data, x: withValue(data.x, 0, -Infinity) }],
      [/labels of class 0: 20; the plan is for 21/, { ...data, labels: [first.subarray(1), ...others] }],
      [
        /label of class 0 for sample 4 is 0.5; allowed: 0 and 1/,
        { ...data, labels: [withValue(first, 4, 0.5), ...others] },
      ],
      [/weights of rows: 20; the plan is for 21/, { ...data, rowWeights: ones.subarray(1) }],
      [/weight of sample 3 is -1; allowed: finite, 0 or more/, { ...data, rowWeights: withValue(ones, 3, -1) }],
      [/weight of sample 0 is NaN/, { ...data, rowWeights: withValue(ones, 0, NaN) }],
      [/weight of sample 0 is Infinity/, { ...data, rowWeights: withValue(ones, 0, Infinity) }],
      [/weights of the rows have mean 1.0476/, { ...data, rowWeights: withValue(ones, 0, 2) }],
    ];
    for (const [message, wrong] of cases) {
      await assert.rejects(
        encryptJob(keyset, plan, wrong, { store }),
        (error) => error instanceof JobDataError && message.test(messageWithHint(error)),
      );
    }
    const otherPlan = planOf({
      samples: 21,
      features: 40,
      classes: 3,
      iterations: 1,
      ring: 1024,
      block: { rows: 16, columns: 32 },
    });
    await assert.rejects(encryptJob(keyset, otherPlan, data, { store }), /parameters of the keyset/);
  });
});

describe('decrypting a model', () => {
  const plan = SMALL_PLAN;
  const { layout, parameters } = plan;
  const { ring } = parameters;
  const weights = Array.from({ length: layout.classes }, (_, k) =>
    Float64Array.from({ length: layout.features }, (_v, j) => Math.cos(3 * k + j) * 20),
  );
  const blank = new Float64Array(layout.features);

  /** The packed model of `weights`, encrypted at a level, as a server would return it. */
  function modelBlobs(keyset: Keyset, level = 0, scale = 2 ** 44.3, values = weights): Uint8Array[] {
    const models = Array.from({ length: layout.models }, (): he.PairedSlots => ({
      first: new Float64Array(ring / 2),
      second: new Float64Array(ring / 2),
    }));
    for (let pair = 0; pair < layout.pairs; pair++) {
      const index = Math.floor(pair / layout.pairsPerModel);
      const packed = training.encodePair(layout, ring, values[2 * pair] ?? blank, values[2 * pair + 1] ?? blank);
      const model = models[index];
      assert.ok(model);
      models[index] = he.addSlots(
        model,
        he.multiplySlots(packed, he.monomialSlots(ring, training.pairExponent(layout, pair))),
      );
    }
    return models.map(({ first, second }) =>
      he.wrap(
        parameters,
        { kind: 'ciphertext', level, scale },
        keyset.secret.encryptToBytes(first, level, scale, second),
      ),
    );
  }

  it('returns the weights', async (t) => {
    await using home = await temporaryDirectory();
    using keyset = await openKeyset({ directory: home.path, plan: { parameters, steps: [] }, create: true });
    const decrypted = decryptModel(keyset, plan, modelBlobs(keyset));
    assert.equal(decrypted.length, layout.classes);
    decrypted.forEach((row, k) => {
      const error = largestError(row, weights[k] ?? []);
      t.diagnostic(`class ${k}: largest error ${error.toExponential(2)}`);
      assert.ok(error < 1e-9);
    });
  });

  it('refuses what is no plausible model', async () => {
    await using home = await temporaryDirectory();
    await using otherHome = await temporaryDirectory();
    using keyset = await openKeyset({ directory: home.path, plan: { parameters, steps: [] }, create: true });
    using other = await openKeyset({ directory: otherHome.path, plan: { parameters, steps: [] }, create: true });
    const [good] = modelBlobs(keyset);
    assert.ok(good);
    const payload = good.subarray(he.WIRE_HEADER_BYTES);
    const scale = 2 ** 44.3;
    const fields = { kind: 'ciphertext', level: 0, scale } as const;
    const garbage = payload.map((byte, i) => (i > payload.length / 2 ? (byte * 31 + i) % 256 : byte));
    const otherSet = he.Parameters.of({ ...parameters.toJSON(), scaleBits: parameters.scaleBits - 1 }, 'none');
    const cases: readonly [new (...args: never[]) => Error, RegExp, readonly Uint8Array[]][] = [
      [ModelError, /a model of 0 ciphertexts; 1 are needed/, []],
      [ModelError, /a model of 2 ciphertexts/, [good, good]],
      [he.WireError, /not a Blindfit blob/, [new Uint8Array(1000)]],
      [he.WireError, /a blob of 5 bytes/, [new Uint8Array(5)]],
      [he.WireError, /the blob size/, [good.subarray(0, -1)]],
      [
        he.WireError,
        /the blob kind is galois-key; ciphertext is expected/,
        [he.wrap(parameters, { ...fields, kind: 'galois-key' }, payload)],
      ],
      [he.WireError, /the level is 1; 0 is expected/, modelBlobs(keyset, 1)],
      [he.WireError, /the parameter set/, [he.wrap(otherSet, fields, payload)]],
      [he.WireError, /a payload of \d+ bytes/, [he.wrap(parameters, fields, new Uint8Array(100_000))]],
      [ModelError, /a model of scale NaN/, [he.wrap(parameters, { ...fields, scale: NaN }, payload)]],
      [ModelError, /a model of scale -1/, [he.wrap(parameters, { ...fields, scale: -1 }, payload)]],
      [ModelError, /by its header, scale 2 and 2 polynomials/, [he.wrap(parameters, { ...fields, scale: 2 }, payload)]],
      [
        ModelError,
        /at level 1/,
        modelBlobs(keyset, 1).map((blob) => he.wrap(parameters, fields, blob.subarray(he.WIRE_HEADER_BYTES))),
      ],
      [he.WireError, /does not start with SEAL's header/, [he.wrap(parameters, fields, new Uint8Array(1000).fill(1))]],
      [
        he.HeError,
        /load a ciphertext|cannot be decompressed|the weight of class/,
        [he.wrap(parameters, fields, garbage)],
      ],
      [ModelError, /the weight of class 0 and feature \d+ is .*beyond 32.*returned something else/, modelBlobs(other)],
      [
        ModelError,
        /the weight of class 0 and feature 0 is (40|39\.9)/,
        modelBlobs(
          keyset,
          0,
          scale / 8,
          weights.map((row) => row.map((value) => 2 * value)),
        ),
      ],
    ];
    for (const [type, message, blobs] of cases) {
      assert.throws(
        () => decryptModel(keyset, plan, blobs),
        (error) => {
          assert.ok(
            error instanceof type && message.test(messageWithHint(error)),
            `${String(error)} is not ${type.name} ${String(message)}`,
          );
          return true;
        },
      );
    }
  });
});
