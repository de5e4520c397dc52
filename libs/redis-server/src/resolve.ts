import { execFile } from 'node:child_process';
import { lstat, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { delimiter, isAbsolute, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { BlindfitError, errnoOf, messageOf } from '@blindfit/base';
import { EXTRACTED_PROGRAM, extractDebianRedis } from './debian.ts';
import { isExecutable } from './system.ts';

const run = promisify(execFile);

/** BullMQ recommends this version or newer; our configuration uses settings that came with it. */
const MIN_VERSION = [6, 2] as const;

/** `REDIS_MISSING`: no usable Redis server on this machine, and none could be fetched. */
export class RedisUnavailableError extends BlindfitError {
  /** One line for each way that was tried, with what came of it. */
  readonly tried: readonly string[];

  constructor(tried: readonly string[]) {
    super(
      'REDIS_MISSING',
      `No Redis server could be found or fetched. Tried:\n${tried.map((line) => `  - ${line}`).join('\n')}\n` +
        'Do one of these:\n' +
        '  - set REDIS_URL to a running Redis, e.g. REDIS_URL=redis://127.0.0.1:6379\n' +
        '  - install Redis, e.g. with: apt-get install redis-server\n' +
        '  - set BLINDFIT_REDIS_SERVER to the path of a redis-server program, ' +
        `version ${MIN_VERSION.join('.')} or newer`,
      { fault: 'host' },
    );
    this.tried = tried;
  }
}

export interface ResolveRedisOptions {
  /**
   * Environment to read BLINDFIT_REDIS_SERVER, PATH, XDG_CACHE_HOME and HOME from, and to run apt with.
   * @default process.env
   */
  env?: NodeJS.ProcessEnv;
  /** Told in one line each what takes time or was passed over. @default silent */
  log?: (line: string) => void;
}

/**
 * Finds a Redis server program (6.2 or newer) and returns its absolute path. Tries in this order:
 * BLINDFIT_REDIS_SERVER; `redis-server` on PATH; a copy fetched earlier; fetching Debian's packages into
 * `${XDG_CACHE_HOME:-~/.cache}/blindfit/redis-<version>-<machine>/` (about 1 MB, or 10 MB if the package lists are
 * missing too; neither root nor an installation is needed). Every candidate is started once to see that it works.
 *
 * @throws RedisUnavailableError when none of that works, or at once when BLINDFIT_REDIS_SERVER is set but useless.
 */
export async function resolveRedisBinary(options: ResolveRedisOptions = {}): Promise<string> {
  const { env = process.env, log = () => undefined } = options;
  const tried: string[] = [];

  const chosen = env['BLINDFIT_REDIS_SERVER'];
  if (chosen !== undefined && chosen !== '') {
    const path = resolve(chosen);
    const problem = await redisProblem(path);
    if (problem === undefined) return path;
    // A program that was named is not silently replaced by another one.
    throw new RedisUnavailableError([`BLINDFIT_REDIS_SERVER=${chosen}: ${problem}`]);
  }
  tried.push('BLINDFIT_REDIS_SERVER: not set');

  let onPath = 'not found';
  for (const directory of (env['PATH'] ?? '').split(delimiter).filter(isAbsolute)) {
    const path = join(directory, 'redis-server');
    if (!(await isExecutable(path))) continue;
    const problem = await redisProblem(path);
    if (problem === undefined) return path;
    onPath = `${path} ${problem}`;
    log(`Passing over ${onPath}`);
  }
  tried.push(`redis-server on PATH: ${onPath}`);

  let cache: string;
  try {
    cache = await openCache(env);
  } catch (error) {
    tried.push(`a directory for a private copy: ${messageOf(error)}`);
    throw new RedisUnavailableError(tried);
  }

  let earlier = 'none';
  for (const name of await cachedCopies(cache)) {
    const path = join(cache, name, EXTRACTED_PROGRAM);
    const problem = await redisProblem(path);
    if (problem === undefined) return path;
    earlier = `${path} ${problem}`;
    log(`Passing over ${earlier}`);
  }
  tried.push(`an earlier copy in ${cache}: ${earlier}`);

  log(`Redis is not installed; fetching a private copy from the Debian archive into ${cache}`);
  try {
    const path = await fetchInto(cache, env, log);
    log(`Redis is ready: ${path}`);
    return path;
  } catch (error) {
    tried.push(`Debian packages without installing them: ${messageOf(error)}`);
    throw new RedisUnavailableError(tried);
  }
}

async function fetchInto(cache: string, env: NodeJS.ProcessEnv, log: (line: string) => void): Promise<string> {
  // Unpacked and tried out under another name first: a copy under its real name is always complete.
  const draft = await mkdtemp(join(cache, '.unpack-'));
  try {
    await extractDebianRedis(draft, env, log);
    const program = join(draft, EXTRACTED_PROGRAM);
    const problem = await redisProblem(program);
    if (problem !== undefined) throw new Error(`the unpacked copy ${problem}`);
    const version = await redisVersion(program);
    const home = join(cache, `redis-${version.join('.')}-${process.arch}`);
    const path = join(home, EXTRACTED_PROGRAM);
    for (let attempt = 0; ; attempt++) {
      try {
        await rename(draft, home);
        return path;
      } catch (error) {
        if (attempt === 3 || !(errnoOf(error) === 'ENOTEMPTY' || errnoOf(error) === 'EEXIST')) throw error;
        // Somebody else was quicker, or the copy there is the broken one that made us fetch a new one.
        if ((await redisProblem(path)) === undefined) return path;
        await rm(home, { recursive: true, force: true });
      }
    }
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

/** Newest first. */
async function cachedCopies(cache: string): Promise<string[]> {
  const names = await readdir(cache);
  return names
    .filter((name) => /^redis-\d+(\.\d+)+-/.test(name) && name.endsWith(`-${process.arch}`))
    .sort((a, b) => b.localeCompare(a, 'en', { numeric: true }));
}

/** The first of the user's cache directory and a private one under the temporary directory that can be written. */
async function openCache(env: NodeJS.ProcessEnv): Promise<string> {
  const xdg = env['XDG_CACHE_HOME'];
  const home = env['HOME'] ?? homedir();
  const base = xdg !== undefined && isAbsolute(xdg) ? xdg : join(home, '.cache');
  const uid = process.getuid?.();
  const problems: string[] = [];
  for (const directory of [join(base, 'blindfit'), join(tmpdir(), `blindfit-cache-${String(uid)}`)]) {
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      // Programs are run from here: nobody else may be able to put one in.
      const stat = await lstat(directory);
      if (!stat.isDirectory() || stat.uid !== uid || (stat.mode & 0o022) !== 0) {
        throw new Error(`${directory} is not a directory that only this user can write`);
      }
      await rm(await mkdtemp(join(directory, '.probe-')), { recursive: true });
      return directory;
    } catch (error) {
      problems.push(messageOf(error));
    }
  }
  throw new Error(problems.join('; '));
}

/** What is wrong with a Redis program, or undefined when it starts and is new enough. */
async function redisProblem(path: string): Promise<string | undefined> {
  try {
    const version = await redisVersion(path);
    const [major, minor] = version;
    const enough = major > MIN_VERSION[0] || (major === MIN_VERSION[0] && minor >= MIN_VERSION[1]);
    return enough ? undefined : `is version ${version.join('.')}, older than ${MIN_VERSION.join('.')}`;
  } catch (error) {
    return `does not work: ${messageOf(error)}`;
  }
}

async function redisVersion(path: string): Promise<[number, number, number]> {
  const { stdout } = await run(path, ['--version'], { timeout: 30_000 });
  const match = /\bv=(\d+)\.(\d+)\.(\d+)/.exec(stdout);
  if (match === null)
    throw new Error(`'${path} --version' says '${stdout.trim().slice(0, 100)}', which is not a Redis server`);
  return [Number(match[1]), Number(match[2]), Number(match[3])];
}
