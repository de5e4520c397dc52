/** Commands in this process against a server that answers as it is told: what they send, print and end with. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test, type TestContext } from 'node:test';
import { temporaryDirectory } from '@blindfit/testkit';
import { runCommandLine } from '../src/program.ts';

interface Request {
  readonly call: string;
  readonly body: unknown;
}

const requests: Request[] = [];
let answers: Record<string, unknown> = {};
const server = createServer((request, response) => {
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  request.on('end', () => {
    const call = `${request.method} ${request.url}`;
    const text = Buffer.concat(parts).toString();
    requests.push({ call, body: text === '' ? undefined : JSON.parse(text) });
    const answer = answers[call];
    const problem = {
      type: 'urn:blindfit:problem:GONE',
      title: 'Gone',
      status: 404,
      code: 'GONE',
      detail: 'it is gone',
      hint: 'look for it',
    };
    response
      .writeHead(answer === undefined ? 404 : call.startsWith('POST') ? 201 : answer === null ? 204 : 200, {
        'content-type': answer === undefined ? 'application/problem+json' : 'application/json',
      })
      .end(answer === null ? undefined : JSON.stringify(answer ?? problem));
  });
});
const SET = { BLINDFIT_TOKEN: 'x'.repeat(20), XDG_DATA_HOME: '/nowhere' };

before(async () => {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  for (const name of Object.keys(process.env))
    if (name.startsWith('BLINDFIT_')) Reflect.deleteProperty(process.env, name);
  const { port } = server.address() as AddressInfo;
  Object.assign(process.env, SET, { BLINDFIT_SERVER: `http://127.0.0.1:${port}` });
});
after(() => {
  server.closeAllConnections();
  server.close();
});

async function run(t: TestContext, ...args: string[]): Promise<{ status: number; out: string; err: string }> {
  const [out, err]: [string[], string[]] = [[], []];
  const real = process.stdout.write.bind(process.stdout);
  // What the runner itself writes is no text.
  t.mock.method(process.stdout, 'write', (text: unknown, ...more: []) =>
    typeof text === 'string' ? out.push(text) > 0 : real(text as Uint8Array, ...more),
  );
  t.mock.method(process.stderr, 'write', (text: string) => err.push(text) > 0);
  try {
    const status = await runCommandLine(args);
    return { status, out: out.join(''), err: err.join('') };
  } finally {
    t.mock.restoreAll();
  }
}

const USAGE = {
  tenant: 'a',
  weight: 1,
  jobs: { used: 1 },
  runningJobs: { used: 0, limit: 16 },
  bytes: { used: 0 },
  computeSeconds: { used: 0, day: '2026-01-31' },
};
const TOKEN = { id: '0123456789abcdef', tenant: 'a', scopes: ['read'], createdAt: new Date().toISOString() };

test('usage is a table, or JSON when that is asked for', async (t) => {
  answers = { 'GET /v1/usage': USAGE, 'GET /v1/tenants': { tenants: [USAGE] } };
  for (const command of [['usage'], ['tenant', 'list']]) {
    const table = await run(t, ...command);
    assert.deepEqual([table.status, table.err], [0, '']);
    assert.match(
      table.out,
      /^TENANT +WEIGHT +JOBS +RUNNING +STORED +THREADS TODAY\na +1 +1 +0 of 16 +0 B +0\.000 s\n$/,
    );
    const json = JSON.parse((await run(t, ...command, '--json')).out) as unknown;
    assert.deepEqual(json, command.length === 1 ? USAGE : [USAGE]);
  }
});

test('a tenant gets what was named and nothing else', async (t) => {
  answers = { 'PUT /v1/tenants/a': USAGE };
  const set = async (...args: string[]): Promise<unknown> => {
    requests.length = 0;
    const { status, err } = await run(t, 'tenant', 'set', 'a', ...args);
    if (status !== 0) return `${status} ${err.split('\n', 1).join('')}`;
    return requests[0]?.body;
  };
  assert.deepEqual(await set(), {});
  assert.deepEqual(
    await set('--weight', '0.01', '--running-jobs', '1', '--jobs', '0', '--bytes', '0', '--compute-seconds', '86400'),
    { weight: 0.01, runningJobs: 1, jobs: 0, bytes: 0, computeSeconds: 86_400 },
  );
  assert.deepEqual(await set('--weight', '100'), { weight: 100 });
  for (const [flag, value, rule] of [
    ['--weight', '100.1', 'It is a number from 0.01 to 100.'],
    ['--weight', '0.009', 'It is a number from 0.01 to 100.'],
    ['--weight', '', 'It is a number from 0.01 to 100.'],
    ['--jobs', '5x', 'It is a whole number from 0 on.'],
    ['--jobs', '-1', 'It is a whole number from 0 on.'],
    ['--running-jobs', '0', 'It is a whole number from 1 on.'],
  ] as const)
    assert.match(String(await set(`${flag}=${value}`)), new RegExp(`^2 error: .*${rule}$`));
});

test('a token has the scopes and the end that were asked for, and owners’ scopes otherwise', async (t) => {
  answers = { 'POST /v1/tokens': { ...TOKEN, token: `blindfit_${TOKEN.id}_${'s'.repeat(43)}` } };
  const create = async (...args: string[]): Promise<{ scopes: string[]; tenant: string; expiresAt?: string }> => {
    requests.length = 0;
    const { status, out, err } = await run(t, 'token', 'create', ...args);
    assert.deepEqual([status, err, out], [0, '', `blindfit_${TOKEN.id}_${'s'.repeat(43)}\n`]);
    return requests[0]?.body as never;
  };
  assert.deepEqual(await create(), { tenant: 'default', scopes: ['submit', 'read', 'cancel', 'blobs'] });
  assert.deepEqual(await create('--scopes', ' work, read', '--tenant', 'b'), { tenant: 'b', scopes: ['read', 'work'] });
  for (const [time, hours] of [
    ['1800s', 0.5],
    ['30m', 0.5],
    ['12h', 12],
    ['90d', 2160],
    ['99999d', 2_399_976],
  ] as const) {
    const { expiresAt } = await create('--expires', time);
    const left = (Date.parse(String(expiresAt)) - Date.now()) / 3_600_000;
    assert.ok(left > hours - 0.1 && left <= hours, `${time}: ${left}`);
  }
  for (const time of ['0d', '90', '1.5h', '90days', '-1d', '100000d']) {
    const { status, err } = await run(t, 'token', 'create', `--expires=${time}`);
    assert.deepEqual([status, /whole number and one of s, m, h and d/.test(err)], [2, true], time);
  }
});

test('tokens are listed with their ends, and revoked one after the other', async (t) => {
  const later = { ...TOKEN, id: 'fedcba9876543210', expiresAt: '2030-01-01T00:00:00.000Z' };
  answers = { 'GET /v1/tokens': { tokens: [TOKEN, later] }, 'DELETE /v1/tokens/a': null, 'DELETE /v1/tokens/b': null };
  const { out } = await run(t, 'token', 'list');
  assert.deepEqual(
    out.split('\n').map((line) => line.split(/ {2,}/).at(-1)),
    ['EXPIRES', 'never', '2030-01-01T00:00:00.000Z', ''],
  );
  assert.ok(out.split('\n').every((line) => !line.endsWith(' ')));
  assert.equal((await run(t, 'token', 'revoke', 'a', 'b')).out, 'a revoked\nb revoked\n');
  const broken = await run(t, 'token', 'revoke', 'a', 'c', 'b');
  assert.deepEqual([broken.status, broken.out], [1, 'a revoked\n']);
  assert.equal(broken.err, 'error: Gone: it is gone\nhint: look for it\n');
  answers = { 'GET /v1/tokens': { tokens: [] } };
  assert.match((await run(t, 'token', 'list')).out, /^There are no tokens but/);
});

const VIEW = {
  kind: 'train',
  state: 'cancelled',
  manifest: `sha256:${'0'.repeat(64)}`,
  shape: { samples: 8, features: 2, classes: 2 },
  hyperparameters: { iterations: 2, learningRate: 1, initialWeight: 0, sigmoid: { degree: 1, range: 8, odd: [0.1] } },
  parameters: 'N16384QP430L7S45',
  createdAt: new Date(0).toISOString(),
  progress: { phase: 'done', iteration: 0, iterations: 2, tasksDone: 0, tasksTotal: 4, levelsLeft: 6 },
  tenant: 'default',
  refreshes: [],
  answers: [],
};

test('a job that is followed is left after an outage that lasts too long, with the command to go on', async (t) => {
  const id = 'job-0123456789ab';
  const events = [{ ...VIEW, id, state: 'running' }];
  const away = createServer((request, response) => {
    const event = events.pop();
    if (event === undefined) request.socket.destroy();
    else
      response
        .writeHead(200, { 'content-type': 'text/event-stream' })
        .end(`id: 1\nevent: progress\ndata: ${JSON.stringify(event)}\n\n`);
  });
  t.after(() => away.close());
  await once(away.listen(0, '127.0.0.1'), 'listening');
  const { port } = away.address() as AddressInfo;
  const address = ['--server', `http://127.0.0.1:${port}`];
  const { status, out, err } = await run(t, 'jobs', id, '--follow', '--give-up-after', '1s', ...address);
  assert.deepEqual([status, out], [75, '']);
  assert.match(err, /the servers are away: .*waiting for up to 1(\.0)? s \(--give-up-after\)/);
  assert.match(
    err,
    /is not lost: it goes on without being watched\nhint: .*: blindfit jobs job-0123456789ab --follow\n$/,
  );
});

test('of several jobs those that can be cancelled are, and the others are counted', async (t) => {
  const keys = await temporaryDirectory(t);
  const [first, last] = ['job-0123456789ab', 'job-ba9876543210'];
  answers = {};
  for (const id of [first, last])
    for (const method of ['GET', 'DELETE']) answers[`${method} /v1/jobs/${id}`] = { ...VIEW, id };
  const all = await run(t, 'cancel', first, 'job-none', last, '--keys', keys);
  assert.equal(all.out, `${first} cancelled\n${last} cancelled\n`);
  assert.deepEqual(
    [all.status, all.err.split('\n').slice(0, 2)],
    [1, ['error: job-none: Gone: it is gone', 'error: 1 of 3 jobs were not cancelled']],
  );
  const one = await run(t, 'cancel', 'job-none', '--keys', keys);
  assert.deepEqual([one.status, one.err], [1, 'error: Gone: it is gone\nhint: look for it\n']);
  assert.equal((await run(t, 'cancel', first, '--keys', keys)).status, 0);
});

test('a misspelt variable, an unknown command and a wrong flag end with status 2', async (t) => {
  process.env['BLINDFIT_SERVR'] = 'x';
  const misspelt = await run(t, 'usage').finally(() => delete process.env['BLINDFIT_SERVR']);
  assert.deepEqual([misspelt.status, /BLINDFIT_SERVR/.test(misspelt.err)], [2, true]);
  for (const args of [['usag'], ['usage', '--jsn'], ['token', 'make'], ['tenant', 'set']])
    assert.equal((await run(t, ...args)).status, 2, args.join(' '));
  assert.equal((await run(t, '--version')).status, 0);
});
