/** A connection to a real server: attempts and their pauses, time-outs, bodies, cancelling, and its messages. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { at, BlindfitError } from '@blindfit/base';
import {
  Connection,
  readAtMost,
  readBytes,
  StatusError,
  TransientError,
  type Call,
  type ConnectionOptions,
} from '@blindfit/http';

interface Request {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

type Respond = (response: ServerResponse, attempt: number) => void;

interface Fixture {
  readonly connection: Connection;
  readonly requests: Request[];
  /** What was explained: the failure and the number of attempts. */
  readonly explained: (readonly [failure: unknown, attempts: number])[];
}

class Explained extends BlindfitError {}

async function fixture(t: TestContext, respond: Respond, options: ConnectionOptions = {}): Promise<Fixture> {
  const requests: Request[] = [];
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('error', () => undefined);
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      requests.push({ method, url, headers, body: Buffer.concat(parts).toString() });
      respond(response, requests.length);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const explained: [unknown, number][] = [];
  const connection = new Connection(
    `http://127.0.0.1:${(server.address() as AddressInfo).port}/prefix`,
    (failure, { path }, attempts) => {
      explained.push([failure, attempts]);
      return new Explained('EXPLAINED', `${path} after ${attempts}`, { cause: failure });
    },
    { backoffMs: 1, maxBackoffMs: 2, ...options },
  );
  t.after(async () => {
    server.closeAllConnections();
    server.close();
    await connection.close();
  });
  return { connection, requests, explained };
}

const GET: Call = { method: 'GET', path: '/x' };
const text = async (connection: Connection, call: Call = GET): Promise<string> =>
  connection.call(call, async (answer) => Buffer.from(await readBytes(answer, 100)).toString());
const answering =
  (...statuses: number[]): Respond =>
  (response, attempt) =>
    response.writeHead(statuses[attempt - 1] ?? 200).end(`answer ${attempt}`);
const statusOf = (failure: unknown): unknown => (failure instanceof StatusError ? failure.status : failure);

describe('attempts', () => {
  for (const status of [500, 502, 503, 504, 429]) {
    it(`${status} is tried again`, async (t) => {
      const { connection, requests, explained } = await fixture(t, answering(status, status));
      assert.equal(await text(connection), 'answer 3');
      assert.deepEqual([requests.length, explained.length], [3, 0]);
    });
  }

  for (const status of [302, 400, 401, 404, 413, 422, 499, 507]) {
    it(`${status} is final`, async (t) => {
      const { connection, requests, explained } = await fixture(t, answering(status));
      await assert.rejects(text(connection), { code: 'EXPLAINED', message: '/x after 1' });
      assert.deepEqual([requests.length, explained.map(([failure]) => statusOf(failure))], [1, [status]]);
    });
  }

  it('are five unless said otherwise, and at least one', async (t) => {
    for (const [attempts, expected] of [
      [undefined, 5],
      [2, 2],
      [0, 1],
    ] as const) {
      const { connection, requests, explained } = await fixture(t, (response) => response.writeHead(503).end('busy'), {
        attempts,
      });
      await assert.rejects(text(connection), { code: 'EXPLAINED' });
      assert.deepEqual([requests.length, explained.length, explained[0]?.[1]], [expected, 1, expected]);
      assert.equal(statusOf(explained[0]?.[0]), 503);
    }
  });

  it('of one call may be fewer', async (t) => {
    const { connection, requests } = await fixture(t, answering(503, 503));
    await assert.rejects(text(connection, { ...GET, attempts: 1 }), { message: '/x after 1' });
    assert.equal(requests.length, 1);
  });

  it('wait longer from failure to failure, up to the limit', async (t) => {
    const pauses: number[] = [];
    t.mock.method(Math, 'random', () => 1);
    const { connection } = await fixture(t, answering(), { backoffMs: 20, maxBackoffMs: 70 });
    for (const failures of [1, 2, 3, 10]) {
      const started = performance.now();
      await connection.wait(failures);
      pauses.push(performance.now() - started);
    }
    for (const [index, least] of [20, 40, 70, 70].entries())
      assert.ok(at(pauses, index, 'pauses') >= least - 2, `pause ${index}: ${pauses[index]} ms`);
    assert.ok(at(pauses, 3, 'pauses') < 2_000);
  });

  it('a connection that is cut is tried again, before and in the middle of an answer', async (t) => {
    const { connection, requests } = await fixture(t, (response, attempt) => {
      if (attempt === 1) response.socket?.destroy();
      else if (attempt === 2) {
        response.writeHead(200, { 'content-length': 100 });
        response.write('half', () => response.socket?.destroy());
      } else response.end('whole');
    });
    assert.equal(await text(connection), 'whole');
    assert.equal(requests.length, 3);
  });

  it('tries again what a reader marks as transient, and explains it at last; other errors pass', async (t) => {
    const { connection, requests, explained } = await fixture(t, answering(), { attempts: 2 });
    const damaged = new RangeError('damaged');
    const reading = connection.call(GET, () => Promise.reject(new TransientError(damaged)));
    await assert.rejects(reading, { code: 'EXPLAINED', message: '/x after 2' });
    assert.deepEqual([requests.length, explained], [2, [[damaged, 2]]]);
    const own = new BlindfitError('OWN', 'as it is');
    await assert.rejects(
      connection.call(GET, () => Promise.reject(own)),
      (error) => error === own,
    );
    assert.equal(requests.length, 3);
  });
});

describe('time-outs', () => {
  it('a server that says nothing has failed', async (t) => {
    const { connection, explained, requests } = await fixture(t, () => undefined, { attempts: 2, idleTimeoutMs: 100 });
    await assert.rejects(text(connection), { code: 'EXPLAINED' });
    assert.equal(requests.length, 2);
    assert.equal((explained[0]?.[0] as { code?: string }).code, 'UND_ERR_HEADERS_TIMEOUT');
  });

  it('and so has one that stops in the middle of an answer', async (t) => {
    const stop: Respond = (response) => void response.writeHead(200, { 'content-length': 100 }).write('half');
    const { connection, explained } = await fixture(t, stop, { attempts: 1, idleTimeoutMs: 100 });
    await assert.rejects(text(connection), { code: 'EXPLAINED' });
    assert.equal((explained[0]?.[0] as { code?: string }).code, 'UND_ERR_BODY_TIMEOUT');
  });
});

describe('requests', () => {
  it('go to the base with the token, and with the headers of the call', async (t) => {
    const { connection, requests } = await fixture(t, answering(), { token: 'secret' });
    await text(connection, { ...GET, headers: { accept: 'text/plain' } });
    const [{ method, url, headers } = { method: '', url: '', headers: {} }] = requests;
    assert.deepEqual(
      [method, url, headers.authorization, headers.accept],
      ['GET', '/prefix/x', 'Bearer secret', 'text/plain'],
    );
    const { connection: anonymous, requests: seen } = await fixture(t, answering());
    await text(anonymous);
    assert.equal(seen[0]?.headers.authorization, undefined);
  });

  it('send bytes with their length and tell how many went, from 0 in every attempt', async (t) => {
    const { connection, requests } = await fixture(t, answering(503));
    const sent: number[] = [];
    const body = new TextEncoder().encode('x'.repeat(65_537));
    await text(connection, { method: 'PUT', path: '/x', body, onSent: (bytes) => void sent.push(bytes) });
    assert.deepEqual(sent, [0, 65_536, 65_537, 0, 65_536, 65_537]);
    for (const { headers, body: received } of requests)
      assert.deepEqual([headers['content-length'], received.length], ['65537', 65_537]);
  });

  it('open a new stream for every attempt', async (t) => {
    const { connection, requests } = await fixture(t, answering(503));
    const body = async function* (): AsyncGenerator<Uint8Array> {
      yield await Promise.resolve(Buffer.from('one '));
      yield Buffer.from('two');
    };
    await text(connection, { method: 'PUT', path: '/x', body });
    assert.deepEqual(
      requests.map((request) => request.body),
      ['one two', 'one two'],
    );
  });

  it('that fail because of their stream fail with its error, at once', async (t) => {
    const { connection, explained } = await fixture(t, answering());
    const broken = new RangeError('the camera fell over');
    let opened = 0;
    const body = async function* (): AsyncGenerator<Uint8Array> {
      opened++;
      yield await Promise.resolve(Buffer.from('one'));
      throw broken;
    };
    await assert.rejects(text(connection, { method: 'PUT', path: '/x', body }), (error) => error === broken);
    assert.deepEqual([opened, explained], [1, []]);
  });

  it(
    'end with the reason of their signal, also while they wait for the next attempt',
    { timeout: 30_000 },
    async (t) => {
      const aborter = new AbortController();
      const reason = new Error('enough');
      const abort: Respond = (response) => {
        response.writeHead(503).end();
        setTimeout(() => aborter.abort(reason), 20);
      };
      const { connection, requests } = await fixture(t, abort, { backoffMs: 60_000, maxBackoffMs: 60_000 });
      await assert.rejects(text(connection, { ...GET, signal: aborter.signal }), (error) => error === reason);
      assert.equal(requests.length, 1);
      const silent = await fixture(t, () => aborted.abort(reason), { idleTimeoutMs: 600_000 });
      const aborted = new AbortController();
      await assert.rejects(text(silent.connection, { ...GET, signal: aborted.signal }), (error) => error === reason);
      assert.deepEqual([silent.requests.length, silent.explained], [1, []]);
      await assert.rejects(connection.wait(1, aborted.signal), (error) => error === reason, 'no wait after an abort');
    },
  );
});

describe('answers', () => {
  it('of the accepted statuses go to the reader, others do not', async (t) => {
    const { connection } = await fixture(t, answering(404, 201));
    assert.equal(await text(connection, { ...GET, accept: [200, 404] }), 'answer 1');
    await assert.rejects(text(connection, { ...GET, accept: [200] }), { code: 'EXPLAINED' });
  });

  it('that are failures are explained with type, redirect and the beginning of the body', async (t) => {
    const { connection, explained } = await fixture(t, (response) =>
      response.writeHead(301, { 'content-type': 'text/html', location: 'https://elsewhere' }).end('y'.repeat(70_000)),
    );
    await assert.rejects(text(connection));
    const failure = explained[0]?.[0];
    assert.ok(failure instanceof StatusError);
    assert.deepEqual(
      [failure.status, failure.type, failure.location, failure.text.length, failure.transient],
      [301, 'text/html', 'https://elsewhere', 65_536, false],
    );
  });

  it('are read up to a limit', async (t) => {
    const { connection, requests } = await fixture(t, (response) => response.end('z'.repeat(100)));
    const read = (limit: number): Promise<number> =>
      connection.call(GET, async (answer) => (await readBytes(answer, limit)).length);
    assert.equal(await read(100), 100);
    await assert.rejects(read(99), { code: 'ANSWER_TOO_LARGE', message: 'an answer has more than 99 bytes' });
    assert.equal(requests.length, 2, 'it is not asked again');
    assert.equal(await connection.call(GET, async (answer) => (await readAtMost(answer, 7)).length), 7);
    assert.equal(await connection.call(GET, async (answer) => (await readAtMost(answer, 1000)).length), 100);
  });

  it('that go on are cut when their beginning is enough', async (t) => {
    const endless: Respond = (response) => void response.writeHead(200).write('w'.repeat(100));
    const { connection } = await fixture(t, endless, { attempts: 1, idleTimeoutMs: 300 });
    assert.equal(await connection.call(GET, async (answer) => (await readAtMost(answer, 100)).length), 100);
  });
});
