/** Limits of settings, just inside and just outside, and what a service does with its options. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Cluster } from 'ioredis';
import { Registry } from 'prom-client';
import { checkRedisPolicy, connectRedis, createLogger, type RedisConnection } from '@blindfit/service';
import {
  ConfigError,
  describeVariables,
  oidcVariables,
  operatorVariables,
  optional,
  readConfig,
  tlsVariables,
  variables,
} from '@blindfit/service/settings';
import { placeAndTokenVariables, placeVariables } from '../src/definition.ts';
import { availableMemory } from '../src/memory.ts';
import { addRedisUp } from '../src/redis-metrics.ts';
import { startExport } from '../src/tracing-export.ts';
import { captureLog } from './support.ts';

const all = { ...variables, ...operatorVariables, ...tlsVariables, ...oidcVariables };

/** By variable: values that are allowed, and values that are not. */
const LIMITS: Partial<Record<keyof typeof all, readonly [readonly string[], readonly string[]]>> = {
  store: [
    ['file:///x', 's3://b', 'http://h', 'https://h/x'],
    ['file://x', 's3:///b', 'ftp://h', '/x'],
  ],
  s3Endpoint: [
    ['auto', 'http://h', 'https://h:1/'],
    ['h', 'http://u@h', 'http://h/x'],
  ],
  s3PathStyle: [['auto', 'true', 'false'], ['yes']],
  token: [
    ['x'.repeat(16), '~'.repeat(8192)],
    ['x'.repeat(15), 'x'.repeat(8193), 'x x x x x x x x x x'],
  ],
  operatorToken: [
    ['x'.repeat(16), 'x'.repeat(512)],
    ['x'.repeat(15), 'x'.repeat(513)],
  ],
  tlsCert: [['/x'], ['x', './x']],
  tlsKey: [['/x'], ['x']],
  oidcIssuer: [
    ['https://h', 'https://h/p', 'http://127.0.0.1:1', 'http://localhost', 'http://[::1]:2/p'],
    ['http://h', 'https://h?x', 'https://u@h', 'h'],
  ],
  host: [
    ['127.0.0.1', '::1', 'a-b.c_d'],
    ['a b', 'a/b'],
  ],
  port: [
    ['0', '65535'],
    ['-1', '65536', '80.5', 'http'],
  ],
  metricsPort: [
    ['0', '65535'],
    ['-1', '65536'],
  ],
  threads: [
    ['1', '1024'],
    ['0', '1025'],
  ],
  keyMemoryMb: [
    ['64', '1073741824'],
    ['63', '1073741825'],
  ],
  keyDiskMb: [['64'], ['63']],
  inputDiskMb: [['64'], ['63']],
  cacheMb: [['1'], ['0']],
  maxBlobMb: [['1'], ['0']],
  evaluator: [['auto', 'native', 'seal'], ['wasm']],
  auditLog: [
    ['off', '/x'],
    ['x', 'on'],
  ],
  planThreads: [
    ['0', '65536'],
    ['-1', '65537'],
  ],
  stopSeconds: [
    ['1', '86400'],
    ['0', '86401'],
  ],
  logLevel: [['trace', 'silent'], ['all']],
  queuePrefix: [
    ['{a}', 'x-{a_b}-y'],
    ['{}', 'a', '{a}{b}', '{a b}'],
  ],
};

describe('settings', () => {
  it('have these limits', () => {
    for (const [name, [allowed, refused]] of Object.entries(LIMITS)) {
      const spec = all[name as keyof typeof LIMITS];
      for (const text of allowed)
        assert.doesNotThrow(() => readConfig({ spec }, { [spec.env]: text }), `${name} ${text}`);
      for (const text of refused)
        assert.throws(() => readConfig({ spec }, { [spec.env]: text }), ConfigError, `${name} ${text}`);
    }
  });

  it('have these defaults', () => {
    const { keyMemoryMb, threads, cacheDir, ...fixed } = { ...variables, ...oidcVariables };
    const defaults = describeVariables(fixed).flatMap((row) =>
      row.default === undefined ? [] : [[row.name, row.default]],
    );
    assert.deepEqual(Object.fromEntries(defaults), {
      BLINDFIT_S3_ENDPOINT: 'auto',
      BLINDFIT_S3_PATH_STYLE: 'auto',
      BLINDFIT_HOST: '127.0.0.1',
      BLINDFIT_PORT: '8080',
      BLINDFIT_METRICS_PORT: '0',
      BLINDFIT_KEY_DISK_MB: '8192',
      BLINDFIT_INPUT_DISK_MB: '4096',
      BLINDFIT_EVALUATOR: 'auto',
      BLINDFIT_CACHE_MB: '4096',
      BLINDFIT_MAX_BLOB_MB: '1024',
      BLINDFIT_RETENTION: '24h',
      BLINDFIT_RECORD_RETENTION: '30d',
      BLINDFIT_STORE_RESERVE: '10%',
      BLINDFIT_AUDIT_LOG: 'off',
      BLINDFIT_PLAN_THREADS: '0',
      BLINDFIT_STOP_SECONDS: '25',
      BLINDFIT_LOG_LEVEL: 'info',
      BLINDFIT_QUEUE_PREFIX: '{blindfit}',
      BLINDFIT_OIDC_TENANT_CLAIM: 'tenant',
      BLINDFIT_OIDC_SCOPE_CLAIM: 'scope',
    });
    const half = Math.max(64, Math.floor(availableMemory() / 2 ** 21));
    assert.equal(readConfig({ keyMemoryMb }, {}).keyMemoryMb, half);
    assert.deepEqual([threads.env, cacheDir.env], ['BLINDFIT_THREADS', 'BLINDFIT_CACHE_DIR']);
  });

  it('show a hundred characters of what is wrong, and need no token where blobs are in a directory', () => {
    const { host } = variables;
    const read = (text: string) => readConfig({ host }, { BLINDFIT_HOST: text });
    assert.throws(() => read(`/${'x'.repeat(99)}`), new RegExp(`"/x{99}" is not allowed`));
    assert.throws(() => read(`/${'x'.repeat(500)}`), new RegExp(`"/x{99}\\.\\.\\." is not allowed`));
    const place = { BLINDFIT_REDIS_URL: 'redis://h', BLINDFIT_STORE: 'file:///x' };
    assert.equal(readConfig(placeAndTokenVariables, place).token, undefined);
    assert.equal(readConfig({ ...placeVariables, token: optional(variables.token) }, place).store, 'file:///x');
  });
});

/** Without a server: it is disconnected before it connects. */
function connected(options: Parameters<typeof connectRedis>[0]): RedisConnection {
  const redis = connectRedis(options, captureLog().logger);
  redis.disconnect();
  return redis;
}

describe('a connection to Redis', () => {
  it('waits five seconds at most between attempts, and less at first', () => {
    const redis = connected({ host: '127.0.0.1', port: 1, commandTimeout: 1234 });
    assert.ok(!(redis instanceof Cluster));
    const { retryStrategy, commandTimeout, maxRetriesPerRequest } = redis.options;
    assert.deepEqual([commandTimeout, maxRetriesPerRequest], [1234, null]);
    for (const times of [1, 5, 8, 20, 1e6]) {
      const wait = Number(retryStrategy?.(times));
      const longest = Math.min(5000, 50 * 2 ** times);
      assert.ok(wait <= longest && wait >= 0.75 * longest, `${times}: ${wait}`);
    }
  });

  it('is up when it is ready, not before', async () => {
    for (const status of ['wait', 'connecting', 'connect', 'reconnecting', 'ready', 'end'] as const) {
      const registry = new Registry();
      addRedisUp(registry, { status });
      assert.match(await registry.metrics(), new RegExp(`^blindfit_redis_up ${status === 'ready' ? 1 : 0}$`, 'm'));
    }
  });

  it('of a cluster is refused when one of its servers may drop jobs, and told of when one writes no file', async () => {
    const server = (policy: string, aof: number) => ({
      info: (section: string) =>
        Promise.resolve(section === 'memory' ? `maxmemory_policy:${policy}\r\n` : `aof_enabled:${aof}\r\n`),
    });
    const clusterOf = (...servers: unknown[]) =>
      Object.create(Cluster.prototype, {
        nodes: { value: (role: string) => (role === 'master' ? servers : []) },
      }) as RedisConnection;
    const { logger, lines } = captureLog();
    const sound = server('noeviction', 1);
    await checkRedisPolicy(clusterOf(sound, sound), logger);
    assert.equal(lines.length, 0);
    for (const [a, b] of [
      [sound, server('allkeys-lru', 1)],
      [server('volatile-ttl', 1), sound],
    ])
      await assert.rejects(checkRedisPolicy(clusterOf(a, b), logger), { code: 'REDIS_POLICY' });
    await checkRedisPolicy(clusterOf(sound, server('noeviction', 0)), logger);
    assert.equal(lines.length, 1);
  });
});

describe('the sampler of traces', () => {
  it('keeps the share that is asked for', async () => {
    const exporter = (
      sampler: 'always_on' | 'always_off' | 'traceidratio' | 'parentbased_traceidratio',
      ratio: number,
    ) =>
      startExport('test', '0', { sampler, ratio }, createLogger({ service: 'test', level: 'silent' }), () => undefined);
    const kept = (...options: Parameters<typeof exporter>): number => {
      const { tracer } = exporter(...options);
      return Array.from({ length: 400 }, () => tracer.startSpan('x').isRecording()).filter(Boolean).length;
    };
    assert.deepEqual([kept('always_on', 0), kept('always_off', 1)], [400, 0]);
    for (const sampler of ['traceidratio', 'parentbased_traceidratio'] as const) {
      assert.deepEqual([kept(sampler, 1), kept(sampler, 0)], [400, 0]);
      // Eight standard deviations about the mean.
      assert.ok(Math.abs(kept(sampler, 0.5) - 200) < 80);
    }
    await Promise.resolve();
  });
});
