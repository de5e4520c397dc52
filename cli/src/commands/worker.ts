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
  threads,
  keyMemoryMb,
  keyDiskMb,
  inputDiskMb,
  evaluator,
  cacheDir,
  cacheMb,
  queuePrefix,
  host,
  metricsPort,
  stopSeconds,
  logLevel,
} = variables;
const TABLE = {
  redisUrl,
  store,
  s3Endpoint,
  s3PathStyle,
  token: optional(token),
  threads,
  keyMemoryMb,
  keyDiskMb,
  inputDiskMb,
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
    .command('worker')
    .summary('run a worker')
    .description(
      'Runs a worker: computes on ciphertexts, with as many threads as the machine has cores. Any number may run, on any number of machines.',
    )
    .option('--ready-json', 'print one line of JSON to stdout when ready');
  addConfigFlags(command, TABLE)
    .addHelpText(
      'after',
      `
With an http(s) store, BLINDFIT_TOKEN must hold the token of that API.
${TRACING_HELP}

Examples:
  blindfit worker --redis redis://queue.internal:6379 --store file:///mnt/shared/blobs
  BLINDFIT_TOKEN=... blindfit worker --redis redis://queue.internal:6379 --store https://api.internal --threads 64 --metrics-port 9464`,
    )
    .action(async (options: { readyJson?: true }) => {
      const config = configOf(TABLE, givenFlags(command));
      await runService({
        service: 'worker',
        logLevel: config.logLevel,
        stopMs: config.stopSeconds * 1000,
        readyJson: options.readyJson === true,
        start: async (logger) => {
          const tracing = tracingOf(config);
          const { withS3Settings } = await import('@blindfit/blobs');
          const { startWorker } = await import('@blindfit/worker');
          return await startWorker({
            redisUrl: config.redisUrl,
            storeUrl: withS3Settings(config.store, { endpoint: config.s3Endpoint, pathStyle: config.s3PathStyle }),
            ...(config.token === undefined ? {} : { token: config.token }),
            threads: config.threads,
            keyMemoryBytes: config.keyMemoryMb * 2 ** 20,
            keyDiskBytes: config.keyDiskMb * 2 ** 20,
            inputDiskBytes: config.inputDiskMb * 2 ** 20,
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
