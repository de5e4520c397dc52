/** A service in the foreground of its process: started, announced, and stopped in good order. */
import type { Config } from './config.ts';
import type { processVariables, ServiceDefinition } from './definition.ts';
import { createLogger } from './logger.ts';
import { createShutdown } from './shutdown.ts';
import { startFacts } from './start-line.ts';

/** The line on stdout that says that a service started with `--ready-json` is ready. */
export interface ReadyLine {
  readonly ready: true;
  readonly service: string;
  readonly url: string;
  readonly pid: number;
}

/** A service ends at most this much later than the process that started it. Milliseconds. */
const ORPHAN_MS = 5_000;

/**
 * Runs a service until SIGTERM, SIGINT or the end of the process that started it with an IPC channel; then closes it
 * and exits the process (0, or 1 if closing failed or took too long). Does not return.
 *
 * @throws what `start` throws
 */
export async function runService(
  definition: ServiceDefinition,
  config: Config<typeof processVariables>,
  { readyJson }: { readonly readyJson: boolean },
): Promise<never> {
  const service = definition.name;
  // stdout is for the ready line.
  const logger = createLogger({ service, level: config.logLevel, destination: process.stderr });
  const shutdown = createShutdown({ logger, deadlineMs: config.stopSeconds * 1000 });
  endWithParent(() => {
    // Redis may have ended with it, and queues do not close without Redis. Work that is lost here is repeated.
    setTimeout(() => process.exit(1), ORPHAN_MS);
    void shutdown.trigger('the process that started this one has ended');
  });
  logger.info(startFacts(definition.table, config), `${service} starts`);
  const running = await definition.start(config, logger);
  shutdown.onShutdown(service, () => running.close());
  const line: ReadyLine = { ready: true, service, url: running.url, pid: process.pid };
  if (readyJson) process.stdout.write(`${JSON.stringify(line)}\n`);
  else if (process.stderr.isTTY)
    process.stderr.write(`blindfit ${service} is ready at ${running.url} (process ${process.pid}); Ctrl-C stops it\n`);
  return await new Promise<never>(() => undefined);
}

/** Calls back when the process that spawned this one with an IPC channel has ended, in whatever way. */
function endWithParent(onGone: () => void): void {
  if (process.send === undefined) return;
  if (process.connected) process.once('disconnect', onGone);
  else onGone();
}
