/** Models as their owner gets them: from a training, when coming back to a job, and as ones to predict with. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { digestOf, required } from '@blindfit/base';
import type { BlindfitClient } from '@blindfit/client';
import { createDataset, withLabels } from '@blindfit/data';
import { wrap } from '@blindfit/he';
import { canonicalJson, readTrainingManifest } from '@blindfit/protocol';
import { chainsOf, encodeChain, trainClear, trainingPlanOf } from '@blindfit/training';
import { accuraciesOf } from '../src/flow/training-data.ts';
import {
  attach,
  evaluate,
  hyperparametersOf,
  MemoryKeys,
  ModelError,
  openKeyset,
  prepareData,
  readTicket,
  servablePlan,
  train,
  type AttachRequest,
  type Ticket,
} from '../src/index.ts';
import { ID, REASON, serverOf, type Server } from './flow-server.ts';
import { largestError, planOf } from './setup.ts';

describe('a trained model', () => {
  const training = withLabels(createDataset(Float64Array.of(1, 2, 3, 4, 5, 6, 7, 8), 2), ['a', 'b', 'a', 'b']);
  const keys = new MemoryKeys();
  const data = prepareData({ training, validation: training, preprocessing: 'standardize' });
  const hyperparameters = hyperparametersOf({ iterations: 1, sigmoidDegree: 1 });
  const { shape, set } = data;
  const { weights: right } = trainClear(set.x, shape.samples, shape.features, set.labels, hyperparameters);
  const RESULT = {
    seconds: { train: 3, loadKeys: 1, iterations: [2] },
    operations: { rotations: 1 },
    evaluators: { native: 2 },
  };

  /** A server that returns the right weights, with something added to each, encrypted with the owner's keys. */
  const trainer = (added: number, second = added): Server & { readonly client: BlindfitClient } => {
    const server = serverOf({
      next: async (view, { submitted, blobs }) => {
        const { manifest } = required(submitted.at(-1), 'a submission');
        const { plan } = trainingPlanOf(readTrainingManifest(manifest));
        using keyset = await openKeyset({ keys, plan, create: false });
        const rows = right.map((row, label) => row.map((value) => value + (label === 0 ? added : second)));
        const slots = encodeChain(plan.layout, plan.parameters.ring, chainsOf(plan)[0] ?? [], rows);
        const scale = plan.refreshScale;
        const bytes = keyset.secret.encryptToBytes(slots.first, 0, scale, slots.second);
        using ciphertext = keyset.backend.loadCiphertext(bytes);
        const saved = keyset.backend.saveCiphertext(ciphertext);
        const blob = wrap(plan.parameters, { kind: 'ciphertext', level: 0, scale }, saved);
        const digest = digestOf(blob);
        blobs.set(digest, blob);
        const text = new TextEncoder().encode(canonicalJson(manifest));
        blobs.set(digestOf(text), text);
        return { ...view, state: 'succeeded', result: { models: [digest], iterates: [], ...RESULT } } as never;
      },
    });
    Object.assign(server.client, {
      result: (_id: string, digests: readonly string[]) =>
        Promise.resolve(digests.map((digest) => server.blobs.get(digest))),
    });
    return server;
  };

  it('comes with what it cost and how good it is', async () => {
    const { client, blobs, submitted } = trainer(0);
    const began = performance.now();
    const report = await train(client, { data, hyperparameters, keys, backbone: 'the network' });
    const took = (performance.now() - began) / 1000;
    const { keygen, encrypt, upload, download } = report.seconds;
    for (const part of [keygen, encrypt, upload, download]) assert.ok(part >= 0 && part < took, `${part} of ${took}`);
    assert.ok(encrypt > 0 && download > 0);
    assert.deepEqual([report.operations, report.evaluators], [RESULT.operations, RESULT.evaluators]);
    assert.equal(report.model.training['backbone'], 'the network');
    assert.deepEqual(
      report.model.weights,
      report.weights.map((row) => [...row]),
    );
    assert.deepEqual(report.refresh, { count: 0, seconds: 0, computeSeconds: 0, down: 0, up: 0 });
    const { manifest } = required(submitted[0], 'a submission');
    assert.ok(manifest.format === 'blindfit-job/1');
    const sizes = (digests: readonly string[]): number =>
      digests.reduce((sum, digest) => sum + required(blobs.get(digest), digest).length, 0);
    const { features, gradientFeatures, labels, relinearisationKey, galoisKeys } = manifest.blobs;
    assert.equal(report.bytes.data, sizes([...features, ...gradientFeatures, ...labels].flat()));
    assert.equal(report.bytes.keys, sizes([relinearisationKey, ...Object.values(galoisKeys)]));
    assert.ok(report.bytes.model > 0);
    const { train: seconds, loadKeys, iterations } = report.seconds;
    assert.deepEqual([seconds, loadKeys, iterations], [3, 1, [2]]);
    assert.ok(report.maxWeightError > 0 && report.maxWeightError < 1e-5);
    assert.deepEqual([report.iteration, report.stoppedAfter, report.job], [1, undefined, ID]);
    assert.deepEqual(report.accuracy.encrypted, report.accuracy.clear);
    assert.deepEqual([report.history.encrypted.length, report.history.clear.length], [1, 1]);
    assert.equal(report.parameters.ring, manifest.parameters.ring);
    assert.deepEqual(report.model.training['seconds'], { ...report.seconds });
  });

  it('is judged by its own weights and not by those of the twin', async () => {
    const { weights, accuracy } = await train(trainer(0.09, -0.09).client, {
      data,
      hyperparameters,
      keys,
      precision: 0.1,
    });
    assert.deepEqual(accuracy, { encrypted: accuraciesOf(weights, data), clear: accuraciesOf(right, data) });
    assert.notDeepEqual(accuracy.encrypted, accuracy.clear);
  });

  it('that is further from the clear twin than planned is refused, also when its owner comes back to it', async () => {
    await assert.rejects(train(trainer(1e-3).client, { data, hyperparameters, keys }), ModelError);
    const ticket = await readTicket(keys, ID);
    const back = async (added: number, known: Ticket, more: Partial<AttachRequest> = {}) => {
      const server = trainer(added);
      // The job is there already.
      await train(server.client, { data, hyperparameters, keys }).catch(() => undefined);
      const { manifest } = required(server.submitted[0], 'a submission');
      const digest = digestOf(new TextEncoder().encode(canonicalJson(manifest)));
      Object.assign(server.client, {
        job: () => Promise.resolve({ id: ID, manifest: digest, state: 'running', refreshes: [], answers: [] }),
      });
      server.cancelled.length = 0;
      return {
        server,
        report: attach(server.client, {
          ticket: { ...known, manifest: digest, backbone: 'the network' },
          keys,
          ...more,
        }),
      };
    };
    const { report } = await back(0, ticket, { validation: data.validation });
    const { weights, model, accuracy, iteration } = await report;
    assert.ok(Math.max(...weights.map((row, k) => largestError(row, right[k] ?? []))) < 1e-5);
    assert.deepEqual([model.classes, iteration], [['a', 'b'], 1]);
    assert.equal(model.training['backbone'], 'the network');
    assert.deepEqual(
      model.weights,
      weights.map((row) => [...row]),
    );
    assert.equal(accuracy, evaluate(right, required(data.validation, 'held-out data'), 2).accuracy);
    await assert.rejects((await back(1e-3, ticket)).report, /is not the one that this training gives/);
    const lines: string[] = [];
    const old = await back(1e-3, { ...ticket, twin: undefined }, { onLog: (line) => void lines.push(line) });
    assert.equal((await old.report).accuracy, undefined);
    assert.match(lines.join(), /were not compared with the clear twin/);

    const abort = new AbortController();
    const left = await back(0, ticket, {
      signal: abort.signal,
      onProgress: () => {
        abort.abort(REASON);
        throw REASON;
      },
    });
    await assert.rejects(left.report, REASON);
    assert.deepEqual(left.server.cancelled, [], 'an abort ends the call and not the job');
  });
});

describe('a model to predict with', () => {
  const of = (modelLevel: 0 | 1, state: string): Promise<unknown> => {
    const trained = planOf({ samples: 8, features: 3, classes: 2, modelLevel, security: '128' });
    const { parameters, layout, hyperparameters } = trained;
    const { ring, dataBits, specialBits, scaleBits } = parameters;
    const digest = digestOf(Uint8Array.of(1));
    const manifest = {
      format: 'blindfit-job/1',
      signer: `ed25519:${'0'.repeat(64)}`,
      parameters: { ring, dataBits, specialBits, scaleBits },
      shape: { samples: 8, features: 3, classes: 2 },
      block: { rows: layout.rows, columns: layout.columns, turns: layout.turns },
      grouping: trained.grouping,
      schedule: trained.schedule,
      hyperparameters,
      blobs: {
        features: Array.from({ length: layout.shards }, () => Array<string>(layout.cells).fill(digest)),
        gradientFeatures: Array.from({ length: layout.shards }, () => Array<string>(layout.cells).fill(digest)),
        labels: Array.from({ length: layout.shards }, () => Array<string>(layout.pairs).fill(digest)),
        relinearisationKey: digest,
        galoisKeys: Object.fromEntries(trained.steps.map((step) => [String(step), digest])),
      },
    };
    const bytes = new TextEncoder().encode(JSON.stringify(manifest));
    const view = { id: ID, manifest: digestOf(bytes), state, result: {} };
    const client = { job: () => Promise.resolve(view), blob: () => Promise.resolve(bytes) };
    const ticket = { job: ID, manifest: digestOf(bytes) } as unknown as Ticket;
    return servablePlan(client as unknown as BlindfitClient, ticket);
  };

  it('has a level left, and its job has succeeded', async () => {
    await of(1, 'succeeded');
    await assert.rejects(of(0, 'succeeded'), { message: /no level left to predict with/, hint: /servable/ });
    await assert.rejects(of(1, 'running'), { message: /is running and has no model yet/, hint: /attach/ });
    await assert.rejects(of(1, 'cancelled'), { message: /was cancelled/ });
  });
});
