import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { messageOf } from '@blindfit/base';
import { LockedError, takeLock } from '@blindfit/base/node';
import { configFile, configuration } from './configuration.ts';
import { endWithProcess, forgetChild } from './end-with-process.ts';
import { RedisStartError } from './errors.ts';
import { STOP_TIMEOUT_MS, stopLeftover } from './leftover.ts';
import { freePort, makeSocketDirectory, socketPathIn, toUrl, type RedisConnection } from './listen.ts';
import { logFile, logTail, openLog } from './log.ts';
import { SILENT, waitUntilReady } from './ready.ts';
import { resolveRedisBinary } from './resolve.ts';

/** Attempts to find a port that stays free until Redis listens on it. */
const PORT_ATTEMPTS = 5;

export interface StartRedisOptions {
  /** Holds the append-only file, the configuration, the log and the lock; created with mode 0700 if it is missing. */
  readonly dataDir: string;
  /** Called with one line for each step that takes time or is unusual. */
  readonly log: (line: string) => void;
  /**
   * Listen on a free TCP port of 127.0.0.1 with a random password instead of on a UNIX socket.
   * @default false
   */
  readonly tcp?: boolean | undefined;
  /** Socket to listen on, as an earlier server on this `dataDir` did. @default one in a directory of its own */
  readonly socketPath?: string | undefined;
  /** The redis-server program. @default what `resolveRedisBinary` finds */
  readonly binary?: string | undefined;
}

export interface RunningRedis {
  /** `unix:///path/redis.sock?db=0` or `redis://:password@127.0.0.1:port/0`, for `parseRedisUrl` of `@blindfit/service`. */
  readonly url: string;
  /** The same for ioredis: `new Redis({ ...connection })`. */
  readonly connection: RedisConnection;
  /** Only with a UNIX socket. */
  readonly socketPath: string | undefined;
  readonly pid: number;
  /** Resolves when the server has ended: with undefined after `stop`, else with the reason and the end of its log. */
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
        return await launch(binary, dataDir, options, unlock);
      } catch (error) {
        // Another program may have taken the port before Redis listened on it.
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

async function launch(
  binary: string,
  dataDir: string,
  { tcp = false, socketPath }: Pick<StartRedisOptions, 'tcp' | 'socketPath'>,
  unlock: () => void,
): Promise<RunningRedis> {
  const socketDirectory = tcp ? undefined : await makeSocketDirectory(dataDir, socketPath && dirname(socketPath));
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
    forgetChild(child);
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
  endWithProcess(child, cleanUp);
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
