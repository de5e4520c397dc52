/** What one client may take of the API, with hostile bodies, slow senders and many connections. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, it, test, type TestContext } from 'node:test';
import { digestOf, required } from '@blindfit/base';
import type { JobView, MadeToken, Problem } from '@blindfit/protocol';
import { createLogger } from '@blindfit/service';
import { until } from '@blindfit/testkit';
import { DEFAULT_BOUNDS } from '../../services/api/src/bounds.ts';
import { makeJob, startService, TOKEN, type Service } from '../../services/api/test/service.ts';

const JSON_TYPE = { 'content-type': 'application/json' };

async function problemOf(response: Response): Promise<Problem> {
  return (await response.json()) as Problem;
}

/** A token of an owner: the root token, with which services work, has no limits. */
async function ownerOf(service: Service, tenant: string): Promise<Record<string, string>> {
  const made = await service.call('/v1/tokens', {
    method: 'POST',
    headers: JSON_TYPE,
    body: JSON.stringify({ tenant, scopes: ['submit', 'read', 'cancel', 'blobs'] }),
  });
  return { authorization: `Bearer ${((await made.json()) as MadeToken).token}` };
}

describe('hostile manifests', () => {
  const levels = 2_000_000;
  const bodies: readonly (readonly [name: string, body: string, status: number, detail: RegExp])[] = [
    ['nested', '['.repeat(levels), 422, /nested deeper than 8 levels/],
    ['nested in objects', '{"a":'.repeat(levels), 422, /nested deeper than 8 levels/],
    ['many numbers', `[${'1,'.repeat(levels)}1]`, 422, /more than 300000 parts/],
    ['one long string', JSON.stringify('x'.repeat(4_000_000)), 422, /must be object/],
    ['a string without an end', `"${'x'.repeat(4_000_000)}`, 400, /not valid JSON/],
    ['escapes', `"${'\\\\'.repeat(1_000_000)}"`, 422, /must be object/],
    [
      'many wrong keys',
      JSON.stringify({
        format: 'blindfit-job/1',
        blobs: { galoisKeys: Object.fromEntries(Array.from({ length: 200_000 }, (_, i) => [`k${i}`, i])) },
      }),
      422,
      /./,
    ],
  ];
  it('are refused in few words, and the API goes on', async (t) => {
    const service = await startService(t);
    for (const [name, body, status, detail] of bodies) {
      const response = await service.submit(body);
      const { detail: said } = await problemOf(response);
      assert.equal(response.status, status, `${name}: ${said}`);
      assert.match(said, detail, name);
      assert.ok(said.length < 2_100, `${name}: ${said.length} characters`);
    }
    assert.equal((await fetch(`${service.url}/healthz`)).status, 200);
  });

  it('that are large are read in a thread, with the same outcome', async (t) => {
    const service = await startService(t);
    const { manifest } = await makeJob(service.store);
    const padded = JSON.stringify(manifest).padEnd(1_000_000);
    const large = await service.submit(padded);
    assert.equal(large.status, 201);
    const small = await service.submit(manifest);
    const digests = await Promise.all([large, small].map(async (job) => ((await job.json()) as JobView).manifest));
    assert.equal(digests[0], digests[1]);
  });
});

/** A connection on which a request was begun. */
async function begin(t: TestContext, service: Service, lines: readonly string[], auth = TOKEN): Promise<Socket> {
  const socket = connect(Number(new URL(service.url).port), '127.0.0.1');
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  socket.write([...lines, `authorization: Bearer ${auth}`, 'host: x', '', ''].join('\r\n'));
  return socket;
}

async function answerOn(socket: Socket): Promise<string> {
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  return text;
}

describe('slow senders', () => {
  const bounds = { bodyMs: 100 };
  it('of a manifest are cut off with 408', async (t) => {
    const service = await startService(t, { bounds });
    const socket = await begin(t, service, [
      'POST /v1/jobs HTTP/1.1',
      'content-type: application/json',
      'content-length: 1000',
    ]);
    assert.match(await answerOn(socket), /^HTTP\/1.1 408 [^]*BODY_TOO_SLOW/);
  });

  it('of a blob are cut off when they are slower than the lowest rate', async (t) => {
    const service = await startService(t, { bounds });
    const socket = await begin(t, service, [
      `PUT /v1/blobs/${digestOf(new Uint8Array(1))} HTTP/1.1`,
      'content-length: 1000000',
    ]);
    socket.write('x'.repeat(100));
    assert.match(await answerOn(socket), /^HTTP\/1.1 408 [^]*BODY_TOO_SLOW/);
  });

  it('that are fast enough are not', async (t) => {
    const service = await startService(t, { bounds: { bodyMs: 50 } });
    const bytes = new Uint8Array(100_000).fill(7);
    const socket = await begin(t, service, [
      `PUT /v1/blobs/${digestOf(bytes)} HTTP/1.1`,
      `content-length: ${bytes.length}`,
      'connection: close',
    ]);
    for (let sent = 0; sent < bytes.length; sent += 10_000) {
      socket.write(bytes.subarray(sent, sent + 10_000));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.match(await answerOn(socket), /^HTTP\/1.1 201 /);
  });
});

test('an address has so many connections, and others are closed at once', async (t) => {
  const service = await startService(t, { bounds: { connections: { perKey: 5, total: 100 } } });
  const sockets = Array.from({ length: 30 }, () => connect(Number(new URL(service.url).port), '127.0.0.1'));
  t.after(() => sockets.forEach((socket) => socket.destroy()));
  let closed = 0;
  for (const socket of sockets) socket.on('error', () => undefined).once('close', () => closed++);
  await until(() => closed >= 25, 'refused connections');
  assert.equal(closed, 25);
  required(
    sockets.find((socket) => !socket.destroyed),
    'an open one',
  ).destroy();
  await until(async () => (await fetch(`${service.url}/healthz`).catch(() => undefined))?.status === 200, 'an answer');
});

test('a tenant has so many streams and uploads at a time, and others have theirs', async (t) => {
  const service = await startService(t, {
    bounds: { streams: { perKey: 3, total: 5 }, uploads: { perKey: 2, total: 100 } },
  });
  const [a, b, c] = [await ownerOf(service, 'a'), await ownerOf(service, 'b'), await ownerOf(service, 'c')];
  const open = async (headers: Record<string, string>): Promise<[number, AbortController]> => {
    const aborter = new AbortController();
    t.after(() => aborter.abort());
    const { status } = await fetch(`${service.url}/v1/jobs/events`, { headers, signal: aborter.signal });
    return [status, aborter];
  };
  const ofA = [await open(a), await open(a), await open(a), await open(a)];
  assert.deepEqual(
    ofA.map(([status]) => status),
    [200, 200, 200, 429],
  );
  assert.deepEqual([(await open(b))[0], (await open(b))[0], (await open(c))[0]], [200, 200, 429], 'five in all');
  ofA[0]?.[1].abort();
  await until(async () => (await open(a))[0] === 200, 'room for another stream');

  const bytes = new Uint8Array(10);
  const put = `PUT /v1/blobs/${digestOf(bytes)} HTTP/1.1`;
  const token = required(a['authorization'], 'a token').slice('Bearer '.length);
  const upload = (headers: Record<string, string>): Promise<Response> =>
    fetch(`${service.url}/v1/blobs/${digestOf(bytes)}`, { method: 'PUT', body: bytes, headers });
  // Bodies that never come, until one of them is refused.
  let refusals = 0;
  for (let i = 0; i < 3; i++)
    (await begin(t, service, [put, 'content-length: 10'], token)).on('data', () => refusals++);
  await until(() => refusals === 1, 'the limit of uploads');
  const refused = await upload(a);
  assert.deepEqual([refused.headers.get('retry-after'), (await problemOf(refused)).code], ['1', 'TOO_MANY_UPLOADS']);
  assert.equal((await upload(b)).status, 201);
});

test('a tenant asks so often in a minute, whatever its tokens; services are not limited', async (t) => {
  const service = await startService(t, { bounds: { requestsPerMinute: 5 } });
  const [first, second, other] = [
    await ownerOf(service, 'a'),
    await ownerOf(service, 'a'),
    await ownerOf(service, 'b'),
  ];
  const ask = (headers: Record<string, string>): Promise<Response> => fetch(`${service.url}/v1/usage`, { headers });
  for (let i = 0; i < 5; i++) assert.equal((await ask(i % 2 === 0 ? first : second)).status, 200);
  const refused = await ask(second);
  assert.deepEqual([refused.status, (await problemOf(refused)).code], [429, 'TOO_MANY_REQUESTS']);
  assert.ok(Number(refused.headers.get('retry-after')) > 0);
  assert.equal((await ask(other)).status, 200);
  for (let i = 0; i < 10; i++) assert.equal((await service.call('/v1/usage')).status, 200);
});

test('strangers get their refusals and log lines in samples', async (t) => {
  const lines: string[] = [];
  const logger = createLogger({
    service: 'api',
    level: 'info',
    destination: { write: (line) => void lines.push(line) },
  });
  const service = await startService(t, { logger, bounds: { refusalsPerMinute: 20 } });
  const secret = 'blindfit_0123456789abcdef';
  const statuses: number[] = [];
  for (let i = 0; i < 100; i++) {
    const { status } = await fetch(`${service.url}/v1/jobs/none?token=${secret}`, {
      headers: { authorization: `Bearer wrong-${i}-wrong-wrong` },
    });
    statuses.push(status);
  }
  assert.deepEqual(statuses, [...Array<number>(20).fill(401), ...Array<number>(80).fill(429)]);
  const about = lines.filter((line) => line.includes('/v1/jobs/none'));
  assert.ok(about.length >= 1 && about.length <= 4, `${about.length} lines of 100 requests`);
  assert.deepEqual(
    lines.filter((line) => line.includes(secret)),
    [],
    'what stands behind a question mark is not logged',
  );
});

test('limits are finite by default', () => {
  const { connections, streams, uploads, requestsPerMinute, bodyMs } = DEFAULT_BOUNDS;
  for (const limit of [
    connections.perKey,
    connections.total,
    streams.perKey,
    uploads.perKey,
    requestsPerMinute,
    bodyMs,
  ])
    assert.ok(limit > 0 && limit <= 100_000, String(limit));
});
