/** Outages: what is waited for, for how long, and what is said of it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { it, type TestContext } from 'node:test';
import { BlindfitError } from '@blindfit/base';
import { Connection, StatusError, type Call, type ConnectionOptions } from '@blindfit/http';

const GET: Call = { method: 'GET', path: '/x' };
const HOUR = 3_600_000;

interface Fixture {
  readonly connection: Connection;
  /** What was said of outages: a status, or that one is over. */
  readonly said: (number | 'over')[];
  readonly requests: () => number;
}

/** @param statuses in turn; 200 after them */
async function fixture(t: TestContext, statuses: readonly number[], options: ConnectionOptions = {}): Promise<Fixture> {
  let requests = 0;
  const server = createServer((_request, response) => {
    response.writeHead(statuses[requests++] ?? 200).end('text');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const said: (number | 'over')[] = [];
  const connection = new Connection(
    `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    (failure) =>
      new BlindfitError(failure instanceof StatusError ? String(failure.status) : 'NETWORK', 'failed', {
        cause: failure,
      }),
    {
      attempts: 2,
      backoffMs: 1,
      maxBackoffMs: 2,
      onOutage: (failure) => said.push(failure instanceof BlindfitError ? Number(failure.code) : 'over'),
      ...options,
    },
  );
  t.after(async () => {
    server.closeAllConnections();
    server.close();
    await connection.close();
  });
  return { connection, said, requests: () => requests };
}

const read = (connection: Connection, call: Call = GET): Promise<number> =>
  connection.call(call, async (answer) => {
    await answer.body.dump();
    return answer.statusCode;
  });

for (const status of [429, 502, 503, 504, 507]) {
  it(`${status} of a server that has answered is waited for, and said once`, async (t) => {
    const { connection, said } = await fixture(t, [200, ...Array<number>(7).fill(status)], { patienceMs: HOUR });
    await read(connection);
    assert.equal(await read(connection), 200);
    assert.deepEqual(said, [status, 'over']);
  });
}

it('a refusal counts as an answer', async (t) => {
  const { connection } = await fixture(t, [404, 503, 503, 503], { patienceMs: HOUR });
  await assert.rejects(read(connection), { code: '404' });
  assert.equal(await read(connection), 200);
});

it('a server that never answered is not waited for', async (t) => {
  const { connection, said, requests } = await fixture(t, Array<number>(9).fill(503), { patienceMs: HOUR });
  await assert.rejects(read(connection), { code: '503' });
  assert.deepEqual([requests(), said], [2, []]);
});

it('500 is a fault and no outage', async (t) => {
  const { connection, requests } = await fixture(t, [200, 500, 500, 500], { patienceMs: HOUR });
  await read(connection);
  await assert.rejects(read(connection), { code: '500' });
  assert.equal(requests(), 3);
});

it('without patience attempts decide, and a full disk is final', async (t) => {
  const { connection, requests } = await fixture(t, [200, 503, 503, 507]);
  await read(connection);
  await assert.rejects(read(connection), { code: '503' });
  await assert.rejects(read(connection), { code: '507' });
  assert.equal(requests(), 4);
});

it('patience ends', async (t) => {
  const { connection, requests } = await fixture(t, [200, ...Array<number>(100_000).fill(503)], { patienceMs: 30 });
  await read(connection);
  const started = performance.now();
  await assert.rejects(read(connection), { code: '503' });
  assert.ok(performance.now() - started >= 29);
  assert.ok(requests() > 3, `${requests()} requests`);
});

it('a body that can be sent once is sent once', async (t) => {
  const { connection, requests } = await fixture(t, [200, 503, 503], { patienceMs: HOUR });
  await read(connection);
  await assert.rejects(read(connection, { ...GET, attempts: 1 }), { code: '503' });
  assert.equal(requests(), 2);
});

it('closing and aborting end the wait', async (t) => {
  const { connection } = await fixture(t, [200, ...Array<number>(9).fill(503)], {
    patienceMs: HOUR,
    backoffMs: HOUR,
    maxBackoffMs: HOUR,
  });
  await read(connection);
  const aborter = new AbortController();
  const aborted = read(connection, { ...GET, signal: aborter.signal });
  aborter.abort(new Error('enough'));
  await assert.rejects(aborted, /enough/);
  const waiting = read(connection);
  const rejected = assert.rejects(waiting, { code: /503|NETWORK/ });
  await connection.close();
  await rejected;
});
