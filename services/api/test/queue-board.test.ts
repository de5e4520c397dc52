/**
 * The operators' page over real HTTP and in a real browser: who may see it, that it changes nothing, and what it shows.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test, type TestContext } from 'node:test';
import { Worker } from 'bullmq';
import { chromium } from 'playwright-core';
import { JOB_OPTIONS, openQueue, TASK_OPTIONS, type ChainPayload } from '@blindfit/queue';
import { ConfigError } from '@blindfit/service';
import { startApi } from '../src/start.ts';
import { problemOf } from './answers.ts';
import { BEARER, startService, TOKEN, type Service } from './service.ts';

/** Debian's package `chromium`; no browser is ever downloaded. */
const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find((path) => existsSync(path));
const OPERATOR = 'operators-only-0123456789';
const BOARD = '/admin/queues';
const STAFF = { authorization: `Bearer ${OPERATOR}` };
const JOB = 'job-0123456789abcdef01234567';
const digest = (digit: string): string => `sha256:${digit.repeat(64)}`;

interface Listing {
  readonly queues: readonly {
    readonly name: string;
    readonly readOnlyMode: boolean;
    readonly allowRetries: boolean;
    readonly counts: Readonly<Record<string, number>>;
    readonly jobs: readonly { readonly id: string; readonly name: string; readonly data: unknown }[];
  }[];
}

/** An API with some entries in its queues: two tasks that wait, one that failed, and a chain. */
async function withEntries(t: TestContext): Promise<Service> {
  const service = await startService(t, { operatorToken: OPERATOR });
  const {
    redis,
    options: { queuePrefix: prefix = '' },
  } = service;
  const tasks = openQueue<unknown>('tasks', redis, prefix);
  const chains = openQueue<ChainPayload>('chains', redis, prefix);
  t.after(() => Promise.all([tasks.close(), chains.close()]));
  await chains.add(
    'segment',
    { job: JOB, manifest: digest('a'), chain: 1, segment: 2, history: [digest('b')] },
    { ...JOB_OPTIONS, jobId: `${JOB}.chain.1.2` },
  );
  const common = { job: JOB, manifest: digest('a'), iteration: 3, pair: 2 };
  await tasks.add(
    'tasks',
    { kind: 'backward', ...common, shards: [0], blocks: [1], errors: [digest('d')] },
    { ...TASK_OPTIONS, attempts: 1, jobId: `${JOB}.backward.3.2.0.1` },
  );
  const failing = new Worker('tasks', () => Promise.reject(new Error('no room left')), { connection: redis, prefix });
  await new Promise((resolve) => failing.once('failed', resolve));
  await failing.close();
  for (const group of [0, 1]) {
    const shards = [0, 1, 2, 3].map((shard) => shard + 4 * group);
    await tasks.add(
      'tasks',
      { kind: 'forward', ...common, shards, weights: digest('c') },
      { ...TASK_OPTIONS, jobId: `${JOB}.forward.3.2.${group}` },
    );
  }
  return service;
}

test('the page is there for the operators’ token only, and that token opens nothing else', async (t) => {
  const { url } = await withEntries(t);
  const basic = (user: string, password: string): string =>
    `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  const ask = (path: string, authorization?: string): Promise<Response> =>
    fetch(url + path, { headers: authorization === undefined ? {} : { authorization } });
  for (const path of [
    BOARD,
    `${BOARD}/`,
    `${BOARD}/queue/tasks`,
    `${BOARD}/api/queues`,
    `${BOARD}/static/images/logo.svg`,
  ]) {
    for (const bad of [undefined, `Bearer ${TOKEN}`, basic('', TOKEN), basic(OPERATOR, ''), `Bearer ${OPERATOR}x`]) {
      const response = await ask(path, bad);
      assert.match(String(response.headers.get('www-authenticate')), /Basic realm="blindfit"/, 'browsers ask');
      const problem = await problemOf(response, 401, 'UNAUTHORIZED');
      assert.match(problem.hint ?? '', /BLINDFIT_OPERATOR_TOKEN/);
    }
    for (const good of [`Bearer ${OPERATOR}`, basic('anyone', OPERATOR)]) {
      const response = await ask(path, good);
      assert.equal(response.status, 200, path);
      await response.arrayBuffer();
    }
  }
  for (const path of [
    '/v1/jobs',
    '/v1/cluster',
    '/metrics',
    '/docs',
    `/v1/blobs/${digest('a')}`,
    '/admin',
    `${BOARD}x`,
    `${BOARD}/nowhere`,
  ]) {
    for (const authorization of [`Bearer ${OPERATOR}`, basic('', OPERATOR)])
      await problemOf(await ask(path, authorization), 401, 'UNAUTHORIZED');
  }
});

test(
  'answers keep browsers from framing it, from loading anything from elsewhere, and from telling other ' + 'sites',
  async (t) => {
    const { url } = await withEntries(t);
    for (const path of [BOARD, `${BOARD}/api/queues`]) {
      const { headers } = await fetch(url + path, { headers: { ...STAFF, origin: 'https://elsewhere.example' } });
      assert.match(
        String(headers.get('content-security-policy')),
        /default-src 'none'; script-src 'self';.*frame-ancestors 'none'/,
      );
      assert.equal(headers.get('x-content-type-options'), 'nosniff');
      assert.equal(headers.get('x-frame-options'), 'DENY');
      assert.equal(headers.get('referrer-policy'), 'no-referrer');
      assert.equal(headers.get('cache-control'), 'no-store');
      assert.equal(headers.get('access-control-allow-origin'), null);
    }
    const page = await (await fetch(url + BOARD, { headers: STAFF })).text();
    assert.doesNotMatch(page, /(?:src|href)="https?:/);
  },
);

test('nothing can be changed', async (t) => {
  const { url, redis, options } = await withEntries(t);
  const attempts: [string, string][] = [
    ['PUT', 'queues/tasks/retry/failed'],
    ['PUT', `queues/tasks/${JOB}.backward.3.2.0.1/retry`],
    ['PUT', `queues/tasks/${JOB}.forward.3.2.0/promote`],
    ['PUT', `queues/tasks/${JOB}.forward.3.2.0/clean`],
    ['PUT', 'queues/tasks/clean/wait'],
    ['PUT', 'queues/tasks/empty'],
    ['PUT', 'queues/tasks/obliterate'],
    ['PUT', 'queues/tasks/pause'],
    ['PUT', 'queues/pause'],
    ['PUT', 'queues/tasks/concurrency'],
    ['POST', 'queues/tasks/add'],
    ['PATCH', `queues/tasks/${JOB}.forward.3.2.0/update-data`],
    ['DELETE', 'queues/tasks'],
  ];
  const tasks = openQueue<unknown>('tasks', redis, options.queuePrefix ?? '');
  t.after(() => tasks.close());
  const before = await tasks.getJobCounts();
  assert.deepEqual([before['waiting'], before['failed']], [2, 1]);
  for (const [method, path] of attempts) {
    const response = await fetch(`${url}${BOARD}/api/${path}`, {
      method,
      headers: { ...STAFF, 'content-type': 'application/json' },
      body: method === 'DELETE' ? null : '{}',
    });
    // There is no route for DELETE at all, so it is one of the API's.
    if (method === 'DELETE') assert.equal(response.status, 401);
    else await problemOf(response, 405, 'READ_ONLY');
  }
  assert.deepEqual(await tasks.getJobCounts(), before);
  assert.equal(await tasks.isPaused(), false);
});

test('it lists queues and entries readably, and not in the API’s documentation', async (t) => {
  const { url } = await withEntries(t);
  const list = async (queue: string): Promise<Listing> =>
    (await (
      await fetch(`${url}${BOARD}/api/queues?activeQueue=${queue}&status=latest&page=1&jobsPerPage=10`, {
        headers: STAFF,
      })
    ).json()) as Listing;
  const { queues } = await list('tasks');
  assert.deepEqual(
    queues.map(({ name, readOnlyMode, allowRetries }) => [name, readOnlyMode, allowRetries]),
    [
      ['jobs', true, false],
      ['chains', true, false],
      ['tasks', true, false],
    ],
  );
  const tasks = queues.find(({ name }) => name === 'tasks')?.jobs ?? [];
  assert.deepEqual(tasks.map(({ name }) => name).sort(), [
    'backward · job 01234567… · iteration 3 · pair 2 · shard 0 · block 1',
    'forward · job 01234567… · iteration 3 · pair 2 · shards 0-3',
    'forward · job 01234567… · iteration 3 · pair 2 · shards 4-7',
  ]);
  assert.match(JSON.stringify(tasks), /"sha256:cccccccccccc…"/);
  assert.doesNotMatch(JSON.stringify(tasks), /[0-9a-f]{64}/);
  assert.deepEqual(
    (await list('chains')).queues.find(({ name }) => name === 'chains')?.jobs.map(({ name }) => name),
    ['chain 1 · job 01234567… · segment 2'],
  );
  const document = await (await fetch(`${url}/docs/json`, { headers: BEARER })).text();
  assert.ok(!document.includes(BOARD));
});

test('without a token for operators there is no page, and the API’s own will not do', async (t) => {
  const { url, options } = await startService(t);
  await problemOf(await fetch(url + BOARD, { headers: BEARER }), 404, 'NOT_FOUND');
  await assert.rejects(
    startApi({ ...options, operatorToken: TOKEN }),
    (error) =>
      error instanceof ConfigError &&
      /BLINDFIT_OPERATOR_TOKEN: the same as BLINDFIT_TOKEN/.test(error.message) &&
      !error.message.includes(TOKEN),
  );
  const [workToken, metricsToken] = [OPERATOR, OPERATOR];
  await assert.rejects(startApi({ ...options, operatorToken: OPERATOR, workToken, metricsToken }), {
    message: /WORK_TOKEN: the same as BLINDFIT_OPERATOR_TOKEN.*METRICS_TOKEN: .*OPERATOR.*METRICS_TOKEN: .*WORK/s,
  });
});

test(
  'a browser shows the three queues and the entries of one',
  { skip: CHROMIUM === undefined ? 'chromium is not installed (Debian package chromium)' : false },
  async (t) => {
    const { url } = await withEntries(t);
    const browser = await chromium.launch({ executablePath: CHROMIUM ?? '', args: ['--no-sandbox', '--disable-gpu'] });
    t.after(() => browser.close());
    const context = await browser.newContext({
      httpCredentials: { username: 'operator', password: OPERATOR },
      viewport: { width: 1300, height: 900 },
    });
    const page = await context.newPage();
    const complaints: string[] = [];
    const elsewhere: string[] = [];
    page.on('console', (message) => ['error', 'warning'].includes(message.type()) && complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on(
      'request',
      (request) =>
        !request.url().startsWith(url) && !request.url().startsWith('data:') && elsewhere.push(request.url()),
    );
    await page.goto(url + BOARD);
    for (const name of ['jobs', 'chains', 'tasks'])
      await page.getByRole('link', { name }).first().waitFor({ timeout: 60_000 });
    const screenshots = process.env['BLINDFIT_TEST_SCREENSHOTS'];
    if (screenshots !== undefined) await page.screenshot({ path: `${screenshots}/overview.png` });
    await page.goto(`${url}${BOARD}/queue/tasks`);
    await page
      .getByText('forward · job 01234567… · iteration 3 · pair 2 · shards 0-3')
      .first()
      .waitFor({ timeout: 60_000 });
    if (screenshots !== undefined) await page.screenshot({ path: `${screenshots}/tasks.png` });
    for (const action of ['Retry', 'Promote', 'Clean', 'Pause'])
      assert.equal(
        await page.getByRole('button', { name: new RegExp(`^${action}`, 'i') }).count(),
        0,
        `there is no button to ${action.toLowerCase()}`,
      );
    assert.deepEqual(complaints, []);
    assert.deepEqual(elsewhere, []);
  },
);
