import type { Command } from 'commander';
import { runService } from '@blindfit/service';
import { operatorVariables, retentionMs, tracingOf, tracingVariables, variables } from '@blindfit/service/settings';
import { addConfigFlags, configOf, givenFlags, TRACING_HELP } from '../config.ts';

const {
  redisUrl,
  store,
  s3Endpoint,
  s3PathStyle,
  token,
  host,
  port,
  queuePrefix,
  maxBlobMb,
  retention,
  planThreads,
  stopSeconds,
  logLevel,
} = variables;
const TABLE = {
  redisUrl,
  store,
  s3Endpoint,
  s3PathStyle,
  token,
  ...operatorVariables,
  host,
  port,
  queuePrefix,
  maxBlobMb,
  retention,
  planThreads,
  stopSeconds,
  logLevel,
  ...tracingVariables,
};

export function register(program: Command): void {
  const command = program
    .command('api')
    .summary('run the API server')
    .description(
      'Runs the API: takes blobs and jobs, tells their progress, hands out results. Any number may run on one Redis and one store.',
    )
    .option('--ready-json', 'print one line of JSON to stdout when ready');
  addConfigFlags(command, TABLE)
    .addHelpText(
      'after',
      `
The bearer token that clients must send comes from the environment: BLINDFIT_TOKEN. With another one in
BLINDFIT_OPERATOR_TOKEN operators see the queues at /admin/queues.
${TRACING_HELP}

Examples:
  export BLINDFIT_TOKEN=$(openssl rand -hex 32)
  blindfit api --redis redis://127.0.0.1:6379 --store file:///var/lib/blindfit/blobs
  blindfit api --redis rediss://queue.internal --store file:///mnt/shared/blobs --host 0.0.0.0 --port 8080`,
    )
    .action(async (options: { readyJson?: true }) => {
      const config = configOf(TABLE, givenFlags(command));
      await runService({
        service: 'api',
        logLevel: config.logLevel,
        stopMs: config.stopSeconds * 1000,
        readyJson: options.readyJson === true,
        start: async (logger) => {
          const tracing = tracingOf(config);
          const { withS3Settings } = await import('@blindfit/blobs');
          const { startApi } = await import('@blindfit/api');
          return await startApi({
            redisUrl: config.redisUrl,
            storeUrl: withS3Settings(config.store, { endpoint: config.s3Endpoint, pathStyle: config.s3PathStyle }),
            token: config.token,
            ...(config.operatorToken === undefined ? {} : { operatorToken: config.operatorToken }),
            host: config.host,
            port: config.port,
            queuePrefix: config.queuePrefix,
            maxBlobBytes: config.maxBlobMb * 2 ** 20,
            retentionMs: retentionMs(config.retention),
            planThreads: config.planThreads,
            logLevel: config.logLevel,
            ...(tracing === undefined ? {} : { tracing }),
            logger,
          });
        },
      });
    });
}
