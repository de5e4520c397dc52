import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyReply } from 'fastify';
import { at } from '@blindfit/base';
import { ApiProblemError } from '@blindfit/client';
import type { JobView, TrainingManifest, RefreshAnswer, RefreshRequest } from '@blindfit/protocol';
import { clientOf, digestOf, jobView, problem, PROBLEM, randomBlob, serve } from './support.ts';

const ID = 'job-0123456789ab';
// The client passes a manifest on; what is in it is the API's affair.
const manifest = { format: 'blindfit-job/1', name: 'üñí' } as TrainingManifest;

test('a submission whose answer is lost is repeated with the same key', async (t) => {
  const keys: (string | undefined)[] = [];
  const url = await serve(t, (app) => {
    app.post('/v1/jobs', (request, reply) => {
      keys.push(request.headers['idempotency-key'] as string | undefined);
      assert.deepEqual(request.body, manifest);
      if (keys.length === 1) {
        request.raw.socket.destroy();
        return reply.hijack();
      }
      return reply.code(keys.length === 2 ? 503 : 201).send(jobView('queued'));
    });
  });
  const client = clientOf(t, url);
  assert.deepEqual(await client.submit(manifest), jobView('queued'));
  assert.equal(keys.length, 3);
  assert.ok(at(keys, 0, 'keys').length >= 16);
  assert.equal(new Set(keys).size, 1);
  await client.submit(manifest, { idempotencyKey: 'mine' });
  assert.equal(keys.at(-1), 'mine');
});

test('lists, shows and cancels jobs; problems keep their code and hint', async (t) => {
  const asked: string[] = [];
  const url = await serve(t, (app) => {
    app.get('/v1/jobs', (request, reply) => {
      asked.push(request.url);
      return reply.send({ jobs: [jobView(), jobView('failed')] });
    });
    app.get('/v1/jobs/:id', (_request, reply) =>
      reply
        .code(404)
        .type(PROBLEM)
        .send(problem(404, 'JOB_NOT_FOUND', 'there is none', 'list them')),
    );
    app.delete(`/v1/jobs/${ID}`, (_request, reply) => reply.send(jobView('cancelled')));
    app.get('/v1/cluster', (_request, reply) => reply.send({ workers: 2, threads: 8 }));
  });
  const client = clientOf(t, url);
  assert.deepEqual(
    (await client.jobs()).map(({ state }) => state),
    ['running', 'failed'],
  );
  await client.jobs({ limit: 5, state: 'running' });
  assert.deepEqual(asked, ['/v1/jobs', '/v1/jobs?limit=5&state=running']);
  assert.equal((await client.cancel(ID)).state, 'cancelled');
  assert.deepEqual(await client.cluster(), { workers: 2, threads: 8 });
  await assert.rejects(client.job('../../etc'), (error) => {
    assert.ok(error instanceof ApiProblemError);
    assert.deepEqual([error.status, error.code, error.hint], [404, 'JOB_NOT_FOUND', 'list them']);
    return true;
  });
});

test('a cancellation whose answer is lost counts, one that comes too late does not', async (t) => {
  let deletes = 0;
  let state: 'cancelled' | 'succeeded' = 'cancelled';
  const url = await serve(t, (app) => {
    app.delete(`/v1/jobs/${ID}`, (request, reply) => {
      if (++deletes > 1)
        return reply
          .code(409)
          .type(PROBLEM)
          .send(problem(409, 'JOB_FINISHED', 'too late'));
      request.raw.socket.destroy();
      return reply.hijack();
    });
    app.get(`/v1/jobs/${ID}`, (_request, reply) => reply.send(jobView(state)));
  });
  const client = clientOf(t, url);
  assert.equal((await client.cancel(ID)).state, 'cancelled');
  assert.equal(deletes, 2);
  state = 'succeeded';
  await assert.rejects(client.cancel(ID), { name: 'ApiProblemError', code: 'JOB_FINISHED' });
});

test('a purge whose answer is lost counts; one that is refused says why', async (t) => {
  const asked: unknown[] = [];
  let refused = false;
  const url = await serve(t, (app) => {
    app.delete(`/v1/jobs/${ID}`, (request, reply) => {
      asked.push([{ ...(request.query as object) }, request.headers['blindfit-signature']]);
      if (refused)
        return reply
          .code(409)
          .type(PROBLEM)
          .send(problem(409, 'JOB_NOT_FINISHED', 'it runs'));
      if (asked.length > 1)
        return reply
          .code(404)
          .type(PROBLEM)
          .send(problem(404, 'JOB_NOT_FOUND', 'it is gone'));
      request.raw.socket.destroy();
      return reply.hijack();
    });
  });
  const client = clientOf(t, url);
  await client.purge(ID, 'signed');
  assert.deepEqual(asked, [
    [{ purge: 'true' }, 'signed'],
    [{ purge: 'true' }, 'signed'],
  ]);
  refused = true;
  await assert.rejects(client.purge(ID), { name: 'ApiProblemError', code: 'JOB_NOT_FINISHED' });
  assert.deepEqual(asked.at(-1), [{ purge: 'true' }, undefined]);
});

test('a job tells what its owner is asked to refresh; an answer that is lost is repeated as it was', async (t) => {
  const request: RefreshRequest = {
    id: 'ab'.repeat(16),
    chain: 1,
    iteration: 3,
    weights: randomBlob(10).digest,
    previous: randomBlob(10).digest,
    since: new Date(0).toISOString(),
  };
  const answer: RefreshAnswer = {
    id: request.id,
    weights: randomBlob(10).digest,
    momentum: randomBlob(10).digest,
    signature: '0'.repeat(128),
  };
  const bodies: unknown[] = [];
  const url = await serve(t, (app) => {
    app.get(`/v1/jobs/${ID}`, (_request, reply) =>
      reply.send({ ...jobView('awaiting-refresh'), refreshes: [request] }),
    );
    app.post(`/v1/jobs/${ID}/refresh`, (incoming, reply) => {
      bodies.push(incoming.body);
      if (bodies.length === 1) {
        incoming.raw.socket.destroy();
        return reply.hijack();
      }
      return bodies.length === 2
        ? reply
            .code(503)
            .type(PROBLEM)
            .send(problem(503, 'REDIS_UNAVAILABLE', 'away'))
        : reply.send(jobView('running'));
    });
  });
  const client = clientOf(t, url);
  const waiting = await client.job(ID);
  assert.equal(waiting.state, 'awaiting-refresh');
  assert.deepEqual(waiting.refreshes, [request]);
  assert.deepEqual(await client.refresh(ID, answer), jobView('running'));
  assert.deepEqual(bodies, [answer, answer, answer]);
});

test('an answer that is refused is not repeated, and what is no job is not believed', async (t) => {
  const answer: RefreshAnswer = {
    id: 'ab'.repeat(16),
    weights: randomBlob(10).digest,
    momentum: randomBlob(10).digest,
    signature: '0'.repeat(128),
  };
  const refusals = [
    problem(409, 'REFRESH_NOT_AWAITED', 'nobody waits for it', 'look at the job'),
    problem(409, 'JOB_FINISHED', 'too late'),
    problem(422, 'BLOBS_MISSING', 'weights is missing'),
  ];
  let asked = 0;
  const url = await serve(t, (app) => {
    app.post('/v1/jobs/:id/refresh', (request, reply) => {
      const refusal = refusals[asked++];
      if (refusal !== undefined) return reply.code(refusal.status).type(PROBLEM).send(refusal);
      return (request.params as { id: string }).id === ID
        ? reply.send({ taken: true })
        : reply
            .code(404)
            .type(PROBLEM)
            .send(problem(404, 'JOB_NOT_FOUND', 'there is none'));
    });
  });
  const client = clientOf(t, url);
  for (const { status, code } of refusals)
    await assert.rejects(client.refresh(ID, answer), { name: 'ApiProblemError', status, code });
  await assert.rejects(client.refresh(ID, answer), { name: 'UnexpectedAnswerError', message: /not a job/ });
  await assert.rejects(client.refresh('../../v1/blobs', answer), { name: 'ApiProblemError', code: 'JOB_NOT_FOUND' });
  assert.equal(asked, 5);
});

test('results are checked against their digests', async (t) => {
  const models = [randomBlob(70_000), randomBlob(10)];
  let damaged = 1;
  const url = await serve(t, (app) => {
    app.get<{ Querystring: { model: number } }>(`/v1/jobs/${ID}/result`, (request, reply) => {
      const bytes = Buffer.from(models[request.query.model]?.bytes ?? []);
      if (damaged-- > 0) bytes[0] = at(bytes, 0, 'bytes') ^ 1;
      return reply.type('application/octet-stream').send(bytes);
    });
  });
  const client = clientOf(t, url, { attempts: 3 });
  const digests = models.map(({ digest }) => digest);
  const bytes = await client.result(ID, digests);
  assert.deepEqual(bytes.map(digestOf), digests);
  damaged = Infinity;
  await assert.rejects(client.result(ID, digests), { name: 'ResultDamagedError', code: 'RESULT_DAMAGED' });
});

/** A job's event stream that the test writes by hand. */
function stream(reply: FastifyReply): {
  send(view: JobView, id?: number): void;
  raw(text: string): void;
  cut(): void;
  end(): void;
} {
  reply.hijack();
  reply.raw.writeHead(200, { 'content-type': 'text/event-stream' });
  return {
    send: (view, id) =>
      void reply.raw.write(
        `${id === undefined ? '' : `id: ${id}\n`}event: progress\ndata: ${JSON.stringify(view)}\n\n`,
      ),
    raw: (text) => void reply.raw.write(text),
    cut: () => void reply.raw.destroy(),
    end: () => void reply.raw.end(),
  };
}

async function collect(views: AsyncIterable<JobView>): Promise<string[]> {
  const seen: string[] = [];
  for await (const { state, progress } of views) seen.push(`${state} ${progress.tasksDone}`);
  return seen;
}

test('events survive cuts, silence and server errors, and end with the job', async (t) => {
  const resumedFrom: (string | undefined)[] = [];
  const connections: boolean[] = [];
  const url = await serve(t, (app) => {
    app.get(`/v1/jobs/${ID}/events`, async (request, reply) => {
      resumedFrom.push(request.headers['last-event-id'] as string | undefined);
      switch (resumedFrom.length) {
        case 1: {
          const out = stream(reply);
          out.send(jobView('running', 1), 7);
          out.raw(
            `: still here\n\nevent: progress\nid: 8\ndata: ${JSON.stringify(jobView('running', 2))}`.slice(0, -20),
          );
          await sleep(50);
          out.cut(); // in the middle of an event, which must not count
          return;
        }
        case 2:
          return reply
            .code(503)
            .type(PROBLEM)
            .send(problem(503, 'REDIS_UNAVAILABLE', 'away'));
        case 3:
          stream(reply).send(jobView('running', 1), 7); // known already; then silence
          return;
        case 4:
          stream(reply).end();
          return;
        default: {
          const out = stream(reply);
          const text = JSON.stringify({ ...jobView('running', 3), name: 'ü'.repeat(10) });
          const bytes = Buffer.from(`event: progress\ndata: ${text}\n\n`);
          for (const byte of bytes) reply.raw.write(Uint8Array.of(byte));
          out.send(jobView('succeeded', 10));
          out.send(jobView('succeeded', 11)); // nothing comes after a final state
        }
      }
    });
  });
  const client = clientOf(t, url, { idleTimeoutMs: 300 });
  const seen = await collect(client.events(ID, { onConnection: (connected) => void connections.push(connected) }));
  assert.deepEqual(seen, ['running 1', 'running 3', 'succeeded 10']);
  assert.deepEqual(resumedFrom, [undefined, '7', '7', '7', '7']);
  assert.deepEqual(connections, [false, true, false, true]);
});

test('the end event ends the events only if the job did', async (t) => {
  let state: 'running' | 'failed' = 'running';
  let streams = 0;
  const url = await serve(t, (app) => {
    app.get(`/v1/jobs/${ID}`, (_request, reply) => reply.send(jobView(state, 9)));
    app.get(`/v1/jobs/${ID}/events`, (_request, reply) => {
      const out = stream(reply);
      if (++streams === 2) state = 'failed';
      out.raw('event: end\ndata: {}\n\n');
    });
  });
  assert.deepEqual(await collect(clientOf(t, url).events(ID)), ['failed 9']);
  assert.equal(streams, 2);
});

test('events wait for a server that restarts, and give up on one that stays away', async (t) => {
  let connected = 0;
  const url = await serve(t, (app) => {
    app.get(`/v1/jobs/${ID}/events`, (_request, reply) => {
      const out = stream(reply);
      if (++connected === 1) {
        out.send(jobView('running', 1));
        setTimeout(() => void app.close(), 20);
      }
    });
  });
  const client = clientOf(t, url);
  setTimeout(
    () =>
      void serve(
        t,
        (app) =>
          void app.get(`/v1/jobs/${ID}/events`, (_request, reply) => stream(reply).send(jobView('cancelled', 1))),
        Number(new URL(url).port),
      ),
    300,
  );
  assert.deepEqual(await collect(client.events(ID)), ['running 1', 'cancelled 1']);

  const nobody = clientOf(t, 'http://127.0.0.1:1');
  await assert.rejects(collect(nobody.events(ID, { patienceMs: 100 })), { name: 'ServerUnreachableError' });
});

test('events can be aborted while waiting, and fail at once on permanent errors', async (t) => {
  let closed: Promise<unknown> = Promise.resolve();
  const url = await serve(t, (app) => {
    app.get(`/v1/jobs/${ID}/events`, (request, reply) => {
      closed = once(request.raw.socket, 'close');
      stream(reply).send(jobView('running', 1));
    });
    app.get('/v1/jobs/job-html/events', (_request, reply) => reply.type('text/html').send('<html>'));
    app.get('/v1/jobs/job-odd/events', (_request, reply) => stream(reply).raw('event: progress\ndata: {"id": 3}\n\n'));
    app.get('/v1/jobs/job-none/events', (_request, reply) =>
      reply
        .code(404)
        .type(PROBLEM)
        .send(problem(404, 'JOB_NOT_FOUND', 'there is none')),
    );
  });
  const client = clientOf(t, url);
  const stop = new AbortController();
  const seen: JobView[] = [];
  await assert.rejects(
    async () => {
      for await (const view of client.events(ID, { signal: stop.signal })) {
        seen.push(view);
        setTimeout(() => stop.abort(new Error('stopped')), 20);
      }
    },
    { message: 'stopped' },
  );
  assert.equal(seen.length, 1);
  await closed;
  // Leaving the loop hangs up as well.
  for await (const view of client.events(ID)) {
    assert.equal(view.id, ID);
    break;
  }
  await closed;
  await assert.rejects(collect(client.events('job-html')), {
    name: 'UnexpectedAnswerError',
    message: /not a stream of events but text\/html/,
  });
  await assert.rejects(collect(client.events('job-odd')), { name: 'UnexpectedAnswerError', message: /not a job/ });
  await assert.rejects(collect(client.events('job-none')), { name: 'ApiProblemError', code: 'JOB_NOT_FOUND' });
});

test('a token is asked for once, and names of tenants and tokens cannot leave their place in the path', async (t) => {
  const asked: string[] = [];
  const url = await serve(t, (app) => {
    app.addHook('onRequest', (request, _reply, done) => {
      asked.push(`${request.method} ${request.url}`);
      done();
    });
    app.all('*', (_request, reply) =>
      reply
        .code(503)
        .type(PROBLEM)
        .send(problem(503, 'AWAY', 'it is away')),
    );
  });
  const client = clientOf(t, url, { attempts: 2 });
  const away = { status: 503, code: 'AWAY' };
  await assert.rejects(client.createToken({ tenant: 'a', scopes: ['read'] }), away);
  assert.deepEqual(asked.splice(0), ['POST /v1/tokens'], 'a second one would be a second token');
  await assert.rejects(client.setTenant('a/../b', {}), away);
  await assert.rejects(client.revokeToken('../x'), away);
  await assert.rejects(client.job('a/b?c'), away);
  assert.deepEqual(
    [...new Set(asked)],
    ['PUT /v1/tenants/a%2F..%2Fb', 'DELETE /v1/tokens/..%2Fx', 'GET /v1/jobs/a%2Fb%3Fc'],
  );
  assert.equal(asked.length, 6);
});
