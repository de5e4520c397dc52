/** All of Blindfit on one machine: a private Redis, the API, schedulers and workers. */
import { randomBytes } from 'node:crypto';
import { mkdir, rename } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { errnoOf } from '@blindfit/base';
import { evaluatorName, resolveEvaluator } from '@blindfit/he/native';
import { startRedis, type RunningRedis } from '@blindfit/redis-server';
import { readConfig, variables } from '@blindfit/service/settings';
import { ChildService, StackError, type ChildServiceOptions } from './child-service.ts';
import { environmentOf, schedulerThreads } from './environment.ts';

export { StackError } from './child-service.ts';

export interface StackOptions {
  /** Holds everything that lasts: `redis`, `blobs`, `cache` and `logs`. Created with mode 0700. */
  dataDir: string;
  /** Threads of each worker. */
  threads: number;
  /** @default 1 */
  workers?: number;
  /** @default 1 */
  schedulers?: number;
  /** Port of the API on 127.0.0.1. @default any free one */
  port?: number;
  /** Bearer token of the API. @default a random one */
  token?: string;
  /** A Redis to use instead of a private one. */
  redisUrl?: string | undefined;
  /** Path of the audit log of the API, or `off`. @default as BLINDFIT_AUDIT_LOG says */
  auditLog?: string | undefined;
  /** Where blobs are kept. @default a directory in `dataDir` */
  storeUrl?: string;
  /** Told in one line each what takes time or is out of the ordinary; never a token or a URL with a password. */
  log: (line: string) => void;
  /**
   * Called when a service, or `redis`, ends by itself after the start, with the reason and the end of its log. The
   * stack restarts nothing by itself.
   */
  onExit?: (name: string, reason: string) => void;
  /** Gives the start up. */
  signal?: AbortSignal;
}

export interface StackProcess {
  /** `api`, `scheduler-1`, `worker-1`, ... */
  readonly name: string;
  /** 0 while it does not run. */
  readonly pid: number;
  /** Base URL: of the API, or of `/metrics`, `/healthz` and `/readyz`. The same over restarts. */
  readonly url: string;
  readonly logFile: string;
  /** Ends it in good order if it runs, starts it and waits until it is ready. @throws StackError */
  restart(): Promise<void>;
  /** Sends a signal and waits for the end of the process if the signal ends it. @param signal @default SIGKILL */
  kill(signal?: NodeJS.Signals): Promise<void>;
}

export interface RunningStack {
  /** Base URL of the API. */
  readonly url: string;
  readonly token: string;
  readonly redisUrl: string;
  readonly storeUrl: string;
  readonly dataDir: string;
  readonly logDir: string;
  /** The evaluator that computes on ciphertexts and why it was chosen, as text. */
  readonly evaluator: string;
  readonly processes: readonly StackProcess[];
  /** Starts the private Redis again, with its data and its address. @throws StackError, RedisStartError */
  restartRedis(): Promise<void>;
  /** Stops workers, schedulers, API and Redis in this order, by force where needed. May be called repeatedly. */
  stop(): Promise<void>;
}

/**
 * Starts the stack and resolves when all of it is ready. The services end with this process, in whatever way it ends.
 *
 * @param main the program of the services, for tests
 * @throws StackError when something does not come up (with the end of its log) or the port is in use;
 *   RedisUnavailableError, RedisStartError; the signal's reason. All that was started is stopped then.
 */
export async function startStack(options: StackOptions, main?: string): Promise<RunningStack> {
  const { threads, workers = 1, schedulers = 1, port = 0, log, signal } = options;
  const dataDir = resolve(options.dataDir);
  const logDir = join(dataDir, 'logs');
  const token = options.token ?? randomBytes(32).toString('hex');
  const storeUrl = options.storeUrl ?? pathToFileURL(join(dataDir, 'blobs')).href;
  await checkPort(port);
  for (const directory of [dataDir, logDir]) await mkdir(directory, { recursive: true, mode: 0o700 });
  signal?.throwIfAborted();

  // The addon is compiled before the services start: each would compile it within its time to become ready.
  const evaluator = await resolveEvaluator(readConfig({ evaluator: variables.evaluator }).evaluator, log);
  if (evaluator.kind === 'seal')
    log(
      `Computing on ${evaluatorName(evaluator)}: ${evaluator.why}. ` +
        'The native evaluator gives the same results some ten times faster',
    );
  signal?.throwIfAborted();

  let stopping: Promise<void> | undefined;
  const onExit = (name: string, reason: string): void => {
    if (stopping === undefined) options.onExit?.(name, reason);
  };
  let redis = undefined as RunningRedis | undefined;
  const startPrivateRedis = async (): Promise<void> => {
    redis = await startRedis({ dataDir: join(dataDir, 'redis'), log, socketPath: redis?.socketPath });
    void redis.exited.then((reason) => reason !== undefined && onExit('redis', reason));
  };
  if (options.redisUrl === undefined) await startPrivateRedis();
  const redisUrl = options.redisUrl ?? redis?.url ?? '';

  const env = environmentOf(
    { workers, port, redisUrl, storeUrl, token, dataDir, auditLog: options.auditLog },
    process.env,
  );
  const child = (command: ChildServiceOptions['command'], name: string, count: number): ChildService =>
    new ChildService({
      name,
      command,
      env: { ...env, BLINDFIT_THREADS: String(count) },
      logFile: join(logDir, `${name}.log`),
      portVariable: command === 'api' ? 'BLINDFIT_PORT' : 'BLINDFIT_METRICS_PORT',
      onExit: (reason) => onExit(name, reason),
      main,
    });
  const several = (command: 'scheduler' | 'worker', count: number, threadsEach: number): ChildService[] =>
    Array.from({ length: count }, (_, i) => child(command, `${command}-${i + 1}`, threadsEach));
  const api = child('api', 'api', 1);
  const schedulerChildren = several('scheduler', schedulers, schedulerThreads(threads, workers));
  const workerChildren = several('worker', workers, threads);
  const children = [api, ...schedulerChildren, ...workerChildren];

  const stop = async (): Promise<void> => {
    await Promise.all(workerChildren.map((each) => each.stop()));
    await Promise.all(schedulerChildren.map((each) => each.stop()));
    await api.stop();
    await redis?.stop();
  };
  const stopOnce = (): Promise<void> => (stopping ??= stop().finally(() => process.off('exit', killAll)));
  // When the process exits without a stop, Redis ends with it, and work under way is lost.
  const killAll = (): void => {
    for (const each of children) void each.kill('SIGKILL');
  };
  process.on('exit', killAll);

  const failed = new AbortController();
  const starting = signal === undefined ? failed.signal : AbortSignal.any([failed.signal, signal]);
  const starts = children.map(async (each) => {
    try {
      await keepOldLog(each.logFile);
      await each.start(starting);
    } catch (error) {
      failed.abort(error); // the others need not go on
      throw error;
    }
  });
  try {
    await Promise.all(starts);
  } catch (error) {
    await Promise.allSettled(starts);
    await stopOnce();
    throw error;
  }

  return {
    url: api.url,
    token,
    redisUrl,
    storeUrl,
    dataDir,
    logDir,
    evaluator: `${evaluatorName(evaluator)}: ${evaluator.why}`,
    processes: children.map((each) => ({
      name: each.name,
      get pid() {
        return each.pid;
      },
      get url() {
        return each.url;
      },
      logFile: each.logFile,
      restart: async () => {
        await each.stop();
        if (stopping !== undefined) throw new StackError(`${each.name} cannot be restarted: the stack is stopping`);
        await each.start();
      },
      kill: (which) => each.kill(which),
    })),
    restartRedis: async () => {
      await redis?.exited;
      const why = redis === undefined ? 'it is not private' : stopping && 'the stack is stopping';
      if (why !== undefined) throw new StackError(`Redis cannot be started again: ${why}`);
      await startPrivateRedis();
    },
    stop: stopOnce,
  };
}

/** Said before anything is started, rather than in the log of a child. */
async function checkPort(port: number): Promise<void> {
  if (port === 0) return;
  const server = createServer();
  try {
    await new Promise<void>((done, failed) => {
      server.once('error', failed);
      server.listen(port, '127.0.0.1', done);
    });
  } catch (error) {
    if (errnoOf(error) === 'EADDRINUSE')
      throw new StackError(`port ${port} of 127.0.0.1 is in use by another program`, {
        hint: 'choose another port, or 0 for any free one',
        cause: error,
      });
    if (errnoOf(error) === 'EACCES')
      throw new StackError(`port ${port} may not be used by this user`, {
        hint: 'choose a port from 1024',
        cause: error,
      });
    throw error;
  }
  await new Promise((done) => server.close(done));
}

/** The log of the last run stays as `.old`; restarts within a run append. */
async function keepOldLog(path: string): Promise<void> {
  await rename(path, `${path}.old`).catch((error: unknown) => {
    if (errnoOf(error) !== 'ENOENT') throw error;
  });
}
