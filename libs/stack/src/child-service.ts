/** One service of the stack as a child process: announces itself, logs to a file, can be killed and started again. */
import { spawn, type ChildProcess } from 'node:child_process';
import { open, readFile } from 'node:fs/promises';
import { setPriority } from 'node:os';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { BlindfitError, messageOf, moduleUrl, type BlindfitErrorOptions } from '@blindfit/base';
import type { ReadyLine } from '@blindfit/service';

const MAIN = fileURLToPath(moduleUrl('./service-main.ts', import.meta.url));
/** Time limit of the ready line, and then of `/readyz`. Generous, for busy machines. Milliseconds. */
const START_TIMEOUT_MS = 60_000;
/** Time that services have to shut down. */
export const STOP_SECONDS = 25;
/** After which they are ended by force. Milliseconds. */
const STOP_TIMEOUT_MS = (STOP_SECONDS + 5) * 1000;
const TAIL_LINES = 15;
/** Of workers, where 0 is that of the other services. */
const WORKER_NICENESS = 5;

/** `STACK`: a service did not become ready, or the stack cannot be used as asked. */
export class StackError extends BlindfitError {
  constructor(message: string, options?: BlindfitErrorOptions) {
    super('STACK', message, { fault: 'host', ...options });
  }
}

export interface ChildServiceOptions {
  /** Unique in the stack, e.g. `worker-1`; also names the log. */
  readonly name: string;
  /** The service to run. */
  readonly command: 'api' | 'scheduler' | 'worker';
  readonly env: NodeJS.ProcessEnv;
  /** Told when it ends without having been asked to, with the end of its log. Not while it starts. */
  readonly onExit: (reason: string) => void;
  readonly logFile: string;
  /** Variable that holds the port, to keep it when started again. */
  readonly portVariable: string;
  /** Path of the program to run with the command as its argument. @default service-main */
  readonly main?: string | undefined;
  /** Time limit of the ready line, and then of `/readyz`, in milliseconds. @default 60000 */
  readonly startTimeoutMs?: number | undefined;
  /** Time to shut down before the process is ended by force, in milliseconds. @default 30000 */
  readonly stopTimeoutMs?: number | undefined;
}

/** The API answers many: with these variables memory that large bodies and streams took goes back to the system. */
function smallHeap({ NODE_OPTIONS: options = '' }: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return {
    NODE_OPTIONS: `--max-semi-space-size=8 ${options}`.trim(),
    MALLOC_ARENA_MAX: '2',
    MALLOC_MMAP_THRESHOLD_: '262144',
    MALLOC_TRIM_THRESHOLD_: '262144',
  };
}

export class ChildService {
  readonly name: string;
  readonly #options: ChildServiceOptions;
  readonly #portVariable: string;
  #child: ChildProcess | undefined;
  #exited: Promise<string> = Promise.resolve('was never started');
  #expected = true;
  #url = '';

  constructor(options: ChildServiceOptions) {
    this.name = options.name;
    this.#options = options;
    this.#portVariable = options.portVariable;
  }

  /** Process id; 0 while there is none. */
  get pid(): number {
    const { pid = 0 } = this.#child ?? { pid: 0 };
    return this.alive ? pid : 0;
  }

  /** Base URL of its HTTP server, the same over restarts. */
  get url(): string {
    return this.#url;
  }

  get logFile(): string {
    return this.#options.logFile;
  }

  get alive(): boolean {
    return this.#child?.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /**
   * Starts the process and waits until it is ready.
   * @throws StackError with the end of its log; the process has ended then
   */
  async start(signal?: AbortSignal): Promise<void> {
    const { command, name, env, logFile, main = MAIN } = this.#options;
    const log = await open(logFile, 'a', 0o600);
    this.#expected = false;
    const port = this.#url === '' ? {} : { [this.#portVariable]: new URL(this.#url).port };
    const memory = command === 'api' ? smallHeap(env) : {};
    const child = spawn(process.execPath, [main, command], {
      env: { ...env, ...port, ...memory },
      // The end of the channel tells the child that this process has ended, in whatever way.
      stdio: ['ignore', 'pipe', log.fd, 'ipc'],
      // Ctrl-C is for this process, which stops the services in their order; a terminal would send it to all at once.
      detached: true,
    });
    this.#child = child;
    if (command === 'worker' && child.pid !== undefined) yieldToOthers(child.pid);
    const exited = new Promise<string>((resolve) => {
      child.once('error', (error) => {
        if (child.pid === undefined) resolve(`could not be started: ${error.message}`);
      });
      child.once('exit', (code, by) =>
        resolve(by === null ? `ended with exit status ${code ?? 0}` : `was ended by ${by}`),
      );
    });
    this.#exited = exited;
    await log.close();

    try {
      const { url } = await this.#ready(child, exited, signal);
      this.#url = url;
    } catch (error) {
      this.#expected = true;
      child.kill('SIGKILL');
      await exited;
      signal?.throwIfAborted();
      throw new StackError(
        `${name} did not start: ${messageOf(error)}. The end of its log (${logFile}):\n${await this.#tail()}`,
        { cause: error },
      );
    }
    void exited.then(async (how) => {
      if (this.#child === child && !this.#expected)
        this.#options.onExit(`${name} ${how}. The end of its log (${logFile}):\n${await this.#tail()}`);
    });
  }

  /** Sends a signal. Resolves when the process has ended, or at once if the signal is none that ends it. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (!this.alive) return;
    const ends = signal === 'SIGKILL' || signal === 'SIGTERM' || signal === 'SIGINT';
    if (ends) this.#expected = true;
    this.#child?.kill(signal);
    if (ends) await this.#exited;
  }

  /** Ends the process in good order, or by force when its time is over. */
  async stop(): Promise<void> {
    if (!this.alive) return;
    const { stopTimeoutMs = STOP_TIMEOUT_MS } = this.#options;
    const force = setTimeout(() => void this.kill('SIGKILL'), stopTimeoutMs);
    await this.kill('SIGTERM');
    clearTimeout(force);
  }

  async #ready(child: ChildProcess, exited: Promise<string>, signal?: AbortSignal): Promise<ReadyLine> {
    const { startTimeoutMs = START_TIMEOUT_MS } = this.#options;
    const giveUp = AbortSignal.any([AbortSignal.timeout(startTimeoutMs), ...(signal === undefined ? [] : [signal])]);
    const over = Promise.race([
      exited.then((how) => Promise.reject(new Error(`it ${how}`))),
      new Promise<never>((_, reject) => {
        const late = (): void =>
          reject(
            new Error(
              signal?.aborted === true ? 'it was interrupted' : `it was not ready within ${startTimeoutMs / 1000} s`,
            ),
          );
        if (giveUp.aborted) late();
        else giveUp.addEventListener('abort', late, { once: true });
      }),
    ]);
    over.catch(() => undefined); // the race below tells
    const line = await Promise.race([readyLine(child), over]);
    await Promise.race([answersReady(line.url, giveUp), over]);
    return line;
  }

  async #tail(): Promise<string> {
    const text = await readFile(this.#options.logFile, 'utf8').catch(
      (error: unknown) => `(cannot be read: ${messageOf(error)})`,
    );
    return text.trimEnd().split('\n').slice(-TAIL_LINES).join('\n') || '(empty)';
  }
}

/** The first ready line of a process. Never settles when the process ends without one. */
async function readyLine(child: ChildProcess): Promise<ReadyLine> {
  const { stdout } = child;
  if (stdout === null) throw new Error('it has no output');
  return await new Promise<ReadyLine>((resolve) => {
    // Reading goes on afterwards, so that the process never blocks on its output.
    createInterface(stdout).on('line', (line) => {
      const value = parse(line);
      if (value?.ready === true && typeof value.url === 'string') resolve(value as ReadyLine);
    });
  });
}

async function answersReady(url: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const status = await fetch(`${url}/readyz`, { signal }).then(
      async (response) => {
        await response.arrayBuffer();
        return response.status;
      },
      () => undefined,
    );
    if (status === 200) return;
    await sleep(50);
  }
}

function parse(line: string): Partial<ReadyLine> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Workers compute on all processors; what hands work out and answers, on the same machine, comes first. */
function yieldToOthers(pid: number): void {
  try {
    setPriority(pid, WORKER_NICENESS);
  } catch {
    // Some containers forbid it, or the process has ended already.
  }
}
