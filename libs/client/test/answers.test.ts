/** What calls make of their answers: lost ones, late ones, and those of a server that is no Blindfit API. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BlindfitClient, BlobUpload } from '@blindfit/client';
import type { JobState } from '@blindfit/protocol';
import { clientOf, jobView, problem, PROBLEM, randomBlob, serve } from './support.ts';

const ID = 'job-0123456789ab';
const TOKEN_VIEW = { id: '0123456789abcdef', tenant: 'a', scopes: ['read'], createdAt: '2026-01-31T00:00:00.000Z' };
const MADE = { ...TOKEN_VIEW, token: 'the secret of the token' };
const ON = { on: true, drain: true, reason: 'new disks', since: '2026-01-31T00:00:00.000Z' };

test('calls of operators and owners send what they say, and give what came back', async (t) => {
  const asked: unknown[][] = [];
  const blob = randomBlob(100);
  const answers: Readonly<Record<string, unknown>> = {
    [`GET /v1/jobs/${ID}`]: jobView('queued'),
    [`POST /v1/jobs/${ID}/retry`]: jobView('queued'),
    [`DELETE /v1/jobs/${ID}?purge=true`]: jobView('failed'),
    'GET /v1/cluster': { workers: 1, threads: 2 },
    'GET /v1/maintenance': ON,
    'PUT /v1/maintenance': { on: false },
    'GET /v1/tokens': { tokens: [TOKEN_VIEW] },
    'POST /v1/tokens': MADE,
  };
  const url = await serve(t, (app) => {
    app.all('*', (request, reply) => {
      const call = `${request.method} ${request.url}`;
      asked.push([call, request.body ?? undefined]);
      if (request.url.startsWith('/v1/blobs/')) return reply.type('application/octet-stream').send(blob.bytes);
      return reply.send(answers[call]);
    });
  });
  const client = clientOf(t, url);
  const wanted = { tenant: 'a', scopes: ['read' as const] };
  const calls: readonly (readonly [(client: BlindfitClient) => Promise<unknown>, unknown[], unknown])[] = [
    [(c) => c.job(ID), [`GET /v1/jobs/${ID}`, undefined], jobView('queued')],
    [(c) => c.retry(ID), [`POST /v1/jobs/${ID}/retry`, undefined], jobView('queued')],
    [(c) => c.purge(ID), [`DELETE /v1/jobs/${ID}?purge=true`, undefined], undefined],
    [(c) => c.cluster(), ['GET /v1/cluster', undefined], { workers: 1, threads: 2 }],
    [(c) => c.maintenance(), ['GET /v1/maintenance', undefined], ON],
    [(c) => c.setMaintenance({ on: false }), ['PUT /v1/maintenance', { on: false }], { on: false }],
    [(c) => c.tokens(), ['GET /v1/tokens', undefined], [TOKEN_VIEW]],
    [(c) => c.createToken(wanted), ['POST /v1/tokens', wanted], MADE],
    [(c) => c.blob(blob.digest), [`GET /v1/blobs/${blob.digest}`, undefined], new Uint8Array(blob.bytes)],
  ];
  for (const [call, sent, given] of calls) {
    const answer = await call(client);
    assert.deepEqual(answer instanceof Uint8Array ? new Uint8Array(answer) : answer, given, String(sent[0]));
    assert.deepEqual(asked.splice(0), [sent]);
  }
});

test('a retry whose answer was lost counts unless the job has ended; what is gone is purged', async (t) => {
  let state: JobState = 'running';
  let code = 'JOB_NOT_FAILED';
  const url = await serve(t, (app) => {
    app.get(`/v1/jobs/${ID}`, (_request, reply) => reply.send(jobView(state)));
    app.all('*', (request, reply) => {
      const status = request.method === 'POST' ? 409 : 404;
      return reply
        .code(status)
        .type(PROBLEM)
        .send(problem(status, code, 'the reason'));
    });
  });
  const client = clientOf(t, url);
  for (state of ['queued', 'running', 'awaiting-refresh'] as const) assert.equal((await client.retry(ID)).state, state);
  for (state of ['succeeded', 'cancelled', 'failed'] as const) await assert.rejects(client.retry(ID), { code });
  state = 'running';
  code = 'MAINTENANCE';
  await assert.rejects(client.retry(ID), { code });
  await assert.rejects(client.purge(ID), { code, status: 404 });
  code = 'JOB_NOT_FOUND';
  await client.purge(ID);
  await assert.rejects(client.retry(ID), { code });
});

test('a source of blobs is closed when an upload fails, and zero lanes are one', async (t) => {
  const sent: string[] = [];
  let status = 201;
  const url = await serve(t, (app) => {
    app.head('/v1/blobs/:digest', (_request, reply) => reply.code(404).send());
    app.put<{ Params: { digest: string } }>('/v1/blobs/:digest', (request, reply) => {
      assert.equal(request.headers['content-type'], 'application/octet-stream');
      sent.push(request.params.digest);
      return status === 201
        ? reply.code(201).send({})
        : reply
            .code(status)
            .type(PROBLEM)
            .send(problem(status, 'NO', 'no'));
    });
  });
  const client = clientOf(t, url);
  const blobs = [1, 2, 3].map(randomBlob);
  let closed = 0;
  async function* source(): AsyncGenerator<BlobUpload> {
    try {
      for (const { digest, bytes } of blobs) yield await Promise.resolve({ digest, size: 1, bytes: () => bytes });
    } finally {
      closed++;
    }
  }
  await client.putBlobs(source(), { concurrency: 0 });
  assert.deepEqual(
    sent.splice(0),
    blobs.map(({ digest }) => digest),
  );
  assert.equal(closed, 1);
  status = 422;
  await assert.rejects(client.putBlobs(source(), { concurrency: 1 }), { code: 'NO' });
  assert.deepEqual([sent.length, closed], [1, 2]);
});

test('an abort ends the question whether a blob is there', async (t) => {
  const aborter = new AbortController();
  const url = await serve(t, (app) => {
    app.head('/v1/blobs/:digest', (_request, reply) => {
      aborter.abort(new Error('enough'));
      return reply.hijack();
    });
  });
  const { digest, bytes } = randomBlob(1);
  const upload = { digest, size: 1, bytes: () => bytes };
  await assert.rejects(clientOf(t, url, { attempts: 1 }).putBlobs([upload], { signal: aborter.signal }), /enough/);
});

test('every redirection is named, and no answer is quoted at length', async (t) => {
  let status = 300;
  const url = await serve(t, (app) => {
    app.get('/v1/cluster', (_request, reply) => reply.code(status).header('location', 'http://elsewhere/').send());
    app.get('/v1/usage', (_request, reply) => reply.send('x'.repeat(201)));
    app.get('/v1/tokens', (_request, reply) => reply.send('x'.repeat(200)));
  });
  const client = clientOf(t, url, { attempts: 1 });
  for (status of [300, 301, 302, 307, 308])
    await assert.rejects(client.cluster(), { status, message: /it redirects to http:\/\/elsewhere\/, and tokens/ });
  await assert.rejects(client.usage(), { message: new RegExp(`no JSON but "${'x'.repeat(200)}\\.\\.\\."$`) });
  await assert.rejects(client.tokens(), { message: new RegExp(`no JSON but "${'x'.repeat(200)}"$`) });
});

test('the address is used as it is, but for slashes at its end', (t) => {
  for (const [server, base] of [
    ['http://h:1', 'http://h:1'],
    ['http://h:1///', 'http://h:1'],
    ['https://h/a/b//', 'https://h/a/b'],
  ] as const)
    assert.equal(clientOf(t, server).server, base);
});

test('a client that is closed calls no more', async (t) => {
  const url = await serve(t, (app) => {
    app.all('*', (_request, reply) => reply.send({ workers: 1, threads: 2 }));
  });
  const client = clientOf(t, url, { attempts: 1 });
  await client.cluster();
  await client.close();
  await assert.rejects(client.cluster());
});
