import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from '@blindfit/testkit';
import { askCli, cleanEnv, runCli, startCli } from './support.ts';

const COMMANDS = ['jobs', 'cancel', 'retry', 'up', 'api', 'scheduler', 'worker'];

test('help lists the commands, and each command has help with examples', async (t) => {
  const help = await runCli(t, ['--help']);
  assert.equal(help.status, 0);
  assert.equal(help.stderr, '');
  for (const name of COMMANDS) {
    assert.match(help.stdout, new RegExp(`^  ${name} .*[a-z]{3}`, 'm'));
    const own = await askCli(['help', name]);
    assert.equal(own.status, 0, name);
    assert.match(own.stdout, new RegExp(`^Usage: blindfit ${name} [^]*\nExamples:\n[^]*blindfit ${name}`), name);
  }
});

test('wrong usage ends with status 2 and says what to do', async (t) => {
  const env = cleanEnv({ XDG_DATA_HOME: await temporaryDirectory(t) });
  for (const [args, message] of [
    [[], /^Usage: blindfit/],
    [['nonsense'], /^error: unknown command 'nonsense'\nhint: .*--help/],
    [['job'], /Did you mean jobs\?/],
    [
      ['jobs', '--limit', '0'],
      /^error: option '--limit <n>' argument '0' is invalid\. Allowed are whole numbers from 1 to 1000\.\nhint: see "blindfit jobs --help"/,
    ],
    [['jobs', '--state', 'odd'], /Allowed choices are queued, running, awaiting-refresh, succeeded, failed, cancelled/],
    [['jobs', 'job-0123456789ab', '--give-up-after', '1h'], /^error: --give-up-after goes with --follow\nhint: /],
    [['jobs', '--follow'], /^error: --follow needs the id of a job\nhint: /],
    [['cancel'], /^error: missing required argument 'job'/],
    [['up', '--workers', 'x'], /^error: --workers: "x" is not allowed; allowed: an integer from 1 to 64/],
    [['up', '--threads', '0'], /--threads: "0" is not allowed/],
    [['api', '--port', '99999'], /--port: "99999" is not allowed/],
    [['worker'], /BLINDFIT_REDIS_URL \(or REDIS_URL\) is not set/],
    [['scheduler', '--redis', 'redis://:hunter2@host', '--store', 'ftp://x'], /--store: "ftp:\/\/x" is not allowed/],
    [['jobs'], /^error: there is no Blindfit API to speak to[^]*\nhint: start one with "blindfit up"/],
  ] as const) {
    const { status, stdout, stderr } = await askCli(args, env);
    assert.equal(status, 2, args.join(' '));
    assert.equal(stdout, '');
    assert.match(stderr, message);
    assert.doesNotMatch(stderr, /\n {4}at |hunter2/);
  }
});

test('failures end with status 1, without a stack unless asked for', async (t) => {
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  listener.close();
  const args = ['cancel', 'job-0123456789ab', '--server', `http://127.0.0.1:${port}`];
  const plain = await runCli(t, args);
  assert.equal(plain.status, 1);
  assert.match(
    plain.stderr,
    /^error: the Blindfit API at http:\/\/127\.0\.0\.1:\d+ cannot be reached \(5 attempts\): nothing listens there \(ECONNREFUSED\)\nhint: .*BLINDFIT_SERVER.*\n$/,
  );
  const debug = await runCli(t, args, cleanEnv({ BLINDFIT_DEBUG: '1' }));
  assert.match(debug.stderr, /^error: [^]*\n {4}at [^]*connection\.ts/);
});

test('Ctrl-C ends a waiting command with status 130', async (t) => {
  // Accepts connections and never answers.
  const listener = createServer((socket) => void socket.on('error', () => undefined).resume()).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  t.after(() => listener.close());
  const connected = once(listener, 'connection');
  const { child, ended } = startCli(t, [
    'jobs',
    'job-0123456789ab',
    '--follow',
    '--server',
    `http://127.0.0.1:${(listener.address() as AddressInfo).port}`,
  ]);
  await connected;
  child.kill('SIGINT');
  const { status, stderr } = await ended;
  assert.equal(status, 130);
  assert.equal(stderr, '');
});

test('a reader that has seen enough is no error', async (t) => {
  const { child, output, ended } = startCli(t, ['--help']);
  child.stdout?.destroy();
  assert.equal((await ended).status, 0);
  assert.equal(output.stderr, '');
});

test('a misspelt setting is refused by every command, and not by help', async () => {
  const env = cleanEnv({ BLINDFIT_TREADS: '4' });
  const { status, stderr } = await askCli(['jobs'], env);
  assert.equal(status, 2);
  assert.match(stderr, /BLINDFIT_TREADS: there is no such setting; the nearest is BLINDFIT_THREADS/);
  assert.equal((await askCli(['jobs', '--help'], env)).status, 0);
});

test('up tells what stands in its way', async (t) => {
  const directory = await temporaryDirectory(t);
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  t.after(() => listener.close());
  const { port } = listener.address() as AddressInfo;
  const taken = await runCli(t, ['up', '--data', join(directory, 'data'), '--port', String(port)]);
  assert.equal(taken.status, 1);
  assert.match(
    taken.stderr,
    new RegExp(`^error: port ${port} of 127\\.0\\.0\\.1 is in use by another program\nhint: choose another port`),
  );

  await mkdir(join(directory, 'file'), { recursive: true });
  await writeFile(join(directory, 'file', 'data'), '');
  const file = await runCli(t, ['up', '--data', join(directory, 'file', 'data')]);
  assert.equal(file.status, 1);
  assert.match(file.stderr, /^error: .*(EEXIST|ENOTDIR)/);
});
