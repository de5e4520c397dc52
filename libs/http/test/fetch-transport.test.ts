/** The transport of browsers, on Node's fetch. */
import assert from 'node:assert/strict';
import { getEventListeners, once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { Transport } from '../src/fetch-transport.ts';
import { Connection, transient } from '../src/index.ts';
import { readAtMost } from '../src/read.ts';

test('a body is sent whole, redirects are not followed, and an abort ends the request', async (t) => {
  const seen: unknown[] = [];
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      seen.push([request.method, request.url, request.headers.authorization, Buffer.concat(parts).toString()]);
      if (request.url === '/slow') return;
      if (request.url === '/there') response.writeHead(302, { location: '/elsewhere' }).end();
      else response.writeHead(201, { 'x-own': 'yes' }).end('0123456789');
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const transport = new Transport();
  const send = (path: string, more: object = {}) =>
    transport.send(base + path, {
      ...{ method: 'PUT', headers: { authorization: 'Bearer t', 'content-length': '3' } },
      ...{ body: [Uint8Array.of(97, 98), Uint8Array.of(99)], signal: undefined },
      ...more,
    });
  const answer = await send('/a');
  assert.equal(answer.statusCode, 201);
  assert.equal(answer.headers['x-own'], 'yes');
  assert.equal(Buffer.from(await readAtMost(answer, 4)).toString(), '0123');
  assert.deepEqual(seen.splice(0), [['PUT', '/a', 'Bearer t', 'abc']]);

  const redirect = await send('/there', { method: 'GET', body: undefined, headers: { authorization: 'Bearer t' } });
  await redirect.body.dump();
  assert.deepEqual(seen.splice(0), [['GET', '/there', 'Bearer t', '']], 'the token does not go anywhere else');
  assert.ok(redirect.statusCode !== 201);

  const abort = new AbortController();
  const slow = send('/slow', { signal: abort.signal });
  abort.abort(new Error('no more'));
  await assert.rejects(slow, /no more/);
  await transport.close();
});

test('a pause between attempts leaves nothing behind, and ends with an abort', async (t) => {
  const connection = new Connection('http://127.0.0.1:1', () => new Error('x'), { backoffMs: 1, maxBackoffMs: 60_000 });
  t.after(() => connection.close());
  const abort = new AbortController();
  await connection.wait(1, abort.signal);
  assert.equal(getEventListeners(abort.signal, 'abort').length, 0);
  const long = connection.wait(30, abort.signal);
  abort.abort(new Error('no more'));
  await assert.rejects(long, /no more/);
  await assert.rejects(connection.wait(30, abort.signal), /no more/);
});

test('an aborted call ends with the reason of its signal, not as a broken connection', async (t) => {
  const server = createServer(() => undefined).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const connection = new Connection(`http://127.0.0.1:${port}`, () => new Error('broken'), { backoffMs: 1 });
  t.after(() => connection.close());
  const reason = new RangeError('no more');
  for (const late of [false, true]) {
    const abort = new AbortController();
    if (!late) abort.abort(reason);
    const call = connection.call({ method: 'GET', path: '/', signal: abort.signal }, () => 0);
    if (late) setImmediate(() => abort.abort(reason));
    await assert.rejects(call, (error) => error === reason);
  }
  await assert.rejects(
    transient(() => Promise.reject(new Error('x')), AbortSignal.abort(reason)),
    (error) => error === reason,
  );
});
