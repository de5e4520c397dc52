/** Training and prediction against a server that does as little as possible: what the owner sends, and when it ends. */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { digestOf } from '@blindfit/base';
import { createDataset, withLabels } from '@blindfit/data';
import { wrap } from '@blindfit/he';
import { trainClear } from '@blindfit/training';
import { foldTemperatures } from '../src/flow/fold-temperatures.ts';
import { shuffled } from '../src/flow/training-data.ts';
import {
  hyperparametersOf,
  MemoryKeys,
  openKeyset,
  predict,
  prepareData,
  rawFeatures,
  stepBound,
  train,
  type FlowState,
  type KeyStore,
  type Ticket,
  type TrainRequest,
} from '../src/index.ts';
import { ID, leave, REASON, serverOf } from './flow-server.ts';
import { planOf } from './setup.ts';

describe('a training', () => {
  const set = withLabels(createDataset(Float64Array.of(1, 2, 3, 4, 5, 6, 7, 8), 2), ['a', 'b', 'a', 'b']);
  const keys = new MemoryKeys();
  const request = (more: Partial<TrainRequest>): TrainRequest => ({
    data: prepareData({ training: set, preprocessing: 'standardize' }),
    hyperparameters: hyperparametersOf({ iterations: 1, sigmoidDegree: 1 }),
    keys,
    ...more,
  });

  it('is submitted as asked, and cancelled with a signature when its owner leaves', async () => {
    const abort = new AbortController();
    const server = serverOf({ next: leave(abort) });
    const tickets: (string | undefined)[] = [];
    const states: FlowState[] = [];
    await assert.rejects(
      train(
        server.client,
        request({
          name: 'first',
          priority: 'high',
          signal: abort.signal,
          onProgress: (state) => void states.push(state),
          onSubmitted: async ({ id }) => void tickets.push(await keys.readTicket(id)),
        }),
      ),
      REASON,
    );
    const [{ manifest, options } = assert.fail('not submitted')] = server.submitted;
    assert.deepEqual([manifest.name, options], ['first', { priority: 'high' }]);
    const { twin, classes, stepBound: bound, temperatures } = JSON.parse(String(tickets[0])) as Ticket;
    const { data, hyperparameters } = request({});
    assert.deepEqual(bound, stepBound(data.set, hyperparameters));
    assert.deepEqual([classes, twin?.precision], [['a', 'b'], 1e-5]);
    assert.deepEqual(temperatures, foldTemperatures(data, hyperparameters));
    assert.equal(server.cancelled.length, 1);
    assert.match(String(server.cancelled[0]), /^\S{20,}$/, 'signed');
    assert.deepEqual(
      [...new Set(states.map(({ phase }) => phase))],
      ['making keys', 'encrypting', 'waiting for a worker'],
    );
    assert.ok([...server.blobs].every(([digest, bytes]) => digestOf(bytes) === digest));
  });

  it('with batches learns from the samples in another order, which its seed names', async () => {
    const hyperparameters = hyperparametersOf({ iterations: 1, sigmoidDegree: 1, batchSize: 2, batchSeed: 3 });
    const abort = new AbortController();
    const server = serverOf({ next: leave(abort) });
    await assert.rejects(train(server.client, request({ hyperparameters, signal: abort.signal })), REASON);
    const { data } = request({});
    const { twin } = JSON.parse(String(await keys.readTicket(ID))) as Ticket;
    const clearOf = (set: typeof data.set): number[][] =>
      trainClear(set.x, 4, 3, set.labels, hyperparameters).weights.map((row) => Array.from(row));
    assert.deepEqual(twin?.weights, clearOf(shuffled(data.set, 3)));
    assert.notDeepEqual(twin.weights, clearOf(data.set));
    const [{ manifest } = assert.fail('not submitted')] = server.submitted;
    assert.ok(manifest.format === 'blindfit-job/1');
    assert.deepEqual(manifest.hyperparameters.batch, { size: 2, seed: 3 });
  });

  it('goes on without its owner if that is wanted', async () => {
    const abort = new AbortController();
    const server = serverOf({ next: leave(abort) });
    await assert.rejects(train(server.client, request({ signal: abort.signal, cancelOnAbort: false })), REASON);
    assert.equal(server.cancelled.length, 0);
  });

  it('ends at once on a server that records another manifest, and leaves no ticket', async () => {
    const other = new MemoryKeys();
    const own: KeyStore = { ...keysOf(keys), writeTicket: (...args) => other.writeTicket(...args) };
    const server = serverOf({ record: digestOf(Uint8Array.of(1)), next: () => assert.fail('it is followed') });
    await assert.rejects(train(server.client, request({ keys: own })), /the server shows another manifest/);
    assert.equal(await other.readTicket(ID), undefined);
  });

  it('uploads nothing after an abort', async () => {
    const abort = new AbortController();
    abort.abort(REASON);
    const server = serverOf({ next: () => assert.fail('it is followed') });
    await assert.rejects(train(server.client, request({ signal: abort.signal })), REASON);
    assert.deepEqual([server.blobs.size, server.submitted.length], [0, 0]);
  });
});

/** The same keysets, for a store with methods of its own. */
function keysOf(keys: MemoryKeys): KeyStore {
  return {
    location: keys.location,
    list: () => keys.list(),
    keyset: (name) => keys.keyset(name),
    ticketPath: (job) => keys.ticketPath(job),
    readTicket: (job) => keys.readTicket(job),
    writeTicket: (job, text) => keys.writeTicket(job, text),
  };
}

describe('a prediction', async () => {
  const plan = planOf({
    samples: 8,
    features: 3,
    classes: 2,
    ring: 2048,
    block: { rows: 64, columns: 16 },
    modelLevel: 1,
  });
  const keys = new MemoryKeys();
  const keyset = await openKeyset({ keys, plan, create: true });
  after(() => keyset[Symbol.dispose]());
  const ticket: Ticket = {
    job: ID,
    manifest: digestOf(Uint8Array.of(1)),
    stepBound: [1],
    classes: ['a', 'b'],
    preprocessing: { kind: 'none' },
  };
  const data = createDataset(Float64Array.of(1, 2, 3, 4), 2);
  /** One ciphertext of scores: 1.5 and -1.5 for the first sample, 2.5 and -2.5 for the second. */
  const scores = (): Uint8Array => {
    const { slots } = plan.parameters;
    const of = (sign: number): Float64Array => {
      const values = new Float64Array(slots);
      [1.5, 2.5].forEach((score, sample) => (values[sample * plan.layout.columns] = sign * score));
      return values;
    };
    const scale = 2 ** plan.parameters.scaleBits;
    using ciphertext = keyset.backend.loadCiphertext(keyset.secret.encryptToBytes(of(1), 0, scale, of(-1)));
    return wrap(plan.parameters, { kind: 'ciphertext', level: 0, scale }, keyset.backend.saveCiphertext(ciphertext));
  };

  it('sends samples, follows the job and opens its scores', async () => {
    const blob = scores();
    const digest = digestOf(blob);
    const server = serverOf({
      next: (view, { blobs }) => {
        blobs.set(digest, blob);
        return Promise.resolve({ ...view, state: 'succeeded', result: { scores: [[digest]] } } as never);
      },
    });
    const states: FlowState[] = [];
    const result = await predict(server.client, {
      ticket,
      keys,
      data,
      plan,
      name: 'some',
      onProgress: (state) => void states.push(state),
    });
    assert.deepEqual(
      [...result].map((value) => Math.round(value * 1000) / 1000),
      [1.5, -1.5, 2.5, -2.5],
    );
    const [{ manifest } = assert.fail('not submitted')] = server.submitted;
    assert.ok(manifest.format === 'blindfit-predict/1');
    const { rows, columns } = plan.layout;
    assert.deepEqual(
      [manifest.model, manifest.name, manifest.shape, manifest.block.rows, manifest.block.columns],
      [ID, 'some', { samples: 2, features: 3, classes: 2 }, rows, columns],
    );
    assert.deepEqual(
      [...new Set(states.map(({ phase }) => phase))],
      ['encrypting', 'waiting for a worker', 'decrypting'],
    );
    assert.ok(manifest.blobs.features.flat().every((each) => server.blobs.has(each)));
    const sent = manifest.blobs.features.flat().reduce((sum, each) => sum + Number(server.blobs.get(each)?.length), 0);
    const told = states.filter((state) => state.phase === 'encrypting').map(({ bytes }) => bytes);
    assert.equal(told.at(-1), sent);
    const [waiting] = states.filter((state) => state.phase === 'waiting for a worker');
    assert.deepEqual([waiting?.done, waiting?.total], [2, 7]);
    assert.ok(server.blobs.has(manifest.blobs.relinearisationKey));
  });

  it('that ends without scores is not believed', async () => {
    const server = serverOf({ next: (view) => Promise.resolve({ ...view, state: 'succeeded', result: {} } as never) });
    await assert.rejects(predict(server.client, { ticket, keys, data, plan }), /has succeeded without scores/);
  });

  it('is cancelled with a signature when its owner leaves, unless it has ended', async () => {
    for (const [state, count] of [
      ['running', 1],
      ['succeeded', 0],
    ] as const) {
      const abort = new AbortController();
      const server = serverOf({ first: { state }, next: leave(abort) });
      await assert.rejects(predict(server.client, { ticket, keys, data, plan, signal: abort.signal }), REASON);
      assert.equal(server.cancelled.length, count, state);
      assert.ok(server.cancelled.every((signature) => /^\S{20,}$/.test(signature ?? '')));
    }
    const broken = serverOf({ next: () => Promise.reject(new Error('no connection')) });
    await assert.rejects(predict(broken.client, { ticket, keys, data, plan }), /no connection/);
    assert.equal(broken.cancelled.length, 0, 'only an abort cancels');
  });

  it('uploads nothing after an abort, and asks for the features of the training', async () => {
    const abort = new AbortController();
    abort.abort(REASON);
    const server = serverOf({ next: () => assert.fail('it is followed') });
    await assert.rejects(predict(server.client, { ticket, keys, data, plan, signal: abort.signal }), REASON);
    assert.equal(server.blobs.size, 0);
    assert.equal(rawFeatures(ticket, plan), 2);
    assert.equal(
      rawFeatures({ ...ticket, preprocessing: { kind: 'standardize', mean: [1], std: [1] } as never }, plan),
      1,
    );
    const wide = createDataset(Float64Array.of(1, 2, 3), 3);
    await assert.rejects(predict(server.client, { ticket, keys, data: wide, plan }), /trained on 2 features and .* 3/);
  });
});
