/** A service in the foreground of its process: started, announced, and stopped in good order. */
import { createLogger, type Logger } from './logger.ts';
import { createShutdown } from './shutdown.ts';

export interface RunningService {
  /** Base URL of its HTTP server. */
  readonly url: string;
  close(): Promise<void>;
}

/** What a service started with `--ready-json` prints to stdout once it is ready. */
export interface ReadyLine {
  readonly ready: true;
  readonly service: string;
  readonly url: string;
  readonly pid: number;
}

/** How long a service outlives the process that started it. Milliseconds. */
const ORPHAN_MS = 5_000;

/**
 * Runs a service until SIGTERM, SIGINT or the end of the process that started it with an IPC channel; then closes it and
 * exits the process (0, or 1 if closing failed or took too long). Does not return.
 *
 * @throws what `start` throws
 */
export async function runService(options: {
  readonly service: string;
  readonly logLevel: string;
  /** How long its end may take. Milliseconds. */
  readonly stopMs: number;
  readonly readyJson: boolean;
  readonly start: (logger: Logger) => Promise<RunningService>;
}): Promise<never> {
  const { service, readyJson } = options;
  // stdout is for the ready line.
  const logger = createLogger({ service, level: options.logLevel, destination: process.stderr });
  const shutdown = createShutdown({ logger, deadlineMs: options.stopMs });
  endWithParent(() => {
    // It may have taken Redis along, without which queues do not close: what is under way will be repeated anyhow.
    setTimeout(() => process.exit(1), ORPHAN_MS);
    void shutdown.trigger('the process that started this one has ended');
  });
  const running = await options.start(logger);
  shutdown.onShutdown(service, () => running.close());
  const line: ReadyLine = { ready: true, service, url: running.url, pid: process.pid };
  if (readyJson) process.stdout.write(`${JSON.stringify(line)}\n`);
  else
    process.stderr.write(`blindfit ${service} is ready at ${running.url} (process ${process.pid}); Ctrl-C stops it\n`);
  return await new Promise<never>(() => undefined);
}

/** Calls back when the process that spawned this one with an IPC channel has gone, however it went. */
function endWithParent(onGone: () => void): void {
  if (process.send === undefined) return;
  if (process.connected) process.once('disconnect', onGone);
  else onGone();
}
