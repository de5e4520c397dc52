/**
 * Answers to refreshes that their owner has not given, on a real stack with 128-bit parameters: from holders of a token
 * of the same tenant, who see everything of the job but its keys, and from somebody who writes to Redis.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { it } from 'node:test';
import { Redis } from 'ioredis';
import { at, digestOf, required } from '@blindfit/base';
import { signingKey, type SigningKey } from '@blindfit/base/signature';
import { ApiProblemError, type BlindfitClient } from '@blindfit/client';
import { parseHeader, unwrap, wrap, type WireFields } from '@blindfit/he';
import { decryptModel, followTraining, RefreshSession, stepBound } from '@blindfit/owner';
import {
  isFinal,
  refreshStatement,
  type JobView,
  type RefreshAnswer,
  type RefreshFacts,
  type RefreshPlace,
} from '@blindfit/protocol';
import { JobStore } from '@blindfit/queue';
import { parseRedisUrl } from '@blindfit/service';
import { DEFAULT_HYPERPARAMETERS, expectedRefresh, type Hyperparameters } from '@blindfit/training';
import {
  largestError,
  prepareJob,
  SHARED_KEYS,
  syntheticData,
  waitFor,
  withStack,
  type Prepared,
} from '../integration/support.ts';

const DATA = syntheticData(60, 12, 4);
const HYPERPARAMETERS: Hyperparameters = { ...DEFAULT_HYPERPARAMETERS, iterations: 3 };
/** In all, over the requests of a job. */
const FORGERIES = 1000;

/** A job whose owner has not answered yet. */
async function waitingJob(client: BlindfitClient, { manifest }: Prepared): Promise<JobView> {
  const { id } = await client.submit(manifest);
  const job = await waitFor(client, id, ({ state }) => state === 'awaiting-refresh');
  assert.equal(job.state, 'awaiting-refresh', job.error?.message);
  return job;
}

/** A ciphertext of the owner that the forger has downloaded, under the level and scale that an answer needs. */
function relabelled({ plan, blobs }: Prepared, fields: WireFields): { digest: string; bytes: Uint8Array } {
  const bytes = at([...blobs.values()], 0, 'blobs');
  const { kind, level, scale } = parseHeader(bytes);
  const payload = unwrap(bytes, { parameters: plan.parameters, fields: { kind, level, scale } });
  const forged = wrap(plan.parameters, fields, payload);
  return { digest: digestOf(forged), bytes: forged };
}

it('answers to refreshes', async (t) => {
  await withStack({}, async (stack, client) => {
    using prepared = await prepareJob(client, SHARED_KEYS, DATA, HYPERPARAMETERS, { refreshEvery: 1 });
    await t.test('that are forged, replayed or foreign are refused, and the model is the owner’s', async (t) => {
      const job = await waitingJob(client, prepared);
      const { plan, keyset } = prepared;
      const other = signingKey(randomBytes(32));
      const request = at(job.refreshes, 0, 'requests');
      const second = at(job.refreshes, 1, 'requests');
      const expected = expectedRefresh(plan, request.iteration);
      const forgery = {
        weights: relabelled(prepared, expected.weights),
        momentum: relabelled(prepared, expected.momentum),
      };
      for (const { digest, bytes } of Object.values(forgery)) await client.putBlob(digest, bytes);

      // What the owner will send, and a forger will have overheard: it fits one request only.
      const session = new RefreshSession(keyset, plan, stepBound(DATA, HYPERPARAMETERS));
      const answer = session.answer(request, await client.blob(request.weights));
      for (const { digest, bytes } of [answer.weights, answer.momentum]) await client.putBlob(digest, bytes);
      const own: RefreshFacts = { id: request.id, weights: answer.weights.digest, momentum: answer.momentum.digest };
      const overheard = session.answersFor(job).signed(request, own);

      const signed = (key: SigningKey, place: RefreshPlace, facts: RefreshFacts): RefreshAnswer => ({
        ...facts,
        signature: key.sign(refreshStatement(job, place, facts)),
      });
      const forged: RefreshFacts = {
        id: request.id,
        weights: forgery.weights.digest,
        momentum: forgery.momentum.digest,
      };
      const kinds: (() => RefreshAnswer)[] = [
        () => signed(signingKey(randomBytes(32)), request, forged),
        () => signed(other, request, own),
        () => ({ ...forged, signature: overheard.signature }),
        () => ({ ...own, momentum: forged.momentum, signature: overheard.signature }),
        () => ({ ...overheard, signature: randomBytes(64).toString('hex') }),
        () => ({ ...overheard, id: second.id }),
        () => ({ ...overheard, weights: own.momentum, momentum: own.weights }),
        () => {
          // One bit of the true signature.
          const bytes = Buffer.from(overheard.signature, 'hex');
          const position = randomBytes(1).readUInt8() % 64;
          bytes.writeUInt8(bytes.readUInt8(position) ^ (1 << (randomBytes(1).readUInt8() % 8)), position);
          return { ...overheard, signature: bytes.toString('hex') };
        },
      ];
      let accepted = 0;
      const codes: string[] = [];
      for (let sent = 0; sent < FORGERIES; sent++) {
        const outcome = await client.refresh(job.id, at(kinds, sent % kinds.length, 'kinds of forgery')()).then(
          () => 'accepted',
          (error: unknown) => {
            assert.ok(error instanceof ApiProblemError, String(error));
            return error.code;
          },
        );
        if (outcome === 'accepted') accepted++;
        codes.push(outcome);
      }
      const counts = [...Map.groupBy(codes, (code) => code)].map(([code, all]) => `${code} ${all.length}`);
      t.diagnostic(`accepted ${accepted} of ${FORGERIES}: ${counts.join(', ')}`);
      assert.equal(accepted, 0);
      assert.deepEqual((await client.job(job.id)).refreshes, job.refreshes, 'the job waits for its owner as before');

      const followed = await followTraining(client, job, { session, cancel: false });
      assert.equal(followed.job.state, 'succeeded', followed.job.error?.message);
      const models = required(followed.job.result, 'the result').models;
      const weights = decryptModel(keyset, plan, await client.result(job.id, models));
      const error = largestError(weights, prepared.clear);
      t.diagnostic(`largest weight error against the clear twin: ${error.toExponential(2)}`);
      assert.ok(error < 1e-5, String(error));
    });

    await t.test('that somebody writes into Redis are not computed with', async () => {
      const job = await waitingJob(client, prepared);
      const redis = new Redis({ ...parseRedisUrl(stack.redisUrl), replyMapping: 'legacy' });
      redis.on('error', () => undefined);
      try {
        const request = at(job.refreshes, 0, 'requests');
        const expected = expectedRefresh(prepared.plan, request.iteration);
        const forged = {
          weights: relabelled(prepared, expected.weights),
          momentum: relabelled(prepared, expected.momentum),
        };
        for (const { digest, bytes } of Object.values(forged)) await client.putBlob(digest, bytes);
        const facts = { id: request.id, weights: forged.weights.digest, momentum: forged.momentum.digest };
        const signature = signingKey(randomBytes(32)).sign(refreshStatement(job, request, facts));
        assert.ok(await new JobStore(redis, '{blindfit}').answerRefresh(job.id, { ...facts, signature }));
        const ended = await waitFor(client, job.id, ({ state }) => isFinal(state));
        assert.equal(ended.state, 'failed');
        assert.match(String(ended.error?.message), /NOT_SIGNED_BY_OWNER/);
      } finally {
        redis.disconnect();
      }
    });
  });
});
