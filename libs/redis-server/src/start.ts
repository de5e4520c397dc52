import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { chmod, type FileHandle, mkdir, mkdtemp, open, readFile, rename, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { Redis } from 'ioredis';
import { BlindfitError, errnoOf, messageOf, type BlindfitErrorOptions } from '@blindfit/base';
import { LockedError, processExists, processInfo, takeLock } from '@blindfit/base/node';
import { resolveRedisBinary } from './resolve.ts';

/** A socket path must fit into 108 bytes on Linux and 104 on macOS, with the final zero. */
const MAX_SOCKET_PATH_BYTES = 100;
const STOP_TIMEOUT_MS = 10_000;
const START_TIMEOUT_MS = 30_000;
const PORT_ATTEMPTS = 5;

/** `REDIS_START`: Redis was found but did not come up, or its data directory is in use. */
export class RedisStartError extends BlindfitError {
  constructor(message: string, options?: BlindfitErrorOptions) {
    super('REDIS_START', message, options);
  }
}

export interface StartRedisOptions {
  /** Holds the append-only file, the configuration, the log and the lock; created with mode 0700 if it is missing. */
  dataDir: string;
  /** Told in one line each what takes time or is out of the ordinary. */
  log: (line: string) => void;
  /**
   * Listen on a free TCP port of 127.0.0.1 with a random password instead of on a UNIX socket.
   * @default false
   */
  tcp?: boolean;
  /** The redis-server program. @default what `resolveRedisBinary` finds */
  binary?: string;
}

/** Where the server listens, as ioredis takes it. */
export type RedisConnection = { path: string } | { host: string; port: number; password: string };

export interface RunningRedis {
  /** `unix:///path/redis.sock?db=0` or `redis://:password@127.0.0.1:port/0`, for `parseRedisUrl` of `@blindfit/service`. */
  readonly url: string;
  /** The same for ioredis: `new Redis({ ...connection })`. */
  readonly connection: RedisConnection;
  /** Only with a UNIX socket. */
  readonly socketPath: string | undefined;
  readonly pid: number;
  /** Resolves when the server has ended, with undefined after `stop`, else with what happened and the end of its log. */
  readonly exited: Promise<string | undefined>;
  /** Ends the server in an orderly way (after 10 s by force) and waits for it. May be called repeatedly. */
  stop(): Promise<void>;
}

/**
 * Starts a private Redis that keeps every acknowledged write: append-only file synced on each write, no eviction, no
 * snapshots. Resolves when it answers, with the data of `dataDir` loaded.
 *
 * The server runs in a session of its own, so that Ctrl-C in a terminal does not take it away under services that are
 * still winding down. It ends with this process: at `stop`, at exit, and at SIGINT, SIGTERM and SIGHUP unless the
 * program handles those itself. What a killed (-9) process left behind is ended by the next start with its `dataDir`.
 * It does not keep this process alive.
 *
 * @throws RedisUnavailableError when there is no Redis to start.
 * @throws RedisStartError when `dataDir` is in use by a live process, or the server ends or stays silent while
 *   starting; the message holds the end of its log.
 */
export async function startRedis(options: StartRedisOptions): Promise<RunningRedis> {
  const dataDir = resolve(options.dataDir);
  const binary = options.binary ?? (await resolveRedisBinary({ log: options.log }));
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const unlock = await lockDataDir(dataDir);
  try {
    await stopLeftover(dataDir, options.log);
    for (let attempt = 1; ; attempt++) {
      try {
        return await launch(binary, dataDir, options.tcp === true, unlock);
      } catch (error) {
        // Between our finding a port free and Redis taking it somebody else may have.
        const portWasTaken = options.tcp === true && /Address already in use/.test(messageOf(error));
        if (!portWasTaken || attempt === PORT_ATTEMPTS) throw error;
      }
    }
  } catch (error) {
    unlock();
    throw error;
  }
}

async function lockDataDir(dataDir: string): Promise<() => void> {
  try {
    return (await takeLock(join(dataDir, 'redis.lock'))).release;
  } catch (error) {
    if (!(error instanceof LockedError)) throw error;
    throw new RedisStartError(
      `The Redis data directory ${dataDir} is in use by process ${error.holder.pid}. ` +
        'Two servers on one directory would destroy its data: stop that process or choose another directory.',
      { cause: error },
    );
  }
}

/** Ends the server of an earlier run that was killed before it could do so. Call with the lock held. */
async function stopLeftover(dataDir: string, log: (line: string) => void): Promise<void> {
  const text = await readFile(pidFile(dataDir), 'utf8').catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return '';
    throw error;
  });
  const pid = Number.parseInt(text, 10);
  if (!(pid > 0) || !processExists(pid)) return;
  if (processInfo(process.pid) === undefined) {
    throw new RedisStartError(
      `${pidFile(dataDir)} names process ${pid}, which may be a Redis that still writes to ${dataDir}. ` +
        `Stop that process if so (kill ${pid}), or else delete the file.`,
    );
  }
  // The id may long belong to somebody else: only a process that was started with our configuration file counts.
  const isOurs = () => processInfo(pid)?.command.includes(configFile(dataDir)) === true;
  if (!isOurs()) return;
  log(`Stopping the Redis (process ${pid}) that an earlier run left behind in ${dataDir}`);
  if (await endProcess(pid, isOurs)) return;
  throw new RedisStartError(
    `Process ${pid}, a Redis of an earlier run, still writes to ${dataDir} and cannot be stopped. End it by hand (kill -9 ${pid}).`,
  );
}

/** SIGTERM, then SIGKILL. False if the process is still there, e.g. because it belongs to another user. */
async function endProcess(pid: number, isThere: () => boolean): Promise<boolean> {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if (errnoOf(error) === 'ESRCH') return true;
      if (errnoOf(error) === 'EPERM') return false;
      throw error;
    }
    const deadline = Date.now() + STOP_TIMEOUT_MS;
    while (Date.now() < deadline) {
      if (!isThere()) return true;
      await sleep(20);
    }
  }
  return false;
}

async function launch(binary: string, dataDir: string, tcp: boolean, unlock: () => void): Promise<RunningRedis> {
  const socketDirectory = tcp ? undefined : await makeSocketDirectory(dataDir);
  const connection: RedisConnection =
    socketDirectory === undefined
      ? { host: '127.0.0.1', port: await freePort(), password: randomBytes(24).toString('hex') }
      : { path: socketPathIn(socketDirectory) };
  await writeFile(configFile(dataDir), configuration(dataDir, connection), { mode: 0o600 });
  const output = await openLog(dataDir);
  const child = spawn(binary, [configFile(dataDir)], {
    cwd: dataDir,
    detached: true,
    stdio: ['ignore', output.fd, output.fd],
  });
  child.unref();

  let stopping = false;
  const exit = Promise.withResolvers<string | undefined>();
  const cleanUp = () => {
    children.delete(child);
    rmSync(configFile(dataDir), { force: true }); // it may hold the password
    if (socketDirectory !== undefined) rmSync(socketDirectory, { recursive: true, force: true });
  };
  const ended = (how: string) => {
    cleanUp();
    if (stopping) exit.resolve(undefined);
    else
      void logTail(dataDir).then((tail) =>
        exit.resolve(`Redis ${how}. The end of its log (${logFile(dataDir)}):\n${tail}`),
      );
  };
  child.once('error', (error) => {
    if (child.pid === undefined) ended(`could not be started: ${error.message}`);
  });
  child.once('exit', (code, signal) =>
    ended(signal === null ? `ended with exit status ${code ?? 0}` : `was ended by ${signal}`),
  );
  endWithUs(child, cleanUp);
  await output.close(); // only now: the listeners above must be there before an error is emitted

  const stop = async () => {
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) {
      stopping = true;
      child.ref(); // or the process might end before the server has
      child.kill('SIGTERM');
      const force = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
      await exit.promise;
      clearTimeout(force);
    }
    await exit.promise;
  };

  const givingUp = new AbortController();
  const failure = await Promise.race([
    waitUntilReady(connection, givingUp.signal),
    exit.promise.then((reason) => reason ?? 'Redis was stopped'),
  ]);
  givingUp.abort();
  if (failure !== undefined) {
    const tail = failure === SILENT ? `. The end of its log (${logFile(dataDir)}):\n${await logTail(dataDir)}` : '';
    await stop();
    throw new RedisStartError(failure + tail);
  }
  // From here on the lock lasts as long as the server. (When starting fails, startRedis gives it back.)
  void exit.promise.then(unlock);
  return {
    url: toUrl(connection),
    connection,
    socketPath: 'path' in connection ? connection.path : undefined,
    pid: child.pid ?? 0,
    exited: exit.promise,
    stop,
  };
}

/** Redis writes through our descriptor, not its `logfile`: complaints about the configuration end up there as well. */
async function openLog(dataDir: string): Promise<FileHandle> {
  await rename(logFile(dataDir), `${logFile(dataDir)}.old`).catch((error: unknown) => {
    if (errnoOf(error) !== 'ENOENT') throw error;
  });
  return open(logFile(dataDir), 'w', 0o600);
}

function configuration(dataDir: string, connection: RedisConnection): string {
  const listen =
    'path' in connection
      ? ['port 0', `unixsocket ${quote(connection.path)}`, 'unixsocketperm 700']
      : ['bind 127.0.0.1', `port ${connection.port}`, `requirepass ${connection.password}`];
  return [
    '# Written at every start.',
    ...listen,
    'protected-mode yes',
    `dir ${quote(dataDir)}`,
    `pidfile ${quote(pidFile(dataDir))}`,
    'daemonize no',
    'set-proc-title no', // the pid file is checked against the command line
    'always-show-logo no',
    'appendonly yes',
    'appendfsync always',
    'save ""',
    'maxmemory-policy noeviction',
    '',
  ].join('\n');
}

/** As Redis' configuration parser takes strings. */
function quote(text: string): string {
  const escaped = text
    .replace(/[\\"]/g, '\\$&')
    .replace(/[\n\r\t]/g, (character) => ({ '\n': '\\n', '\r': '\\r', '\t': '\\t' })[character] ?? '');
  return `"${escaped}"`;
}

const configFile = (dataDir: string) => join(dataDir, 'redis.conf');
const pidFile = (dataDir: string) => join(dataDir, 'redis.pid');
const logFile = (dataDir: string) => join(dataDir, 'redis.log');
const socketPathIn = (directory: string) => join(directory, 'redis.sock');

async function makeSocketDirectory(dataDir: string): Promise<string> {
  const fits = (directory: string) => Buffer.byteLength(socketPathIn(directory)) <= MAX_SOCKET_PATH_BYTES;
  const beside = join(dataDir, 'run');
  if (fits(beside)) {
    await mkdir(beside, { recursive: true });
    await chmod(beside, 0o700); // whatever the umask and earlier runs made of it
    return beside;
  }
  const prefix = join(tmpdir(), 'blindfit-');
  return mkdtemp(fits(`${prefix}123456`) ? prefix : '/tmp/blindfit-'); // mkdtemp makes it 0700
}

function toUrl(connection: RedisConnection): string {
  return 'path' in connection
    ? `unix://${pathToFileURL(connection.path).pathname}?db=0`
    : `redis://:${connection.password}@${connection.host}:${connection.port}/0`;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done, failed) => {
    server.once('error', failed);
    server.listen(0, '127.0.0.1', done);
  });
  const address = server.address();
  await new Promise((done) => server.close(done));
  if (address === null || typeof address === 'string')
    throw new RedisStartError('The system gave no free TCP port on 127.0.0.1.');
  return address.port;
}

const SILENT = `Redis did not answer within ${START_TIMEOUT_MS / 1000} s`;

/** Resolves with undefined once PING is answered, else with why it was given up. Loading data may take any time. */
async function waitUntilReady(connection: RedisConnection, givingUp: AbortSignal): Promise<string | undefined> {
  let deadline = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < deadline && !givingUp.aborted) {
    const client = new Redis({
      ...connection,
      lazyConnect: true,
      enableReadyCheck: false,
      maxRetriesPerRequest: 0,
      connectTimeout: 5000,
      commandTimeout: 5000,
      retryStrategy: () => null,
    });
    client.on('error', () => undefined); // the rejected promises tell the same
    try {
      await client.connect();
      await client.ping();
      return undefined;
    } catch (error) {
      if (messageOf(error).startsWith('LOADING')) deadline = Date.now() + START_TIMEOUT_MS;
    } finally {
      // A client whose attempt failed is at its end; disconnecting it once more would leave a timer behind.
      if (client.status !== 'end') client.disconnect();
    }
    await sleep(20);
  }
  return SILENT;
}

async function logTail(dataDir: string): Promise<string> {
  const text = await readFile(logFile(dataDir), 'utf8').catch(
    (error: unknown) => `(cannot be read: ${messageOf(error)})`,
  );
  return text.trimEnd().split('\n').slice(-15).join('\n') || '(empty)';
}

/** The servers to take along when this process ends, each with what removes its files. */
const children = new Map<ChildProcess, () => void>();
const ENDING_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
let watching = false;

function endWithUs(child: ChildProcess, cleanUp: () => void): void {
  if (child.pid === undefined) return;
  children.set(child, cleanUp);
  if (watching) return;
  watching = true;
  const endAll = () => {
    // With every write synced there is nothing to wait for.
    for (const [each, removeFiles] of [...children]) {
      each.kill('SIGTERM');
      removeFiles();
    }
  };
  process.on('exit', endAll);
  for (const signal of ENDING_SIGNALS) {
    const onSignal = () => {
      // A program with a handler of its own decides about its end; the exit handler above does the rest.
      if (process.listenerCount(signal) > 1) return;
      endAll();
      process.off(signal, onSignal);
      process.kill(process.pid, signal);
    };
    process.on(signal, onSignal);
  }
}
