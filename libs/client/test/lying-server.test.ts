/** A server that lies: what it sends is not what was asked for by its digest. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClientError, ResultDamagedError } from '@blindfit/client';
import { clientOf, digestOf, jobView, problem, PROBLEM, randomBlob, serve } from './support.ts';

const ID = 'job-0123456789ab';

test('blob() gives the bytes of the digest and nothing else', async (t) => {
  const [asked, other] = [randomBlob(70_000), randomBlob(70_000)];
  const answers = {
    honest: asked.bytes,
    'another blob': other.bytes,
    'one byte less': asked.bytes.subarray(1),
    'one byte more': Buffer.concat([asked.bytes, Buffer.of(0)]),
    'one bit': Buffer.from(asked.bytes.map((byte, at) => (at === 69_999 ? byte ^ 1 : byte))),
    nothing: Buffer.of(),
  };
  let answer: keyof typeof answers = 'honest';
  let requests = 0;
  const url = await serve(t, (app) => {
    app.get('/v1/blobs/:digest', (request, reply) => {
      requests++;
      assert.equal(request.url, `/v1/blobs/${asked.digest}`);
      return reply.type('application/octet-stream').send(answers[answer]);
    });
  });
  const client = clientOf(t, url, { attempts: 3 });
  assert.deepEqual(Buffer.from(await client.blob(asked.digest)), asked.bytes);
  for (const lie of ['another blob', 'one byte less', 'one byte more', 'one bit', 'nothing'] as const) {
    answer = lie;
    requests = 0;
    await assert.rejects(client.blob(asked.digest), (error) => {
      assert.ok(error instanceof ResultDamagedError && error instanceof ClientError, lie);
      assert.equal(error.code, 'RESULT_DAMAGED');
      assert.ok(error.message.includes(asked.digest) && error.message.includes(digestOf(answers[lie])));
      return true;
    });
    assert.equal(requests, 3, 'the way may have done it: it is asked again, and no more often than allowed');
  }
});

test('blob() takes the right bytes of a later attempt', async (t) => {
  const { bytes, digest } = randomBlob(1000);
  let requests = 0;
  const url = await serve(t, (app) => {
    app.get('/v1/blobs/:digest', (_request, reply) => reply.send(++requests < 3 ? randomBlob(1000).bytes : bytes));
  });
  assert.deepEqual(Buffer.from(await clientOf(t, url, { attempts: 3 }).blob(digest)), bytes);
});

test('blob() of what the server lacks, or with a wrong token, is the server’s problem', async (t) => {
  let status = 404;
  const url = await serve(t, (app) => {
    app.get('/v1/blobs/:digest', (_request, reply) =>
      reply
        .code(status)
        .type(PROBLEM)
        .send(problem(status, 'BLOB_NOT_FOUND', 'no such blob')),
    );
  });
  const { digest } = randomBlob(1);
  await assert.rejects(clientOf(t, url).blob(digest), { name: 'ApiProblemError', code: 'BLOB_NOT_FOUND', status: 404 });
  status = 401;
  await assert.rejects(clientOf(t, url).blob(digest), { name: 'ApiProblemError', hint: /BLINDFIT_TOKEN/ });
});

test('blob() believes no other success than 200', async (t) => {
  const { bytes, digest } = randomBlob(10);
  const url = await serve(t, (app) => {
    app.get('/v1/blobs/:digest', (_request, reply) => reply.code(206).send(bytes));
  });
  await assert.rejects(clientOf(t, url).blob(digest), { name: 'UnexpectedAnswerError', status: 206 });
});

test('result() refuses models in another order, and names the model', async (t) => {
  const models = [randomBlob(100), randomBlob(100)];
  const url = await serve(t, (app) => {
    app.get<{ Querystring: { model: string } }>(`/v1/jobs/${ID}/result`, (request, reply) =>
      reply.send(models[1 - Number(request.query.model)]?.bytes),
    );
  });
  const [first, second] = models.map(({ digest }) => digest);
  assert.ok(first !== undefined && second !== undefined);
  const client = clientOf(t, url, { attempts: 1 });
  await assert.rejects(client.result(ID, [first, second]), {
    message: `model 0 of ${ID} hashes to ${second}, not to ${first} as its record says`,
  });
  assert.deepEqual((await client.result(ID, [second])).map(digestOf), [second]);
});

test('a record of another job is not taken for the one that was asked for, whatever the call', async (t) => {
  const other = { ...jobView('succeeded'), id: 'job-ba9876543210' };
  const url = await serve(t, (app) => {
    for (const method of ['GET', 'DELETE'] as const)
      app.route({ method, url: `/v1/jobs/${ID}`, handler: () => Promise.resolve(other) });
    app.post(`/v1/jobs/${ID}/refresh`, () => Promise.resolve(other));
    app.get(`/v1/jobs/${ID}/events`, (_request, reply) =>
      reply.type('text/event-stream').send(`id: 1\nevent: progress\ndata: ${JSON.stringify(other)}\n\n`),
    );
  });
  const client = clientOf(t, url, { attempts: 1 });
  const answer = { id: '0'.repeat(32), weights: 'sha256:', momentum: 'sha256:', signature: '0'.repeat(128) };
  const calls: readonly (() => Promise<unknown>)[] = [
    () => client.job(ID),
    () => client.cancel(ID),
    () => client.refresh(ID, answer),
    () => client.events(ID, { patienceMs: 0 }).next(),
  ];
  for (const call of calls)
    await assert.rejects(call, {
      name: 'UnexpectedAnswerError',
      message: /not job-0123456789ab: \/id is "job-ba9876543210"/,
    });
});
