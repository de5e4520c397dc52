/** Which program is taken for Redis: by its version, by where it lies, and by who else can write there. */
import assert from 'node:assert/strict';
import { chmod, chown, mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { test, type TestContext } from 'node:test';
import { RedisUnavailableError, resolveRedisBinary } from '@blindfit/redis-server';
import { temporaryDirectory } from '@blindfit/testkit';

/** Stands for a program of the user: only its answer to --version matters here. */
async function program(directory: string, version: string): Promise<string> {
  await mkdir(directory, { recursive: true });
  const path = join(directory, 'redis-server');
  await writeFile(path, `#!/bin/sh\necho 'Redis server v=${version} sha=00000000:0'\n`, { mode: 0o755 });
  return path;
}

/** An environment in which nothing can be fetched: apt knows of no archive. */
async function envOf(directory: string, path = ''): Promise<NodeJS.ProcessEnv> {
  const config = join(directory, 'apt.conf');
  await writeFile(
    config,
    `Dir::Etc::sourcelist "/dev/null"; Dir::Etc::sourceparts "/dev/null"; Dir::State::lists "${directory}/lists";`,
  );
  return { PATH: path, HOME: directory, XDG_CACHE_HOME: join(directory, 'cache'), APT_CONFIG: config };
}

async function cached(directory: string, name: string, version: string): Promise<string> {
  return program(join(directory, 'cache/blindfit', `redis-${name}-${process.arch}`), version);
}

/** What was tried, when nothing was found. */
async function triedIn(t: TestContext, env: NodeJS.ProcessEnv): Promise<string> {
  // Where copies lie that other runs have fetched, if the cache of the user cannot be used.
  const temporary = await temporaryDirectory(t);
  const before = process.env['TMPDIR'];
  process.env['TMPDIR'] = temporary;
  try {
    await resolveRedisBinary({ env });
  } catch (error) {
    assert.ok(error instanceof RedisUnavailableError);
    return error.tried.join('\n');
  } finally {
    if (before === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = before;
  }
  throw new Error('a Redis was found');
}

test('6.2 is the oldest that will do', async (t) => {
  const directory = await temporaryDirectory(t);
  for (const version of ['6.2.0', '6.10.1', '7.0.0', '8.1.3', '10.0.0']) {
    const path = await program(join(directory, version), version);
    assert.equal(await resolveRedisBinary({ env: await envOf(directory, join(directory, version)) }), path, version);
  }
  for (const version of ['6.1.99', '5.9.0', '0.6.2']) {
    const path = await program(join(directory, version), version);
    await assert.rejects(
      resolveRedisBinary({ env: { ...(await envOf(directory)), BLINDFIT_REDIS_SERVER: path } }),
      new RegExp(`is version ${version.replaceAll('.', '\\.')}, older than 6\\.2`),
    );
  }
});

test('of earlier copies the newest is taken, by number, and only those of this machine', async (t) => {
  const directory = await temporaryDirectory(t);
  await cached(directory, '9.0.0', '9.0.0');
  const newest = await cached(directory, '10.0.1', '10.0.1');
  await program(join(directory, 'cache/blindfit/redis-11.0.0-other'), '11.0.0');
  await program(join(directory, 'cache/blindfit/other-12.0.0'), '12.0.0');
  await chmod(join(directory, 'cache/blindfit'), 0o700);
  assert.equal(await resolveRedisBinary({ env: await envOf(directory) }), newest);
  // One that does not work any more is passed over.
  await writeFile(newest, '#!/bin/sh\nexit 1\n');
  const lines: string[] = [];
  const found = await resolveRedisBinary({ env: await envOf(directory), log: (line) => void lines.push(line) });
  assert.match(found, /redis-9\.0\.0-/);
  assert.equal(lines.length, 1);
  assert.match(lines.join(), /^Passing over .*redis-10\.0\.1-.* does not work/);
});

test('directories that others can write are not trusted', async (t) => {
  for (const mode of [0o720, 0o702]) {
    const directory = await temporaryDirectory(t);
    await cached(directory, '7.0.0', '7.0.0');
    await chmod(join(directory, 'cache/blindfit'), mode);
    const tried = await triedIn(t, await envOf(directory));
    assert.ok(!tried.includes(join(directory, 'cache/blindfit')), `${mode.toString(8)}: ${tried}`);
  }
});

test('a directory of another user is not trusted', async (t) => {
  if (process.getuid?.() !== 0) return t.skip('only root can give a directory away');
  const directory = await temporaryDirectory(t);
  await cached(directory, '7.0.0', '7.0.0');
  await chown(join(directory, 'cache/blindfit'), 65_534, 65_534);
  assert.ok(!(await triedIn(t, await envOf(directory))).includes(join(directory, 'cache/blindfit')));
});

test('of PATH only absolute directories count, and a new cache is private', async (t) => {
  const directory = await temporaryDirectory(t);
  const path = await program(join(directory, 'bin'), '7.0.0');
  const besides = relative(process.cwd(), join(directory, 'bin'));
  assert.match(await triedIn(t, await envOf(directory, `${besides}:.`)), /redis-server on PATH: not found/);
  assert.equal((await stat(join(directory, 'cache/blindfit'))).mode & 0o777, 0o700);
  assert.deepEqual(await readdir(join(directory, 'cache/blindfit')), [], 'what was tried there is gone');
  assert.equal(await resolveRedisBinary({ env: await envOf(directory, `${besides}:${join(directory, 'bin')}`) }), path);
});
