/** Jobs of several segments: refreshes by the owner, chains of several pairs, mini-batches. 128-bit parameters. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { parseDigest } from '@blindfit/base';
import { parseHeader, wrap, WIRE_HEADER_BYTES } from '@blindfit/he';
import { decryptModel } from '@blindfit/owner';
import { trainEncryptedLocally } from '@blindfit/owner/node';
import type { ForwardTask } from '@blindfit/protocol';
import { chainsOf, expectedError, fitSigmoid, type Plan } from '@blindfit/training';
import { TaskError, type Work } from '../src/index.ts';
import {
  firstTask,
  largestError,
  makeJob,
  makePlace,
  makePool,
  planWith,
  putBytes,
  trainOn,
  type Place,
} from './setup.ts';

const LINE = { sigmoid: fitSigmoid(1, 8) };

let place: Place;

before(async () => {
  place = await makePlace();
});

after(async () => {
  await place[Symbol.asyncDispose]();
});

describe('training across refreshes matches training in the clear', () => {
  const cases: readonly {
    readonly name: string;
    readonly plan: Plan;
    readonly chains: readonly (readonly number[])[];
    readonly counts: readonly number[];
    readonly shards: number;
    /** Whether local training is compared, too. */
    readonly local?: true;
  }[] = [
    {
      name: 'a refresh after every iteration, chains of two pairs, an odd number of classes, two blocks',
      plan: planWith(
        { samples: 40, features: 20, classes: 5 },
        { ...LINE, iterations: 4 },
        8192,
        { rows: 256, columns: 16 },
        { refreshEvery: 1, modelLevel: 0 },
        { pairsPerChain: 2, blocksPerTask: 1 },
      ),
      chains: [[0, 1], [2]],
      counts: [1, 1, 1, 1],
      shards: 1,
      local: true,
    },
    {
      name: 'a constant start, a last segment that is shorter, a model to predict with',
      plan: planWith(
        { samples: 40, features: 20, classes: 3 },
        { ...LINE, iterations: 3, initialWeight: 0.0128 },
        16384,
        { rows: 256, columns: 32 },
        { refreshEvery: 2, modelLevel: 1 },
      ),
      chains: [[0], [1]],
      counts: [2, 1],
      shards: 1,
    },
    {
      name: 'mini-batches of several shards, the last one smaller, over two epochs',
      plan: planWith(
        { samples: 72, features: 20, classes: 2 },
        { ...LINE, iterations: 6, batch: { size: 32, seed: 3 } },
        8192,
        { rows: 16, columns: 256 },
        { refreshEvery: 1, modelLevel: 0 },
        { shardsPerTask: 1 },
      ),
      chains: [[0]],
      counts: [1, 1, 1, 1, 1, 1],
      shards: 5,
      local: true,
    },
    {
      name: 'mini-batches from a constant start, chains of two pairs',
      plan: planWith(
        { samples: 48, features: 20, classes: 4 },
        { ...LINE, iterations: 3, initialWeight: -0.05, batch: { size: 16, seed: 8 } },
        8192,
        { rows: 16, columns: 256 },
        { refreshEvery: 1, modelLevel: 0 },
        { pairsPerChain: 2 },
      ),
      chains: [[0, 1]],
      counts: [1, 1, 1],
      shards: 3,
    },
  ];
  for (const { name, plan, chains, counts, shards, local: compared } of cases) {
    it(`${name} (${plan.parameters.name})`, async (t) => {
      assert.deepEqual(chainsOf(plan), chains, 'what this case is about');
      assert.deepEqual(
        plan.segments.map(({ count }) => count),
        counts,
      );
      assert.equal(plan.layout.shards, shards);
      using job = await makeJob(place, plan);
      await using watched = makePool(place);
      const trained = await trainOn(watched.pool, job);
      const blobs = await Promise.all(trained.models.map((digest) => place.store.get(parseDigest(digest))));
      for (const blob of blobs) assert.equal(parseHeader(blob).level, plan.schedule.modelLevel);
      const weights = decryptModel(job.keyset, plan, blobs);
      const error = largestError(weights, job.clear);
      t.diagnostic(`largest error ${error.toExponential(2)}, planned ${expectedError(plan).toExponential(2)}`);
      assert.ok(error > 0 && error < expectedError(plan), `${error}, planned ${expectedError(plan)}`);
      assert.deepEqual(trained.operations, plan.operations);
      if (compared !== true) return;
      const local = await trainEncryptedLocally(job.keyset, plan, job.data);
      assert.ok(largestError(weights, local.weights) < 2 * expectedError(plan));
      assert.deepEqual(local.operations, trained.operations);
    });
  }
});

describe('what the owner sent at a refresh', () => {
  it('is accepted in its own place only, even when a task names it for another', async () => {
    const plan = planWith(
      { samples: 40, features: 20, classes: 2 },
      { ...LINE, iterations: 2 },
      8192,
      { rows: 128, columns: 32 },
      { refreshEvery: 1, modelLevel: 0 },
    );
    using job = await makeJob(place, plan);
    await using watched = makePool(place);
    const { pool, statistics } = watched;
    const [, second] = plan.iterations;
    assert.ok(second?.weights !== undefined);
    const fresh = async (level: number, scale = plan.refreshScale): Promise<string> => {
      const fields = { kind: 'ciphertext', level, scale } as const;
      return putBytes(
        place,
        wrap(
          plan.parameters,
          fields,
          job.keyset.secret.encryptToBytes(new Float64Array(plan.parameters.slots).fill(0.01), level, scale),
        ),
      );
    };
    const [weights, momentum] = [await fresh(second.weights), await fresh(second.gradient + 1)];
    const common = { job: 'job-000000000000', manifest: job.digest };
    const forward = { kind: 'forward', ...common, iteration: 2, pair: 0, shards: [0] } satisfies Omit<
      ForwardTask,
      'weights'
    >;
    const { outputs: errors } = await pool.run({ ...forward, weights });
    const {
      outputs: [gradient = ''],
    } = await pool.run({ kind: 'backward', ...common, iteration: 2, pair: 0, shards: [0], blocks: [0], errors });
    const step = {
      kind: 'step',
      ...common,
      chain: 0,
      segment: 1,
      iteration: 2,
      history: [],
      gradients: [{ pair: 0, gradient }],
    } satisfies Work;
    const good = await pool.run({ ...step, fresh: { weights, momentum } });
    const heap = statistics.heapBytes;

    const refused = async (work: Work, message: RegExp): Promise<void> => {
      const error: unknown = await pool.run(work).catch((reason: unknown) => reason);
      assert.ok(error instanceof TaskError, JSON.stringify(error));
      assert.match(error.message, message);
      assert.ok(!error.retryable);
    };
    await refused({ ...forward, weights: momentum }, /^an intermediate result \(sha256:.*\): the level is/);
    await refused(
      { ...step, fresh: { weights: momentum, momentum: weights } },
      /^an intermediate result \(sha256:.*\): the level is/,
    );
    await refused({ ...step, fresh: { weights, momentum: `sha256:${'0'.repeat(64)}` } }, /sha256:0{64} is not in /);
    // A header that tells what is wanted, and something else behind it.
    const header = { kind: 'ciphertext', level: second.gradient + 1, scale: plan.refreshScale } as const;
    const disguised = await putBytes(
      place,
      wrap(plan.parameters, header, (await place.store.get(parseDigest(weights))).subarray(WIRE_HEADER_BYTES)),
    );
    await refused(
      { ...step, fresh: { weights, momentum: disguised } },
      /a ciphertext of level \d, .* inside; its header says level/,
    );

    assert.deepEqual((await pool.run({ ...step, fresh: { weights, momentum } })).outputs, good.outputs);
    assert.ok((await pool.run(firstTask(job))).outputs.length === 1);
    assert.ok(
      statistics.heapBytes <= heap + 64 * 2 ** 20,
      `${statistics.heapBytes} bytes of WebAssembly memory, ${heap} before`,
    );
  });
});
