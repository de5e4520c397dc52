import type { Command } from 'commander';
import { describeIdentity, openBlobStore, withS3Settings } from '@blindfit/blobs';
import { Keys, StoreBinding, type Identities } from '@blindfit/queue';
import { connectRedis, createLogger, parseRedisUrl, waitForRedis } from '@blindfit/service';
import { optional, variables } from '@blindfit/service/settings';
import { addConfigFlags, configOf, givenFlags } from '../config.ts';
import { readConnection } from '../connection-file.ts';
import { dataDirOf } from '../data-dir.ts';
import { UsageError } from '../errors.ts';
import { formatPairs } from '../table.ts';

const { redisUrl, store, s3Endpoint, s3PathStyle, queuePrefix } = variables;
const TABLE = { redisUrl: optional(redisUrl), store: optional(store), s3Endpoint, s3PathStyle, queuePrefix };

interface StoreFlags {
  readonly data?: string;
  readonly json?: true;
}

const REDIS_PATIENCE_MS = 10_000;

const NOTES = `
It speaks to Redis and to the store itself, with the settings of the services, so that it works while no service does.
Without --redis and --store: those of the "blindfit up" of this machine.`;

export function register(program: Command): void {
  const command = program
    .command('store')
    .summary('show or adopt the store of blobs that a Redis belongs to')
    .description(
      'A store of blobs and a Redis know each other by an id and an epoch, which services compare. Where they ' +
        'differ, services do not start; where Redis lost its data, nothing is removed from the store. An ' +
        'operator decides.',
    );
  const show = command
    .command('show')
    .summary('show what both say')
    .description('Shows the id and the epoch of the store and those that Redis knows. Changes nothing.')
    .option('--json', 'print JSON');
  prepare(show, 'blindfit store show', async (binding, { json }) => {
    const identities = await binding.read();
    return json === true ? JSON.stringify(identities, null, 2) : textOf(identities);
  });
  const adopt = command
    .command('adopt')
    .summary('declare that both belong together')
    .description(
      'Declares that this store and this Redis belong together, with an epoch above both. Blobs that no job in this ' +
        'Redis names are removed after the retention time from then on: restore Redis from a ' +
        'backup first, if there is one.',
    );
  const example = 'blindfit store adopt --redis redis://queue.internal:6379 --store file:///mnt/shared/blobs';
  prepare(adopt, example, async (binding) => {
    const identity = await binding.adopt();
    return `Redis and the store are ${describeIdentity(identity)} from now on.`;
  });
}

/** Adds flags and what the command does with both sides; its text is printed. */
function prepare(
  command: Command,
  example: string,
  work: (binding: StoreBinding, flags: StoreFlags) => Promise<string>,
): void {
  command.option('--data <dir>', 'data directory of that "blindfit up", if it was given another one');
  addConfigFlags(command, TABLE)
    .addHelpText('after', `${NOTES}\n\nExample:\n  ${example}`)
    .action(async (flags: StoreFlags) => {
      const config = configOf(TABLE, givenFlags(command));
      const places = { redisUrl: config.redisUrl, storeUrl: config.store };
      const { redisUrl, storeUrl } = await placesOf(places, flags.data);
      const logger = createLogger({ service: 'store', level: 'silent' });
      const redis = connectRedis(parseRedisUrl(redisUrl), logger);
      try {
        await waitForRedis(redis, REDIS_PATIENCE_MS);
        const { s3Endpoint: endpoint, s3PathStyle: pathStyle } = config;
        const opened = await openBlobStore(withS3Settings(storeUrl, { endpoint, pathStyle }));
        const text = await work(new StoreBinding(redis, new Keys(config.queuePrefix), opened), flags);
        process.stdout.write(`${text}\n`);
        await opened.close();
      } finally {
        redis.disconnect();
      }
    });
}

interface Places {
  readonly redisUrl: string | undefined;
  readonly storeUrl: string | undefined;
}

/** @throws UsageError when only one of them is given, or none and no stack runs here */
async function placesOf({ redisUrl, storeUrl }: Places, data: string | undefined) {
  if (redisUrl !== undefined && storeUrl !== undefined) return { redisUrl, storeUrl };
  if (redisUrl !== undefined || storeUrl !== undefined)
    throw new UsageError('only one of --redis and --store is given', 'give both, as the services have them, or none');
  const dataDir = dataDirOf(data);
  const stack = await readConnection(dataDir);
  if (stack?.redisUrl !== undefined && stack.storeUrl !== undefined)
    return { redisUrl: stack.redisUrl, storeUrl: stack.storeUrl };
  throw new UsageError(
    `neither --redis nor --store is given, and no "blindfit up" runs on ${dataDir}`,
    'give both, as the services have them',
  );
}

function textOf({ redis, store: inStore }: Identities): string {
  const STATES = {
    claimed: 'a service is just giving it to both',
    bound: 'both belong together',
    found: 'Redis had no data when it met this store: nothing is removed until it is adopted',
  } as const;
  const pairs: [string, string][] = [
    ['store', inStore === undefined ? 'has no id' : describeIdentity(inStore)],
    ['Redis', redis === undefined ? 'knows no store' : describeIdentity(redis)],
  ];
  if (redis !== undefined) pairs.push(['state', STATES[redis.state]]);
  return formatPairs(pairs);
}
