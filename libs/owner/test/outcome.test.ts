/** Which weights are the model of a job that has ended: those of its result, the best ones seen, or none. */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { at, digestOf } from '@blindfit/base';
import type { BlindfitClient } from '@blindfit/client';
import { wrap } from '@blindfit/he';
import type { JobView } from '@blindfit/protocol';
import { chainsOf, encodeChain } from '@blindfit/training';
import { decryptBlob } from '../src/decrypt-blob.ts';
import type { Followed } from '../src/flow/follow.ts';
import { outcomeOf, resultOf } from '../src/flow/outcome.ts';
import { MemoryKeys, ModelError, openKeyset, OwnerError } from '../src/index.ts';
import { largestError, planOf } from './setup.ts';

const plan = planOf({
  samples: 8,
  features: 4,
  classes: 2,
  iterations: 2,
  ring: 2048,
  block: { rows: 64, columns: 16 },
});
const keyset = await openKeyset({ keys: new MemoryKeys(), plan, create: true });
after(() => keyset[Symbol.dispose]());

const rows = (value: number): Float64Array[] => [0, 1].map((label) => new Float64Array(4).fill(value + label));

function packed(value: number): Uint8Array {
  const slots = encodeChain(plan.layout, plan.parameters.ring, chainsOf(plan)[0] ?? [], rows(value));
  const scale = plan.refreshScale;
  using ciphertext = keyset.backend.loadCiphertext(keyset.secret.encryptToBytes(slots.first, 0, scale, slots.second));
  return wrap(plan.parameters, { kind: 'ciphertext', level: 0, scale }, keyset.backend.saveCiphertext(ciphertext));
}

const MODEL = packed(3);
const DIGEST = digestOf(MODEL);
const job = (more: Partial<JobView>): JobView => ({ id: 'job-a', state: 'succeeded', ...more }) as JobView;
const succeeded = job({ result: { models: [DIGEST], iterates: [] } as never });
const evaluation = { accuracy: 0.5, loss: 1 };
const BEST = { iteration: 1, weights: rows(7), evaluation };

const client = {
  result: (_id: string, digests: readonly string[]) => {
    assert.deepEqual(digests, [DIGEST]);
    return Promise.resolve([MODEL]);
  },
} as unknown as BlindfitClient;
const refused = { result: () => assert.fail('it is downloaded') } as unknown as BlindfitClient;

function outcome(from: BlindfitClient, followed: Partial<Followed>, judged?: typeof evaluation) {
  const all = { job: succeeded, history: [], best: undefined, stoppedAfter: undefined, refresh: {} as never };
  return outcomeOf(from, keyset, plan, { ...all, ...followed }, judged && (() => judged));
}

describe('the model of a job', () => {
  it('is that of its result, after the last iteration', async () => {
    const seen = rows(1);
    const { weights, iteration, history, modelBytes, result } = await outcome(client, { history: [seen, rows(2)] });
    assert.ok(Math.max(...weights.map((row, k) => largestError(row, at(rows(3), k, 'rows')))) < 1e-3);
    assert.equal(iteration, 2);
    assert.deepEqual(history, [seen, weights], 'what refreshes have shown, and the result for the last one');
    assert.equal(modelBytes, MODEL.length);
    assert.equal(result, succeeded.result);
  });

  it('is the best one that was seen, unless the last one is better', async () => {
    for (const [judged, iteration] of [
      [{ accuracy: 0.4, loss: 1 }, 1],
      [evaluation, 1],
      [{ accuracy: 0.5, loss: 0.9 }, 2],
      [{ accuracy: 0.6, loss: 2 }, 2],
    ] as const)
      assert.equal((await outcome(client, { best: BEST }, judged)).iteration, iteration, JSON.stringify(judged));
    assert.equal((await outcome(client, { best: BEST })).iteration, 2, 'only if it is to be judged');
  });

  it('is the best one of a job that its owner stopped, and nothing is downloaded', async () => {
    const history = [rows(7)];
    const stopped = { best: BEST, history, stoppedAfter: 2, job: job({ state: 'cancelled' }) };
    const { weights, iteration, ...rest } = await outcome(refused, stopped, evaluation);
    assert.deepEqual(
      [weights, iteration, rest.history, rest.result, rest.modelBytes],
      [BEST.weights, 1, history, undefined, 0],
    );
  });

  it('is judged like any other when the job ended before its owner could stop it', async () => {
    const last = { accuracy: 1, loss: 0 };
    assert.equal((await outcome(client, { best: BEST, stoppedAfter: 2 }, last)).iteration, 2);
  });

  it('does not come of a job that failed, or that somebody else cancelled', async () => {
    await assert.rejects(outcome(refused, { best: BEST, job: job({ state: 'cancelled' }) }), /job-a was cancelled$/);
    const error = { code: 'X', message: 'no luck', task: 't' };
    await assert.rejects(outcome(refused, { stoppedAfter: 1, best: BEST, job: job({ state: 'failed', error }) }), {
      message: 'job-a failed: no luck',
      hint: /task t;.*: blindfit retry job-a$/,
    });
    const RETRY = 'to go on from the last finished step when the cause is mended: blindfit retry job-a';
    for (const state of ['failed', 'succeeded'] as const)
      assert.throws(
        () => resultOf(job({ state })),
        (thrown) => {
          assert.ok(thrown instanceof OwnerError);
          assert.deepEqual(
            [thrown.message, thrown.hint],
            [`job-a ${state}: no reason given`, state === 'failed' ? RETRY : undefined],
          );
          return true;
        },
      );
  });

  it('holds no weight beyond what a job carries, in either direction', async () => {
    const open = (first: number): Promise<unknown> => {
      const blob = packed(first);
      return outcome({ result: () => Promise.resolve([blob]) } as unknown as BlindfitClient, {});
    };
    assert.equal(plan.maxWeight, 32);
    for (const first of [-31.9, 30.9]) await open(first);
    for (const first of [-32.1, 31.1]) await assert.rejects(open(first), /is -?32\.\d+, beyond 32, the most this job/);
  });

  it('comes with the weights of every iteration where the result has them', async () => {
    const seen = [packed(2), packed(4)];
    const digests = seen.map((blob) => [digestOf(blob)]);
    const blobs = new Map(seen.map((blob) => [digestOf(blob) as string, blob]));
    const server = { blob: (digest: string) => Promise.resolve(blobs.get(digest)) };
    const { history } = await outcome(Object.assign(Object.create(client) as BlindfitClient, server), {
      job: job({ result: { models: [DIGEST], iterates: digests } as never }),
      history: [rows(9), rows(9)],
    });
    // a_0 = 0.01, a_1 = (1 + sqrt 1.0004) / 2, ...: eta_1 = 0.99 / a_1 and eta_2 = (1 - a_1) / a_2.
    const mixed = (eta: number, newest: number, older: (label: number) => number): Float64Array[] =>
      rows(newest).map((row, label) => row.map((value) => (1 - eta) * value + eta * older(label)));
    const expected = [mixed(0.98990102, 2, () => 0), mixed(-0.0000617938, 4, (label) => 2 + label)];
    assert.equal(history.length, 2);
    history.forEach((weights, t) =>
      weights?.forEach((row, k) => {
        const wanted = at(at(expected, t, 'iterations'), k, 'classes');
        assert.ok(largestError(row, wanted) < 1e-6, `iteration ${t + 1}: ${row.join()} and not ${wanted.join()}`);
      }),
    );
  });

  it('is no ciphertext of three polynomials, or of another scale than its header says', () => {
    const { backend, secret, parameters } = keyset;
    const { seal, context } = backend;
    const scale = 2 ** 20;
    const blob = (more: { readonly square?: boolean; readonly said?: number }): Uint8Array => {
      using ciphertext = backend.loadCiphertext(secret.encryptToBytes(new Float64Array(parameters.slots), 0, scale));
      if (more.square === true) {
        const evaluator = new seal.Evaluator(context);
        evaluator.square(ciphertext.raw, ciphertext.raw);
        evaluator.delete();
      }
      const said = more.said ?? ciphertext.scale;
      return wrap(parameters, { kind: 'ciphertext', level: 0, scale: said }, backend.saveCiphertext(ciphertext));
    };
    decryptBlob(keyset, 'model', blob({}), 0);
    assert.throws(() => decryptBlob(keyset, 'model', blob({ square: true }), 0), { name: 'WireError' });
    for (const said of [2 ** 21, 2 ** 19])
      assert.throws(() => decryptBlob(keyset, 'score', blob({ said }), 0), {
        name: 'ModelError',
        message: /^a score ciphertext at level 0, scale 1048576, of 2/,
      });
  });

  it('is no ciphertext of another level or size', async () => {
    const short = { result: () => Promise.resolve([MODEL.subarray(0, 100)]) } as unknown as BlindfitClient;
    await assert.rejects(outcome(short, {}));
    const none = { result: () => Promise.resolve([]) } as unknown as BlindfitClient;
    await assert.rejects(outcome(none, {}), ModelError);
  });
});
