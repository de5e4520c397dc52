import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import { ApiProblemError, ServerUnreachableError, UnexpectedAnswerError, type BlobUpload } from '@blindfit/client';
import { clientOf, digestOf, problem, PROBLEM, randomBlob, serve } from './support.ts';

/** Blob routes as the API has them. */
function blobRoutes(
  app: FastifyInstance,
  blobs: Map<string, Buffer>,
  beforePut: (attempt: number) => number | 'drop' = () => 201,
): { puts: string[] } {
  const puts: string[] = [];
  app.head<{ Params: { digest: string } }>('/v1/blobs/:digest', (request, reply) =>
    reply.code(blobs.has(request.params.digest) ? 200 : 404).send(),
  );
  app.put<{ Params: { digest: string }; Body: Buffer }>('/v1/blobs/:digest', async (request, reply) => {
    puts.push(request.params.digest);
    const status = beforePut(puts.length);
    if (status === 'drop') {
      request.raw.socket.destroy();
      return reply.hijack();
    }
    if (status >= 400)
      return reply
        .code(status)
        .type(PROBLEM)
        .send(problem(status, `E${status}`, 'on purpose', 'a hint'));
    assert.equal(digestOf(request.body), request.params.digest);
    blobs.set(request.params.digest, request.body);
    return reply.code(status).send({});
  });
  return { puts };
}

test('sends what is missing and asks first', async (t) => {
  const blobs = new Map<string, Buffer>();
  let requests = 0;
  const seen = { puts: [] as string[] };
  const url = await serve(t, (app) => {
    app.addHook('onRequest', (request, _reply, done) => {
      requests++;
      assert.equal(request.headers.authorization, 'Bearer the-token-of-the-tests');
      done();
    });
    seen.puts = blobRoutes(app, blobs).puts;
  });
  const client = clientOf(t, `${url}/`);
  const blob = randomBlob(300_000);
  assert.equal(client.server, url);
  assert.equal(await client.hasBlob(blob.digest), false);
  assert.equal(await client.putBlob(blob.digest, blob.bytes), true);
  assert.deepEqual(blobs.get(blob.digest), blob.bytes);
  assert.equal(await client.hasBlob(blob.digest), true);
  assert.equal(await client.putBlob(blob.digest, blob.bytes), false);
  assert.equal(seen.puts.length, 1);
  assert.equal(requests, 5);
  const empty = randomBlob(0);
  assert.equal(await client.putBlob(empty.digest, empty.bytes), true);
  await assert.rejects(client.putBlob('../etc/passwd', blob.bytes), /not the digest of a blob/);
});

test('retries what may pass: 503 and cut connections', async (t) => {
  const blobs = new Map<string, Buffer>();
  const blob = randomBlob(1_000_000);
  const url = await serve(
    t,
    (app) => void blobRoutes(app, blobs, (attempt) => ([503, 'drop', 429, 503] as const)[attempt - 1] ?? 201),
  );
  assert.equal(await clientOf(t, url).putBlob(blob.digest, blob.bytes), true);
  assert.deepEqual(blobs.get(blob.digest), blob.bytes);
});

test('gives up with the problem the server reports when it stays', async (t) => {
  const blob = randomBlob(1000);
  let attempts = 0;
  const url = await serve(t, (app) => void blobRoutes(app, new Map(), (attempt) => ((attempts = attempt), 503)));
  await assert.rejects(clientOf(t, url, { attempts: 3 }).putBlob(blob.digest, blob.bytes), (error) => {
    assert.ok(error instanceof ApiProblemError);
    assert.deepEqual([error.status, error.code, error.detail, error.hint], [503, 'E503', 'on purpose', 'a hint']);
    return true;
  });
  assert.equal(attempts, 3);
});

test('does not retry a full disk, nor what is wrong with the request', async (t) => {
  for (const status of [507, 413, 422]) {
    let attempts = 0;
    const blob = randomBlob(1000);
    const url = await serve(t, (app) => void blobRoutes(app, new Map(), (attempt) => ((attempts = attempt), status)));
    await assert.rejects(clientOf(t, url).putBlob(blob.digest, blob.bytes), { name: 'ApiProblemError', status });
    assert.equal(attempts, 1, String(status));
  }
});

test('a wrong token is said so, also where the answer has no body', async (t) => {
  const url = await serve(t, (app) => {
    app.addHook('onRequest', (_request, reply) =>
      reply
        .code(401)
        .type(PROBLEM)
        .send(problem(401, 'UNAUTHORIZED', 'the bearer token is another')),
    );
  });
  const client = clientOf(t, url);
  for (const call of [() => client.hasBlob(randomBlob(1).digest), () => client.job('job-0123456789ab')]) {
    await assert.rejects(call, {
      name: 'ApiProblemError',
      status: 401,
      code: 'UNAUTHORIZED',
      hint: /set BLINDFIT_TOKEN/,
    });
  }
});

test('a server that is not there is named, with what to do', async (t) => {
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  listener.close();
  for (const host of ['127.0.0.1', 'localhost']) {
    await assert.rejects(clientOf(t, `http://${host}:${port}/`, { attempts: 2 }).cluster(), (error) => {
      assert.ok(error instanceof ServerUnreachableError);
      assert.equal(
        error.message,
        `the Blindfit API at http://${host}:${port} cannot be reached (2 attempts): nothing listens there (ECONNREFUSED)`,
      );
      assert.match(error.hint ?? '', /BLINDFIT_SERVER.*blindfit up/);
      return true;
    });
  }
});

test('a server that never answers counts as unreachable', async (t) => {
  const listener = createServer((socket) => void socket.on('error', () => undefined).resume()).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  t.after(() => listener.close());
  const client = clientOf(t, `http://127.0.0.1:${(listener.address() as AddressInfo).port}`, {
    attempts: 2,
    idleTimeoutMs: 200,
  });
  await assert.rejects(client.cluster(), { name: 'ServerUnreachableError', message: /no answer came in time/ });
});

test('a slow upload is no silence', async (t) => {
  // Takes 24 MB in 1.5 s or more: longer than the time-out, and more than the sockets' buffers hold.
  const blob = randomBlob(24_000_000);
  const listener = createServer((socket) => {
    let received = 0;
    socket.on('error', () => undefined);
    socket.on('data', (data: Buffer) => {
      if (data.toString('latin1', 0, 5) === 'HEAD ') {
        socket.write('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n');
        return;
      }
      received += data.length;
      if (received >= blob.bytes.length) socket.write('HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}');
      socket.pause();
      setTimeout(() => socket.resume(), 4);
    });
  }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  t.after(() => listener.close());
  const client = clientOf(t, `http://127.0.0.1:${(listener.address() as AddressInfo).port}`, {
    attempts: 1,
    idleTimeoutMs: 1000,
  });
  const started = Date.now();
  assert.equal(await client.putBlob(blob.digest, blob.bytes), true);
  assert.ok(Date.now() - started > 1200, 'the server was slow enough for the test to mean something');
});

test('what is no Blindfit API is told apart', async (t) => {
  const url = await serve(t, (app) => {
    app.get('/v1/cluster', (_request, reply) => reply.type('text/html').send('<html>hello</html>'));
    app.get('/v1/jobs', (_request, reply) => reply.send({ jobs: [{ id: 'nonsense' }] }));
    app.get('/v1/jobs/:id', (_request, reply) => reply.redirect('https://elsewhere.example/', 302));
  });
  const client = clientOf(t, url);
  await assert.rejects(client.cluster(), {
    name: 'UnexpectedAnswerError',
    message: /v1\/cluster answered 200: no JSON but "<html>hello/,
  });
  await assert.rejects(
    client.jobs(),
    (error) => error instanceof UnexpectedAnswerError && /not a list of jobs: \/jobs\/0/.test(error.message),
  );
  await assert.rejects(client.job('job-0123456789ab'), {
    name: 'UnexpectedAnswerError',
    message: /redirects to https:\/\/elsewhere/,
  });
  await assert.rejects(client.cancel('job-0123456789ab'), { name: 'UnexpectedAnswerError', status: 404 });
});

test('addresses that cannot work are refused', (t) => {
  for (const [server, message] of [
    ['localhost:8080', /localhost:\/\/ is not spoken/],
    ['nonsense', /is no URL/],
    ['ftp://host/', /ftp:/],
    ['http://user:secret@host/', /credentials/],
    ['http://:secret@host/', /credentials/],
    ['http://user@host/', /credentials/],
    ['http://host/?a=b', /part after/],
    ['http://host/#a', /part after/],
  ] as const) {
    assert.throws(
      () => clientOf(t, server),
      (error) => error instanceof Error && message.test(error.message) && !error.message.includes('secret'),
    );
  }
});

test('putBlobs keeps to its concurrency, skips what is there and reports bytes', async (t) => {
  const present = randomBlob(50_000);
  const blobs = new Map([[present.digest, present.bytes]]);
  let [now, most, asked] = [0, 0, 0];
  const url = await serve(t, (app) => {
    // The first ones wait for each other, however slow the machine is; a fourth one would be among them.
    const three = Promise.withResolvers<undefined>();
    app.addHook('onRequest', async (request) => {
      if (request.method === 'HEAD') asked++;
      if (request.method !== 'PUT') return;
      most = Math.max(most, ++now);
      if (most >= 3) three.resolve(undefined);
      await Promise.race([three.promise, delay(10_000, undefined, { ref: false })]);
      await delay(5);
    });
    // Before the answer leaves: afterwards the client's next request may be here first.
    app.addHook('onSend', (request, _reply, payload, done) => {
      if (request.method === 'PUT') now--;
      done(null, payload);
    });
    blobRoutes(app, blobs);
  });
  const fresh = Array.from({ length: 12 }, (_, i) => randomBlob(100_000 + i));
  let read = 0;
  const list: BlobUpload[] = [...fresh, present, fresh[0] ?? present].map(({ bytes, digest }) => ({
    digest,
    size: bytes.length,
    bytes: () => {
      read++;
      return Promise.resolve(bytes);
    },
  }));
  const total = list.reduce((sum, { size }) => sum + size, 0);
  const reports: (readonly [number, number, number])[] = [];
  const client = clientOf(t, url);
  await client.putBlobs(list, { concurrency: 3, onProgress: (...report) => void reports.push(report) });
  for (const { digest, bytes } of fresh) assert.deepEqual(blobs.get(digest), bytes);
  assert.equal(read, 12, 'bytes of blobs that need not be sent are not asked for');
  assert.equal(most, 3);
  assert.equal(asked, 13, 'the blob that is listed twice is asked for once');
  assert.deepEqual(reports.at(-1), [total, total, 50_000 + 100_000]);
  assert.ok(reports.every(([, each]) => each === total));
  assert.ok(reports.length > list.length, 'progress within a blob is seen');

  async function* produced(): AsyncGenerator<BlobUpload> {
    for (const blob of list) yield await Promise.resolve(blob);
  }
  reports.length = 0;
  await client.putBlobs(produced(), { onProgress: (...report) => void reports.push(report) });
  assert.deepEqual(reports.at(-1), [total, total, total]);
});

test('the first failure of putBlobs ends the rest', async (t) => {
  let puts = 0;
  const url = await serve(
    t,
    (app) => void blobRoutes(app, new Map(), (attempt) => ((puts = attempt), attempt === 5 ? 507 : 201)),
  );
  const list = Array.from({ length: 100 }, () => randomBlob(1000)).map(({ bytes, digest }) => ({
    digest,
    size: 1000,
    bytes: () => bytes,
  }));
  const client = clientOf(t, url);
  await assert.rejects(client.putBlobs(list, { concurrency: 2 }), { status: 507 });
  assert.ok(puts <= 6);
  let taken = 0;
  const stop = new AbortController();
  function* endless(): Generator<BlobUpload> {
    for (;;) {
      if (++taken === 10) stop.abort(new Error('enough'));
      const { digest, bytes } = randomBlob(100);
      yield { digest, size: 100, bytes: () => bytes };
    }
  }
  puts = 10;
  await assert.rejects(client.putBlobs(endless(), { signal: stop.signal, concurrency: 1 }), { message: 'enough' });
  assert.equal(taken, 10);
});

test('four blobs are under way at once, and none goes on after putBlobs has failed', async (t) => {
  let [now, most] = [0, 0];
  const four = Promise.withResolvers<undefined>();
  const url = await serve(t, (app) => {
    app.head('/v1/blobs/:digest', (_request, reply) => reply.code(404).send());
    app.put('/v1/blobs/:digest', async (_request, reply) => {
      most = Math.max(most, ++now);
      if (most >= 4) four.resolve(undefined);
      await Promise.race([four.promise, delay(10_000, undefined, { ref: false })]);
      await delay(5);
      now--;
      return reply.code(201).send({});
    });
  });
  const list = (): BlobUpload[] =>
    Array.from({ length: 9 }, () => randomBlob(10)).map(({ bytes, digest }) => ({
      digest,
      size: 10,
      bytes: () => bytes,
    }));
  const client = clientOf(t, url);
  await client.putBlobs(list());
  assert.equal(most, 4);
  let reading = 0;
  const slow = list().map((blob) => ({
    ...blob,
    bytes: async () => {
      reading++;
      await delay(50);
      reading--;
      return blob.bytes();
    },
  }));
  const [last = assert.fail('no blob')] = list();
  const broken = {
    ...last,
    bytes: async () => {
      while (reading < 3) await delay(1);
      throw new RangeError('unreadable');
    },
  };
  await assert.rejects(client.putBlobs([...slow.slice(0, 3), broken, ...slow.slice(3)]), /unreadable/);
  assert.equal(reading, 0, 'nothing goes on behind the back of the caller');
});
