import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { access, chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { RedisUnavailableError, resolveRedisBinary, startRedis } from '@blindfit/redis-server';

const run = promisify(execFile);
const MODULE = new URL('../src/resolve.ts', import.meta.url);
const NOBODY = 65534;

const noApt = await access('/usr/bin/apt-get').then(
  () => false,
  () => 'needs a Debian or Ubuntu system (there is no /usr/bin/apt-get)',
);

async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'blindfit-test-'));
  await chmod(directory, 0o755);
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

async function script(path: string, text: string): Promise<string> {
  await writeFile(path, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  return path;
}

/**
 * An environment as on a machine without Redis, whatever is installed on this one: an empty PATH and an empty cache,
 * and for apt a package database from which Redis and its libraries are missing.
 */
async function bareMachine(directory: string, lists: 'usual' | 'none'): Promise<NodeJS.ProcessEnv> {
  const status = await readFile('/var/lib/dpkg/status', 'utf8');
  const kept = status
    .split('\n\n')
    .filter((entry) => !/^Package: (redis-server|redis-tools|libjemalloc2|liblzf1)$/m.test(entry));
  await writeFile(join(directory, 'status'), kept.join('\n\n'));
  const config = [`Dir::State::status "${directory}/status";`];
  if (lists === 'none') {
    await mkdir(join(directory, 'lists/partial'), { recursive: true });
    config.push(`Dir::State::lists "${directory}/lists";`);
  }
  await writeFile(join(directory, 'apt.conf'), config.join('\n'));
  return {
    PATH: '',
    HOME: directory,
    XDG_CACHE_HOME: join(directory, 'cache'),
    APT_CONFIG: join(directory, 'apt.conf'),
  };
}

test('fetches Redis from Debian, runs it with its own libraries, and keeps it', { skip: noApt }, async (t) => {
  const directory = await temporaryDirectory(t);
  const env = await bareMachine(directory, 'usual');
  const lines: string[] = [];
  const log = (line: string) => void lines.push(line);

  // At the same time, as two terminals might.
  const [path, same] = await Promise.all([resolveRedisBinary({ env, log }), resolveRedisBinary({ env })]);
  assert.equal(same, path);
  assert.ok(path.startsWith(join(directory, 'cache/blindfit/redis-')), path);
  assert.match(lines.join('\n'), /fetching a private copy from the Debian archive/);
  assert.equal((await readdir(join(directory, 'cache/blindfit'))).length, 1, 'no half-unpacked copy is left');

  const redis = await startRedis({ dataDir: join(directory, 'data'), log, binary: path });
  const maps = await readFile(`/proc/${redis.pid}/maps`, 'utf8');
  await redis.stop();
  assert.match(maps, new RegExp(`${directory}/cache/.*/libjemalloc`));

  lines.length = 0;
  assert.equal(
    await resolveRedisBinary({ env: { ...env, APT_CONFIG: '/nonexistent' }, log }),
    path,
    'found again without apt',
  );
  assert.deepEqual(lines, []);

  // A damaged copy is replaced.
  await rm(join(path, '../root/usr/bin'), { recursive: true });
  assert.equal(await resolveRedisBinary({ env, log }), path);
  assert.match(lines.join('\n'), /Passing over .*redis-server does not work/);
  assert.match((await run(path, ['--version'], { env: {} })).stdout, /v=/);
});

test('fetches its own package lists where the system has none', { skip: noApt }, async (t) => {
  const directory = await temporaryDirectory(t);
  const lines: string[] = [];
  const path = await resolveRedisBinary({
    env: await bareMachine(directory, 'none'),
    log: (line) => void lines.push(line),
  });
  assert.match((await run(path, ['--version'])).stdout, /v=/);
  assert.match(lines.join('\n'), /fetching fresh lists/);
  assert.deepEqual(
    (await readdir(join(directory, 'lists'))).filter((name) => name !== 'partial'),
    [],
    'the lists of the system are left alone',
  );
});

test('fetches Redis as a user without any rights', { skip: noApt }, async (t) => {
  if (process.getuid?.() !== 0) {
    t.skip('the tests already run as a user without rights: the other tests cover this');
    return;
  }
  const directory = await temporaryDirectory(t);
  const env = await bareMachine(directory, 'none');
  for (const each of [directory, join(directory, 'lists'), join(directory, 'lists/partial')])
    await chown(each, NOBODY, NOBODY);
  const asNobody = (code: string) =>
    run(
      'setpriv',
      [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', process.execPath, '--input-type=module', '-e', code],
      {
        env: { ...env, PATH: '/usr/bin:/bin' },
        cwd: '/',
      },
    );
  try {
    await asNobody(`await import(${JSON.stringify(MODULE.href)})`);
  } catch (error) {
    t.skip(`another user cannot run this program from here: ${String(error).slice(0, 300)}`);
    return;
  }
  const { stdout } = await asNobody(`
    const { resolveRedisBinary } = await import(${JSON.stringify(MODULE.href)});
    process.stdout.write(await resolveRedisBinary({ env: { ...process.env, PATH: '' } }));
  `);
  assert.ok(stdout.startsWith(join(directory, 'cache/blindfit/redis-')), stdout);
  assert.equal((await stat(stdout)).uid, NOBODY);
  assert.match((await run(stdout, ['--version'])).stdout, /v=/);
});

test('says what to do when there is nothing to be had', { skip: noApt }, async (t) => {
  const directory = await temporaryDirectory(t);
  const env = await bareMachine(directory, 'none');
  await writeFile(
    join(directory, 'apt.conf'),
    `Dir::Etc::sourcelist "${directory}/sources"; Dir::Etc::sourceparts "/dev/null"; ` +
      `Dir::State::lists "${directory}/lists";`,
  );
  await writeFile(join(directory, 'sources'), 'deb http://127.0.0.1:9/debian stable main\n'); // nobody listens there
  await assert.rejects(resolveRedisBinary({ env }), (error) => {
    assert.ok(error instanceof RedisUnavailableError);
    assert.equal(error.tried.length, 4);
    assert.match(error.message, /BLINDFIT_REDIS_SERVER: not set/);
    assert.match(error.message, /redis-server on PATH: not found/);
    assert.match(error.message, /an earlier copy in .*: none/);
    assert.match(error.message, /Failed to fetch http:\/\/127\.0\.0\.1:9/);
    assert.match(error.message, /set REDIS_URL/);
    assert.match(error.message, /apt-get install redis-server/);
    return true;
  });
  assert.deepEqual(await readdir(join(directory, 'cache/blindfit')), []);
});

test('prefers BLINDFIT_REDIS_SERVER, then PATH, and passes over what is too old', async (t) => {
  const directory = await temporaryDirectory(t);
  const [first, second] = [join(directory, 'first'), join(directory, 'second')];
  for (const each of [first, second]) await mkdir(each);
  // These stand for programs installed by the user: only their answer to --version matters here.
  const old = await script(join(first, 'redis-server'), "echo 'Redis server v=6.0.16 sha=00000000:0'");
  const recent = await script(join(second, 'redis-server'), "echo 'Redis server v=6.2.0 sha=00000000:0'");
  const env = { PATH: `${first}:${second}`, XDG_CACHE_HOME: join(directory, 'cache') };
  const lines: string[] = [];

  assert.equal(await resolveRedisBinary({ env, log: (line) => void lines.push(line) }), recent);
  assert.deepEqual(lines, [`Passing over ${old} is version 6.0.16, older than 6.2`]);
  assert.equal(await resolveRedisBinary({ env: { PATH: first, BLINDFIT_REDIS_SERVER: recent } }), recent);

  for (const [chosen, reason] of [
    [old, /is version 6\.0\.16, older than 6\.2/],
    [join(directory, 'missing'), /ENOENT/],
    ['/bin/true', /not a Redis server/],
  ] as const) {
    await assert.rejects(resolveRedisBinary({ env: { PATH: second, BLINDFIT_REDIS_SERVER: chosen } }), (error) => {
      assert.ok(error instanceof RedisUnavailableError);
      assert.match(error.message, reason);
      assert.equal(error.tried.length, 1, 'a named program is not silently replaced');
      return true;
    });
  }
});
