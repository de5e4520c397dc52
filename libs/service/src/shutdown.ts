import { constants } from 'node:os';
import { endRequests } from './end-requests.ts';
import type { Logger } from './logger.ts';

export interface ShutdownOptions {
  logger: Logger;
  /**
   * Milliseconds for all steps together. Below the 30 s that Kubernetes and the 90 s that systemd wait.
   * @default 25000
   */
  deadlineMs?: number;
  /** @default SIGTERM and SIGINT */
  signals?: readonly NodeJS.Signals[];
  /** Ends the process; tests give something milder. @default process.exit */
  exit?: (code: number) => void;
}

export interface Shutdown {
  /**
   * Registers a step. Steps run one after another, the last registered first: what was started last stops first, while
   * what it stands on is still there.
   */
  onShutdown(name: string, stop: () => Promise<void> | void): void;
  /** Aborted when the shutdown begins, for loops and waits. */
  readonly signal: AbortSignal;
  /**
   * Begins the shutdown; further calls join the one under way. Resolves with the exit code: 0 when every step
   * succeeded in time, else 1.
   */
  trigger(reason: string): Promise<number>;
  /** Stops listening to signals. */
  dispose(): void;
}

/**
 * Orderly end of a service: on a signal, runs the registered steps within a deadline and exits. A second request (see
 * `endRequests`) exits at once with 128 + the signal's number, as a shell would report it.
 */
export function createShutdown(options: ShutdownOptions): Shutdown {
  const { logger, deadlineMs = 25_000, signals = ['SIGTERM', 'SIGINT'] } = options;
  const exit = options.exit ?? ((code: number): void => process.exit(code));
  const steps: { name: string; stop: () => Promise<void> | void }[] = [];
  const aborter = new AbortController();
  let running: Promise<number> | undefined;

  async function run(reason: string): Promise<number> {
    const started = Date.now();
    logger.info({ reason, deadlineMs }, 'shutting down');
    aborter.abort(reason);
    let current = 'none';
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<'late'>((resolve) => {
      timer = setTimeout(() => resolve('late'), deadlineMs);
    });
    const all = (async () => {
      let failed = false;
      // Steps registered during the shutdown are run as well.
      for (let step = steps.pop(); step !== undefined; step = steps.pop()) {
        current = step.name;
        try {
          await step.stop();
        } catch (err) {
          failed = true;
          logger.error({ err, step: step.name }, 'a shutdown step failed; going on with the next');
        }
      }
      return failed ? 'failed' : 'clean';
    })();
    const outcome = await Promise.race([all, deadline]);
    clearTimeout(timer);
    if (outcome === 'late') logger.error({ step: current, deadlineMs }, 'shutdown took too long; giving up');
    else logger.info({ outcome, seconds: (Date.now() - started) / 1000 }, 'shut down');
    const code = outcome === 'clean' ? 0 : 1;
    exit(code);
    return code;
  }

  function trigger(reason: string): Promise<number> {
    running ??= run(reason);
    return running;
  }

  const requests = endRequests();
  const onSignal = (signal: NodeJS.Signals): void => {
    const request = requests(signal);
    if (running === undefined) {
      void trigger(signal);
      return;
    }
    if (request === 'same') return;
    logger.warn({ signal }, 'second signal: exiting at once');
    exit(128 + constants.signals[signal]);
  };
  for (const signal of signals) process.on(signal, onSignal);

  return {
    onShutdown: (name, stop) => {
      steps.push({ name, stop });
    },
    signal: aborter.signal,
    trigger,
    dispose: () => {
      for (const signal of signals) process.off(signal, onSignal);
    },
  };
}
