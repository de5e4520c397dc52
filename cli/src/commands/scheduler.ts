import type { Command } from 'commander';
import { runService } from '@blindfit/service';
import { optional, tracingOf, tracingVariables, variables } from '@blindfit/service/settings';
import { addConfigFlags, configOf, givenFlags, TRACING_HELP } from '../config.ts';

const {
  redisUrl,
  store,
  s3Endpoint,
  s3PathStyle,
  token,
  evaluator,
  cacheDir,
  cacheMb,
  queuePrefix,
  host,
  metricsPort,
  stopSeconds,
  logLevel,
} = variables;
const threads = {
  ...variables.threads,
  description: 'Threads that add gradients up; they do without keys and have little to do',
  default: () => 1,
  defaultText: '1',
};
const TABLE = {
  redisUrl,
  store,
  s3Endpoint,
  s3PathStyle,
  token: optional(token),
  threads,
  evaluator,
  cacheDir,
  cacheMb,
  queuePrefix,
  host,
  metricsPort,
  stopSeconds,
  logLevel,
  ...tracingVariables,
};

export function register(program: Command): void {
  const command = program
    .command('scheduler')
    .summary('run a scheduler')
    .description(
      'Runs a scheduler: cuts jobs into tasks, adds up what the workers found, and starts the next iteration. Needs no keys. Several may run.',
    )
    .option('--ready-json', 'print one line of JSON to stdout when ready');
  addConfigFlags(command, TABLE)
    .addHelpText(
      'after',
      `
With an http(s) store, BLINDFIT_TOKEN must hold the token of that API.
${TRACING_HELP}

Examples:
  blindfit scheduler --redis redis://queue.internal:6379 --store file:///mnt/shared/blobs --metrics-port 9465`,
    )
    .action(async (options: { readyJson?: true }) => {
      const config = configOf(TABLE, givenFlags(command));
      await runService({
        service: 'scheduler',
        logLevel: config.logLevel,
        stopMs: config.stopSeconds * 1000,
        readyJson: options.readyJson === true,
        start: async (logger) => {
          const tracing = tracingOf(config);
          const { withS3Settings } = await import('@blindfit/blobs');
          const { startScheduler } = await import('@blindfit/scheduler');
          return await startScheduler({
            redisUrl: config.redisUrl,
            storeUrl: withS3Settings(config.store, { endpoint: config.s3Endpoint, pathStyle: config.s3PathStyle }),
            ...(config.token === undefined ? {} : { token: config.token }),
            threads: config.threads,
            evaluator: config.evaluator,
            cacheDir: config.cacheDir,
            cacheBytes: config.cacheMb * 2 ** 20,
            queuePrefix: config.queuePrefix,
            host: config.host,
            metricsPort: config.metricsPort,
            logLevel: config.logLevel,
            ...(tracing === undefined ? {} : { tracing }),
            logger,
          });
        },
      });
    });
}
