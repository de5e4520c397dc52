import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Redis } from 'ioredis';
import { required } from '@blindfit/base';
import { processInfo } from '@blindfit/base/node';
import type { JobView } from '@blindfit/protocol';
import { JobStore, type Identities } from '@blindfit/queue';
import { parseRedisUrl } from '@blindfit/service';
import { JOB_FACTS, processesOf, temporaryDirectory, until } from '@blindfit/testkit';
import { askCli, cleanEnv, runCli, startCli } from './support.ts';

/** The records of jobs, as the services keep them. */
function storeOf(t: TestContext, redisUrl: string): JobStore {
  const redis = new Redis({ ...parseRedisUrl(redisUrl) });
  redis.on('error', () => undefined); // the server goes first
  t.after(() => redis.disconnect());
  return new JobStore(redis, '{blindfit}');
}

const JOB = { ...JOB_FACTS, shape: { samples: 1280, features: 401, classes: 10 }, tasksTotal: 40 };

async function status(url: string): Promise<number | undefined> {
  return await fetch(url).then(
    (answer) => answer.status,
    () => undefined,
  );
}

test('blindfit up serves the other commands, mends what breaks and ends on Ctrl-C', { timeout: 180_000 }, async (t) => {
  const home = await temporaryDirectory(t);
  const env = cleanEnv({ XDG_DATA_HOME: home, XDG_STATE_HOME: join(home, 'state') });
  const up = startCli(t, ['up', '--threads', '1'], env);
  t.after(() => up.child.kill('SIGTERM'));
  await until(() => up.output.stdout.includes('Ctrl-C') || up.child.exitCode !== null, 'up');
  assert.equal(up.output.stderr, '');
  const printed = (pattern: RegExp): string => required(pattern.exec(up.output.stdout)?.[1], String(pattern));
  const server = printed(/export BLINDFIT_SERVER=(\S+)/);
  const token = printed(/export BLINDFIT_TOKEN=(\S+)/);
  const worker = printed(/worker-1 (\S+)\/metrics/);
  assert.match(await (await fetch(`${worker}/metrics`)).text(), /blindfit_build_info\{service="worker"/);
  const jobs = storeOf(t, `unix://${home}/blindfit/redis/run/redis.sock`);
  await jobs.create({ ...JOB, id: 'job-aaaaaaaaaaaa', name: 'first \u001b[31mred' });
  await jobs.create({ ...JOB, id: 'job-bbbbbbbbbbbb' });

  await t.test('jobs lists, shows and follows', async (t) => {
    const list = await runCli(t, ['jobs'], env);
    assert.equal(list.stderr, '');
    assert.match(
      list.stdout,
      /^JOB +STATE +ITERATION +TASKS .*\njob-bbbbbbbbbbbb  queued +0\/2 +0\/40 +1,280 .*\njob-aaaaaaaaaaaa .*first \uFFFD\[31mred\n$/,
    );
    const asJson = await askCli(
      ['jobs', '--json', '--limit', '1', '--state', 'queued', '--server', server],
      cleanEnv({ BLINDFIT_TOKEN: token, XDG_DATA_HOME: '/nowhere' }),
    );
    assert.deepEqual(
      (JSON.parse(asJson.stdout) as JobView[]).map(({ id }) => id),
      ['job-bbbbbbbbbbbb'],
    );
    const one = await askCli(['jobs', 'job-bbbbbbbbbbbb', '--data', join(home, 'blindfit')], cleanEnv());
    assert.match(
      one.stdout,
      /^job +job-bbbbbbbbbbbb\nstate +queued\nprogress +iteration 0 of 2, 0 of 40 tasks \(queued\)\n/,
    );

    const followed = startCli(t, ['jobs', 'job-bbbbbbbbbbbb', '--follow'], env);
    await until(() => followed.output.stderr.includes('queued'), 'the first line');
    await jobs.start('job-bbbbbbbbbbbb');
    await jobs.setPhase('job-bbbbbbbbbbbb', 'training');
    await until(() => followed.output.stderr.includes('training  0 %  iteration 0 of 2'), 'the second phase');
    await jobs.fail('job-bbbbbbbbbbbb', { code: 'TEST', message: 'on purpose' });
    const { status: code, stdout, stderr } = await followed.ended;
    assert.equal(code, 1);
    assert.match(stdout, /state +failed\n[^]*error +on purpose \[TEST\]\nto go on +blindfit retry job-bbbbbbbbbbbb\n/);
    assert.match(stderr, /error: job-bbbbbbbbbbbb failed: on purpose\n$/);
  });

  await t.test('cancel cancels', async () => {
    assert.deepEqual(await askCli(['cancel', 'job-aaaaaaaaaaaa'], env), {
      status: 0,
      stdout: 'job-aaaaaaaaaaaa cancelled\n',
      stderr: '',
    });
    const late = await askCli(['cancel', 'job-bbbbbbbbbbbb'], env);
    assert.equal(late.status, 1);
    assert.match(late.stderr, /^error: .*cannot be cancelled any more/);
    const several = await askCli(['cancel', 'job-aaaaaaaaaaaa', 'job-zzzzzzzzzzzz'], env);
    assert.equal(several.stdout, 'job-aaaaaaaaaaaa cancelled\n');
    assert.match(several.stderr, /^error: job-zzzzzzzzzzzz: .*\nerror: 1 of 2 jobs were not cancelled\n$/);
  });

  await t.test('retry says why it cannot go on with jobs', async () => {
    const cancelled = await askCli(['retry', 'job-aaaaaaaaaaaa'], env);
    assert.equal(cancelled.status, 1);
    assert.match(cancelled.stderr, /^error: .*job-aaaaaaaaaaaa has been cancelled\n/);
    const several = await askCli(['retry', 'job-aaaaaaaaaaaa', 'job-zzzzzzzzzzzz'], env);
    assert.match(several.stderr, /\nerror: job-zzzzzzzzzzzz: .*\nerror: 2 of 2 jobs were not retried\n$/);
  });

  await t.test('a wrong token is explained', async () => {
    const wrong = await askCli(
      ['jobs', '--server', server],
      cleanEnv({ BLINDFIT_TOKEN: 'wrong-token-of-the-tests', XDG_DATA_HOME: '/nowhere' }),
    );
    assert.equal(wrong.status, 1);
    assert.match(wrong.stderr, /^error: .*bearer token is not the one.*\nhint: set BLINDFIT_TOKEN/);
    const log = join(home, 'state/blindfit/audit.log');
    assert.ok(up.output.stdout.includes(log));
    // The log is written after the answer is sent.
    await until(
      async () => /"action":"auth.refuse".*"GET \/v1\/jobs"/.test(await readFile(log, 'utf8').catch(() => '')),
      'the refusal in the audit log',
    );
  });

  await t.test('a second one on the same directory is refused', async (t) => {
    const second = await runCli(t, ['up', '--threads', '1'], env);
    assert.equal(second.status, 1);
    assert.match(second.stderr, /in use by process \d+/);
    assert.equal((await askCli(['jobs'], env)).status, 0, 'the first one is still found');
  });

  await t.test('a worker that dies comes back', async () => {
    const [pid] = (await processesOf(join(home, 'blindfit'))).filter((each) => readCommand(each).includes('worker'));
    assert.ok(pid !== undefined);
    process.kill(pid, 'SIGKILL');
    await until(() => up.output.stderr.includes('worker-1 is back'), 'the worker');
    assert.match(up.output.stderr, /worker-1 was ended by SIGKILL\./);
    assert.equal(await status(`${worker}/readyz`), 200);
  });

  await t.test('a Redis that dies comes back with its data, and all go on', async () => {
    const { pid } = required(await readRedisPid(join(home, 'blindfit')), 'the private Redis');
    process.kill(pid, 'SIGKILL');
    await until(() => up.output.stderr.includes('redis is back'), 'Redis');
    assert.match(up.output.stderr, /Redis was ended by SIGKILL\./);
    for (const url of [server, worker])
      await until(async () => (await status(`${url}/readyz`)) === 200, `${url} is ready again`);
    assert.match((await askCli(['jobs'], env)).stdout, /job-aaaaaaaaaaaa/);
  });

  await t.test('store shows what both sides say, and adopts', async () => {
    const id = String.raw`[0-9a-f-]{36} \(epoch 1\)`;
    const shown = await askCli(['store', 'show'], env);
    assert.match(shown.stdout, new RegExp(`^store +${id}\nRedis +${id}\nstate +both belong together\n$`));
    const adopted = await askCli(['store', 'adopt'], env);
    assert.match(adopted.stdout, /^Redis and the store are [0-9a-f-]{36} \(epoch 2\) from now on\.\n$/);
    const { redis, store } = JSON.parse((await askCli(['store', 'show', '--json'], env)).stdout) as Identities;
    assert.deepEqual(redis, { ...store, state: 'bound' });
    assert.equal(await status(`${server}/readyz`), 200);
    const half = await askCli(['store', 'show', '--store', 'file:///nowhere'], env);
    assert.equal(half.status, 2);
    assert.match(half.stderr, /only one of --redis and --store/);
    assert.equal((await askCli(['store', 'show', '--data', '/nowhere'], env)).status, 2);
  });

  up.child.kill('SIGINT');
  const { status: code, stderr } = await up.ended;
  assert.equal(code, 0);
  assert.match(stderr, /\nstopped\n$/);
  assert.deepEqual(await processesOf(join(home, 'blindfit')), []);
  assert.deepEqual(
    (await readdir(join(home, 'blindfit'))).filter((name) => name.endsWith('.json')),
    [],
  );
});

async function readRedisPid(dataDir: string): Promise<{ pid: number } | undefined> {
  const pid = Number(await readFile(join(dataDir, 'redis/redis.pid'), 'utf8'));
  return Number.isSafeInteger(pid) && pid > 0 ? { pid } : undefined;
}

function readCommand(pid: number): readonly string[] {
  return processInfo(pid)?.command ?? [];
}
