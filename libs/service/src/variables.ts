import { availableParallelism, homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { Type, type TInteger } from 'typebox';
import { valueOf } from '@blindfit/base';
import { variable, type Environment, type Variable } from './config.ts';
import { availableMemory } from './memory.ts';
import { parseRedisUrl } from './redis-url.ts';

const MIB = 2 ** 20;
const MIN_RETENTION_MS = 60_000;
const UNIT_MS: ReadonlyMap<string, number> = new Map([
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);
const EVALUATORS = ['auto', 'native', 'seal'] as const;
const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

/** The environment variables that more than one service understands. A service picks those it needs. */
export const variables = {
  redisUrl: variable({
    env: 'BLINDFIT_REDIS_URL',
    fallbackEnv: 'REDIS_URL',
    schema: Type.String(),
    description: 'Redis server or cluster that holds the queues and the state of the jobs',
    allowed:
      'redis://[user:password@]host[:port][/db], rediss://...[?ca=/path/of/ca.pem], ' +
      'redis-cluster://host:port,host:port,..., rediss-cluster://..., ' +
      'redis-sentinel://sentinel:port,sentinel:port,.../group, rediss-sentinel://... or unix:///path',
    secret: true,
    check: (url) => {
      parseRedisUrl(url);
    },
  }),
  store: variable({
    env: 'BLINDFIT_STORE',
    schema: Type.String({ pattern: '^(file:///|s3://[^/]|https?://[^/])' }),
    description:
      'Where blobs (ciphertexts and public keys) are kept: a directory that all services share, a bucket ' +
      'of S3, or the API',
    allowed: 'file:///absolute/directory, s3://bucket/prefix, http://host:port or https://host',
  }),
  s3Endpoint: variable({
    env: 'BLINDFIT_S3_ENDPOINT',
    schema: Type.String({ pattern: '^(auto|https?://[^/@]+/?)$' }),
    description: "Server of an s3 store that is not Amazon's; region and credentials come from the AWS variables",
    allowed: 'http://host:port, https://host, or auto: as the AWS variables and files say',
    default: () => 'auto',
  }),
  s3PathStyle: variable({
    env: 'BLINDFIT_S3_PATH_STYLE',
    schema: Type.Enum(['auto', 'true', 'false']),
    description: 'Whether the bucket is named in the path of requests instead of the host name',
    allowed: 'true, false, or auto: with BLINDFIT_S3_ENDPOINT',
    default: () => 'auto' as const,
  }),
  token: variable({
    env: 'BLINDFIT_TOKEN',
    schema: Type.String({ pattern: '^[!-~]{16,8192}$' }),
    description: 'Bearer token that the API asks for and that clients and workers send',
    allowed: '16 to 8192 printable ASCII characters without spaces, for example from: openssl rand -hex 32',
    secret: true,
  }),
  host: variable({
    env: 'BLINDFIT_HOST',
    schema: Type.String({ pattern: '^[A-Za-z0-9.:_-]+$' }),
    description: 'Address to listen on; 0.0.0.0 or :: for all interfaces',
    allowed: 'an IP address or a host name',
    default: () => '127.0.0.1',
  }),
  port: variable({
    env: 'BLINDFIT_PORT',
    schema: Type.Integer({ minimum: 0, maximum: 65_535 }),
    description: 'Port of the API',
    allowed: 'an integer from 0 (any free port) to 65535',
    default: () => 8080,
  }),
  metricsPort: variable({
    env: 'BLINDFIT_METRICS_PORT',
    schema: Type.Integer({ minimum: 0, maximum: 65_535 }),
    description: 'Port on which the scheduler and the workers serve /healthz, /readyz and /metrics',
    allowed: 'an integer from 0 (any free port) to 65535',
    default: () => 0,
  }),
  threads: variable({
    env: 'BLINDFIT_THREADS',
    schema: Type.Integer({ minimum: 1, maximum: 1024 }),
    description: 'Compute threads of a worker',
    allowed: 'an integer from 1 to 1024',
    default: () => availableParallelism(),
    defaultText: 'number of CPU cores',
  }),
  keyMemoryMb: megabytes({
    env: 'BLINDFIT_KEY_MEMORY_MB',
    description: 'Memory that a worker may fill with evaluation keys, over all threads, in MiB',
    minimum: 64,
    default: () => Math.max(64, Math.floor(availableMemory() / 2 / MIB)),
    defaultText: 'half of the memory',
  }),
  keyDiskMb: megabytes({
    env: 'BLINDFIT_KEY_DISK_MB',
    description:
      'Disk space in the cache directory for evaluation keys as the native evaluator reads them, in MiB; ' +
      'the least recently used go first',
    minimum: 64,
    default: () => 8192,
  }),
  inputDiskMb: megabytes({
    env: 'BLINDFIT_INPUT_DISK_MB',
    description:
      'Disk space in the cache directory for input ciphertexts as the native evaluator reads them, in MiB; ' +
      'beyond it they are expanded anew for each task',
    minimum: 64,
    default: () => 4096,
  }),
  evaluator: variable({
    env: 'BLINDFIT_EVALUATOR',
    schema: Type.Enum([...EVALUATORS]),
    description:
      'What computes on ciphertexts: the native evaluator, compiled on first use, or node-seal; results ' +
      'are the same to the bit',
    allowed: 'auto (native where it can be built), native, seal',
    default: () => 'auto' as const,
  }),
  cacheDir: variable({
    env: 'BLINDFIT_CACHE_DIR',
    schema: Type.String(),
    description: 'Directory in which a worker keeps copies of blobs; several workers on a machine may share it',
    allowed: 'an absolute path',
    default: defaultCacheDirectory,
    defaultText: '$XDG_CACHE_HOME/blindfit, or ~/.cache/blindfit',
    check: (path) => {
      if (!isAbsolute(path)) throw new Error(`${JSON.stringify(path)} is not an absolute path`);
    },
  }),
  cacheMb: megabytes({
    env: 'BLINDFIT_CACHE_MB',
    description: 'Disk space for the copies of blobs in MiB; the least recently used go first',
    minimum: 1,
    default: () => 4096,
  }),
  maxBlobMb: megabytes({
    env: 'BLINDFIT_MAX_BLOB_MB',
    description: 'Largest blob that the API accepts, in MiB',
    minimum: 1,
    default: () => 1024,
  }),
  retention: variable({
    env: 'BLINDFIT_RETENTION',
    schema: Type.String({ pattern: '^(off|[0-9]{1,6}[smhd])$' }),
    description:
      'How long the API keeps blobs that no job refers to (intermediate results, uploads that came to ' +
      'nothing); off: for ever',
    allowed: 'off, or a number with s, m, h or d from 1m on, for example 24h or 7d',
    default: () => '24h',
    check: (text) => {
      if (retentionMs(text) < MIN_RETENTION_MS)
        throw new Error(
          `${JSON.stringify(text)} is too short: what a job needs must stay from its upload to its submission; ` +
            'allowed: off, or 1m and longer',
        );
    },
  }),
  recordRetention: variable({
    env: 'BLINDFIT_RECORD_RETENTION',
    schema: Type.String({ pattern: '^(off|[0-9]{1,6}[smhd])$' }),
    description:
      'How long the API keeps the record of a job after its end, and with it the model, inputs and keys that no ' +
      'other job refers to; off: for ever',
    allowed: 'off, or a number with s, m, h or d from 1m on, for example 30d; needs BLINDFIT_RETENTION',
    default: () => '30d',
    check: (text) => {
      if (retentionMs(text) < MIN_RETENTION_MS)
        throw new Error(`${JSON.stringify(text)} is too short; allowed: off, or 1m and longer`);
    },
  }),
  storeReserve: variable({
    env: 'BLINDFIT_STORE_RESERVE',
    schema: Type.String({ pattern: '^(off|[0-9]{1,2}%|[0-9]{1,7}(MiB|GiB))$' }),
    description:
      'Room on the file system of the blobs that uploads and new jobs leave to the results of running jobs: below it ' +
      'they are refused; of a part in percent at most 20 GiB',
    allowed: 'off, a part such as 10%, or a size such as 500MiB or 20GiB',
    default: () => '10%',
  }),
  auditLog: variable({
    env: 'BLINDFIT_AUDIT_LOG',
    schema: Type.String({ pattern: '^(off|/.+)$' }),
    description:
      'File in which the API writes who did what, when, from where and with what outcome; rotated at ' +
      '16 MiB, the last ten are kept',
    allowed: 'off, or an absolute path',
    default: () => 'off',
  }),
  planThreads: variable({
    env: 'BLINDFIT_PLAN_THREADS',
    schema: Type.Integer({ minimum: 0, maximum: 65_536 }),
    description:
      'Compute threads that owners cut their jobs for even while fewer are there: those of the most ' +
      'workers that an autoscaler starts',
    allowed: 'an integer from 0 (as many as are there) to 65536',
    default: () => 0,
  }),
  stopSeconds: variable({
    env: 'BLINDFIT_STOP_SECONDS',
    schema: Type.Integer({ minimum: 1, maximum: 86_400 }),
    description:
      'Seconds that a service has for its end after SIGTERM, running tasks included; what is not done by ' +
      'then is repeated elsewhere',
    allowed: 'an integer from 1 to 86400; less than whoever stops it waits before killing it',
    default: () => 25,
  }),
  logLevel: variable({
    env: 'BLINDFIT_LOG_LEVEL',
    schema: Type.Enum([...LOG_LEVELS]),
    description: 'Least important events that are logged',
    allowed: LOG_LEVELS.join(', '),
    default: () => 'info' as const,
  }),
  queuePrefix: variable({
    env: 'BLINDFIT_QUEUE_PREFIX',
    // The braces are a Redis Cluster hash tag: they keep all keys of a queue in one slot, which its scripts need.
    schema: Type.String({ pattern: '^[A-Za-z0-9_-]*\\{[A-Za-z0-9_-]+\\}[A-Za-z0-9_-]*$' }),
    description: 'Prefix of all keys in Redis; another prefix is another cluster on the same server',
    allowed: 'letters, digits, - and _, with one part in braces, for example {blindfit}',
    default: () => '{blindfit}',
  }),
} as const;

function megabytes(spec: {
  env: string;
  description: string;
  minimum: number;
  default: () => number;
  defaultText?: string;
}): Variable<number> {
  const { minimum, ...rest } = spec;
  return variable<TInteger>({
    ...rest,
    schema: Type.Integer({ minimum, maximum: 2 ** 30 }),
    allowed: `an integer from ${minimum} to ${2 ** 30}`,
  });
}

/** Milliseconds of a value that `variables.retention` allows; `off` is `Infinity`. */
export function retentionMs(text: string): number {
  return text === 'off' ? Infinity : Number(text.slice(0, -1)) * valueOf(UNIT_MS, text.slice(-1), 'units of time');
}

/** What a value of `variables.storeReserve` says. */
export function storeReserve(text: string): { bytes: number } | { percent: number } {
  if (text === 'off') return { bytes: 0 };
  if (text.endsWith('%')) return { percent: Number(text.slice(0, -1)) };
  return { bytes: Number(text.slice(0, -3)) * (text.endsWith('GiB') ? 2 ** 30 : 2 ** 20) };
}

function defaultCacheDirectory(env: Environment): string {
  const xdg = env['XDG_CACHE_HOME'];
  // The XDG specification says to ignore a relative path.
  return join(xdg !== undefined && isAbsolute(xdg) ? xdg : join(homedir(), '.cache'), 'blindfit');
}
