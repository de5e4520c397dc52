/** `POST /v1/jobs/:id/refresh`: the owner's answers, and everything that is not one. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test, type TestContext } from 'node:test';
import { defined } from '@blindfit/base';
import { signingKey } from '@blindfit/base/signature';
import { Parameters, wrap, type WireFields } from '@blindfit/he';
import {
  cancelStatement,
  PROTOCOL,
  refreshStatement,
  type JobView,
  type RefreshAnswer,
  type RefreshFacts,
  type RefreshPlace,
  type RefreshRequest,
  type TrainingManifest,
} from '@blindfit/protocol';
import { AWAITING, DONE, type ChainRecord } from '@blindfit/queue';
import { type Plan, expectedRefresh } from '@blindfit/training';
import { jobOf, problemOf } from './answers.ts';
import { makeJob, OWNER, putBlob, startService, type Service } from './service.ts';
import { randomBlob } from './support.ts';

interface Waiting {
  readonly service: Service;
  readonly plan: Plan;
  readonly id: string;
  readonly submitted: TrainingManifest;
  /** Its digest. */
  readonly manifest: string;
  /** Of chain 0, after the first iteration. */
  readonly request: RefreshRequest;
  readonly post: (body: unknown, job?: string) => Promise<Response>;
}

/** A running job of two chains and three iterations; the first chain waits for its owner. */
async function waitingJob(t: TestContext): Promise<Waiting> {
  const service = await startService(t);
  const { manifest, plan } = await makeJob(
    service.store,
    { iterations: 3 },
    { samples: 100, features: 5, classes: 3 },
    { refreshEvery: 1 },
  );
  assert.equal(plan.segments.length, 3);
  const job = await jobOf(await service.submit(manifest), 201);
  await service.jobs.start(job.id);
  const request = await reachRefresh(service, job.id, 0, 1);
  const post: Waiting['post'] = (body, id = job.id) =>
    service.call(`/v1/jobs/${id}/refresh`, {
      method: 'POST',
      body: typeof body === 'string' ? body : JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    });
  return { service, plan, id: job.id, submitted: manifest, manifest: job.manifest, request, post };
}

/** What the scheduler does at the end of a segment. */
async function reachRefresh({ jobs }: Service, id: string, chain: number, iteration: number): Promise<RefreshRequest> {
  const request: RefreshRequest = {
    id: randomBytes(16).toString('hex'),
    chain,
    iteration,
    weights: randomBlob(10).digest,
    since: new Date().toISOString(),
  };
  const seen = (await jobs.chains(id))[chain];
  const { fresh, answer } = seen ?? {};
  const next = defined<ChainRecord>({
    phase: AWAITING,
    segment: iteration - 1,
    history: [],
    request,
    weights: undefined,
    fresh,
    answer,
  });
  assert.equal(await jobs.setChain(id, chain, seen, next), true);
  return request;
}

/** SEAL's bytes of a ciphertext with a seed, with noise for its coefficients. */
function freshPayload({ ring }: Parameters, { level = 0 }: WireFields): Uint8Array {
  const frame = (content: Uint8Array): Buffer => {
    const header = Buffer.alloc(16);
    header.writeUInt16LE(0xa15e, 0);
    header.set([16, 4], 2);
    header.writeBigUInt64LE(BigInt(16 + content.length), 8);
    return Buffer.concat([header, content]);
  };
  const fields = Buffer.alloc(73);
  [2, ring, level + 1].forEach((value, position) => fields.writeBigUInt64LE(BigInt(value), 33 + 8 * position));
  const count = Buffer.alloc(8);
  count.writeBigUInt64LE(BigInt(ring * (level + 1)));
  const coefficients = frame(Buffer.concat([count, randomBytes(8 * ring * (level + 1))]));
  return frame(Buffer.concat([fields, coefficients, frame(randomBytes(65))]));
}

/** Blobs with the right headers, as if they had just been encrypted, and the owner's signature. */
async function answerTo(
  waiting: Pick<Waiting, 'service' | 'plan' | 'id' | 'manifest'>,
  request: RefreshRequest,
): Promise<RefreshAnswer> {
  const { service, plan } = waiting;
  const { weights, momentum } = expectedRefresh(plan, request.iteration);
  const put = (fields: WireFields): Promise<string> =>
    putBlob(service.store, wrap(plan.parameters, fields, freshPayload(plan.parameters, fields)));
  return signed(waiting, request, { id: request.id, weights: await put(weights), momentum: await put(momentum) });
}

function signed(
  { id, manifest }: Pick<Waiting, 'id' | 'manifest'>,
  place: RefreshPlace,
  { id: request, weights, momentum }: RefreshFacts,
): RefreshAnswer {
  const facts = { id: request, weights, momentum };
  return { ...facts, signature: OWNER.sign(refreshStatement({ id, manifest }, place, facts)) };
}

test('an answer lets its chain go on, with what the owner sent, and a job that awaits it runs again', async (t) => {
  const waiting = await waitingJob(t);
  const { service, id, manifest, request, post } = waiting;
  const other = await reachRefresh(service, id, 1, 1);
  const shown = await jobOf(await service.call(`/v1/jobs/${id}`));
  assert.equal(shown.state, 'awaiting-refresh');
  assert.equal(shown.progress.phase, 'awaiting-refresh');
  assert.deepEqual(shown.refreshes, [request, other]);
  const list = (await (await service.call('/v1/jobs?state=awaiting-refresh')).json()) as { jobs: JobView[] };
  assert.deepEqual(list.jobs, [shown]);

  const answer = await answerTo(waiting, request);
  const going = await jobOf(await post(answer));
  assert.equal(going.state, 'running');
  assert.deepEqual(going.refreshes, [other]);
  assert.deepEqual(await jobOf(await service.call(`/v1/jobs/${id}`)), going);
  const entry = await service.chains.getJob(`${id}.chain.0.1`);
  const fresh = { weights: answer.weights, momentum: answer.momentum };
  assert.deepEqual(entry?.data, {
    job: id,
    manifest,
    protocol: PROTOCOL,
    chain: 0,
    segment: 1,
    history: [],
    fresh,
  });
  assert.equal(await entry.getState(), 'prioritized');

  // Repeating is safe, as often as one likes and all at once.
  for (const again of await Promise.all(Array.from({ length: 8 }, () => post(answer))))
    assert.deepEqual(await jobOf(again), going);
  assert.equal(await service.chains.getPrioritizedCount(), 1);

  // After the next refresh the answer to the one before is an old one.
  const second = await reachRefresh(service, id, 0, 2);
  assert.equal(
    (await jobOf(await post(answer))).state,
    'awaiting-refresh',
    'repeated late, it still is what was taken',
  );
  assert.equal(await service.chains.getPrioritizedCount(), 1);
  const next = await answerTo(waiting, second);
  await jobOf(await post(next));
  assert.deepEqual((await service.chains.getJob(`${id}.chain.0.2`))?.data.fresh, {
    weights: next.weights,
    momentum: next.momentum,
  });
  await problemOf(await post(answer), 409, 'REFRESH_NOT_AWAITED');
  assert.equal(await service.chains.getPrioritizedCount(), 2);
});

test('what nobody waits for is refused: other answers, other requests, other jobs', async (t) => {
  const waiting = await waitingJob(t);
  const { service, id, request, post } = waiting;
  const answer = await answerTo(waiting, request);
  const foreign = await problemOf(
    await post({ ...answer, id: randomBytes(16).toString('hex') }),
    409,
    'REFRESH_NOT_AWAITED',
  );
  assert.ok(foreign.hint?.includes(`${request.id} (chain 0, iteration 1)`), foreign.hint);
  const { id: another } = await jobOf(await service.submit(waiting.submitted), 201);
  const elsewhere = await problemOf(await post(answer, another), 409, 'REFRESH_NOT_AWAITED');
  assert.match(elsewhere.hint ?? '', /waits for none now/);
  await problemOf(await post(answer, 'job-000000000000000000000000'), 404, 'JOB_NOT_FOUND');
  assert.equal(await service.chains.count(), 0);
  assert.deepEqual((await service.jobs.get(id))?.refreshes, [request]);

  await jobOf(await post(answer));
  const different = await answerTo(waiting, request);
  await problemOf(await post(different), 409, 'REFRESH_NOT_AWAITED');
  await problemOf(await post({ ...answer, momentum: different.momentum }), 409, 'REFRESH_NOT_AWAITED');
  assert.deepEqual((await service.jobs.chains(id))[0]?.answer, { ...answer, chain: 0, iteration: 1 });
});

test('of different answers at the same time one is taken', async (t) => {
  const waiting = await waitingJob(t);
  const answers = await Promise.all(Array.from({ length: 6 }, () => answerTo(waiting, waiting.request)));
  const responses = await Promise.all(answers.map((answer) => waiting.post(answer)));
  assert.deepEqual(responses.map(({ status }) => status).sort(), [200, 409, 409, 409, 409, 409]);
  const taken = answers[responses.findIndex(({ status }) => status === 200)];
  assert.deepEqual((await waiting.service.chains.getJob(`${waiting.id}.chain.0.1`))?.data.fresh, {
    weights: taken?.weights,
    momentum: taken?.momentum,
  });
});

test('blobs that are missing or do not fit are refused with the reason, and the job goes on waiting', async (t) => {
  const waiting = await waitingJob(t);
  const { service, plan, request, id, post } = waiting;
  const good = await answerTo(waiting, request);
  const fields = expectedRefresh(plan, request.iteration);
  assert.ok(fields.weights.kind === 'ciphertext' && fields.momentum.kind === 'ciphertext');
  const put = (of: WireFields, parameters = plan.parameters): Promise<string> =>
    putBlob(service.store, wrap(parameters, of, randomBytes(500)));
  const absent = randomBlob(10).digest;
  const changed = (change: Partial<RefreshFacts>): RefreshAnswer => signed(waiting, request, { ...good, ...change });
  const missing = await problemOf(await post(changed({ momentum: absent })), 422, 'BLOBS_MISSING');
  assert.deepEqual(missing.blobs, [{ place: 'momentum', digest: absent, reason: 'missing' }]);
  const foreign = await put(fields.momentum);
  await service.jobs.blobs.remove(foreign);
  await problemOf(await post(changed({ momentum: foreign })), 422, 'BLOBS_MISSING');
  const cases: [string, Partial<RefreshAnswer>, string, RegExp][] = [
    ['weights and momentum exchanged', { weights: good.momentum, momentum: good.weights }, 'weights', /the level is/],
    [
      'a level too low',
      { weights: await put({ ...fields.weights, level: (fields.weights.level ?? 0) - 1 }) },
      'weights',
      /the level is/,
    ],
    [
      'a level too high',
      { momentum: await put({ ...fields.momentum, level: (fields.momentum.level ?? 0) + 1 }) },
      'momentum',
      /the level is/,
    ],
    [
      'another scale',
      { weights: await put({ ...fields.weights, scale: plan.refreshScale * 2 }) },
      'weights',
      /the scale is/,
    ],
    [
      'a scale that is no number',
      { momentum: await put({ ...fields.momentum, scale: Number.NaN }) },
      'momentum',
      /the scale is NaN/,
    ],
    ['a key', { weights: await put({ kind: 'relinearisation-key' }) }, 'weights', /ciphertext is expected/],
    [
      'other parameters',
      {
        momentum: await put(
          fields.momentum,
          Parameters.of({ ring: 8192, dataBits: [50, 40], specialBits: 60, scaleBits: 40 }),
        ),
      },
      'momentum',
      /parameter set/,
    ],
    ['a ciphertext that was not encrypted just now', { weights: await put(fields.weights) }, 'weights', /SEAL/],
    ['noise', { weights: await putBlob(service.store, randomBytes(1000)) }, 'weights', /not a Blindfit blob/],
  ];
  for (const [name, change, place, reason] of cases) {
    const problem = await problemOf(await post(changed(change)), 422, 'BLOBS_INVALID');
    assert.equal(problem.blobs?.[0]?.place, place, name);
    assert.match(problem.blobs[0].reason, reason, name);
  }
  assert.deepEqual((await service.jobs.get(id))?.refreshes, [request]);
  assert.equal(await service.chains.count(), 0);
  await jobOf(await post(good));
});

test('what has not the form of an answer is refused', async (t) => {
  const waiting = await waitingJob(t);
  const { service, request, post } = waiting;
  const good = await answerTo(waiting, request);
  const cases: [unknown, RegExp][] = [
    ['null', /must be object/],
    [[good], /must be object/],
    [{}, /id/],
    [{ id: good.id, weights: good.weights }, /momentum/],
    [{ ...good, id: 'job' }, /\/id/],
    [{ ...good, id: good.id.toUpperCase() + '0' }, /\/id/],
    [{ ...good, weights: '../../etc/passwd' }, /\/weights/],
    [{ ...good, momentum: 7 }, /\/momentum/],
    [{ ...good, secretKey: 'x' }, /additional/i],
  ];
  for (const [body, detail] of cases) {
    const problem = await problemOf(await post(body), 422, 'INVALID_REFRESH');
    assert.match(problem.detail, detail);
    assert.match(problem.hint ?? '', /"id", "weights", "momentum", "signature"/);
  }
  for (const bad of ['', '{', '[1,']) await problemOf(await post(bad), 400, 'INVALID_REQUEST');
  assert.equal(
    (await fetch(`${service.url}/v1/jobs/${waiting.id}/refresh`, { method: 'POST', body: JSON.stringify(good) }))
      .status,
    401,
  );
  assert.equal(await service.chains.count(), 0);
});

test('a job that has ended takes no answer', async (t) => {
  const waiting = await waitingJob(t);
  const { service, id, request, post } = waiting;
  const answer = await answerTo(waiting, request);
  await reachRefresh(service, id, 1, 1);
  const cancelled = await jobOf(await service.call(`/v1/jobs/${id}`, { method: 'DELETE' }));
  assert.equal(cancelled.state, 'cancelled');
  assert.deepEqual(cancelled.refreshes, []);
  assert.match((await problemOf(await post(answer), 409, 'JOB_FINISHED')).detail, /cancelled/);
  assert.deepEqual(await jobOf(await service.call(`/v1/jobs/${id}`)), cancelled);
  assert.equal(await service.chains.count(), 0);
});

test('an answer that was recorded right before a crash is queued when it is repeated, also late', async (t) => {
  const waiting = await waitingJob(t);
  const { service, id, request, post } = waiting;
  const answer = await answerTo(waiting, request);
  const recorded = await service.jobs.answerRefresh(id, answer);
  assert.equal(recorded?.record.segment, 1);
  assert.equal(await service.chains.getJob(`${id}.chain.0.1`), undefined);
  assert.equal((await jobOf(await post(answer))).state, 'running');
  assert.deepEqual((await service.chains.getJob(`${id}.chain.0.1`))?.data.fresh, {
    weights: answer.weights,
    momentum: answer.momentum,
  });

  // A chain that is done is never queued again, whatever has become of its entries.
  await service.jobs.setChain(id, 0, recorded.record, {
    phase: DONE,
    segment: 2,
    history: [answer.weights],
    weights: answer.weights,
    answer: { ...answer, chain: 0, iteration: 1 },
  });
  await service.chains.remove(`${id}.chain.0.1`);
  await jobOf(await post(answer));
  assert.equal(await service.chains.count(), 0);
});

test('an answer that the owner of the job has not signed is refused, whoever sends it', async (t) => {
  const waiting = await waitingJob(t);
  const { service, id, request, post } = waiting;
  const good = await answerTo(waiting, request);
  const another = await answerTo(waiting, request);
  const other = signingKey(new Uint8Array(32).fill(8));
  const resigned = (place: RefreshPlace, job = waiting): string => signed(job, place, good).signature;
  const forged: [string, RefreshAnswer][] = [
    ['no signature worth the name', { ...good, signature: '0'.repeat(128) }],
    ['another owner', { ...good, signature: other.sign(refreshStatement(waiting, request, good)) }],
    ['other weights', { ...good, weights: another.weights }],
    ['another momentum', { ...good, momentum: another.momentum }],
    ['another chain', { ...good, signature: resigned({ ...request, chain: 1 }) }],
    ['another iteration', { ...good, signature: resigned({ ...request, iteration: 2 }) }],
    ['another job', { ...good, signature: resigned(request, { ...waiting, id: 'job-000000000000' }) }],
    [
      'another manifest',
      { ...good, signature: resigned(request, { ...waiting, manifest: `sha256:${'0'.repeat(64)}` }) },
    ],
    ['a cancellation', { ...good, signature: OWNER.sign(cancelStatement(waiting)) }],
  ];
  for (const [what, answer] of forged) {
    const problem = await problemOf(await post(answer), 403, 'NOT_SIGNED_BY_OWNER');
    assert.match(problem.hint ?? '', /keys that the job was submitted with/, what);
  }
  assert.deepEqual((await service.jobs.get(id))?.refreshes, [request]);
  assert.equal(await service.chains.count(), 0);
  await jobOf(await post(good));
});
