import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Type } from 'typebox';
import { at } from '@blindfit/base';
import {
  ConfigError,
  describeVariables,
  optional,
  readConfig,
  retentionMs,
  variable,
  variables,
  type VariableTable,
} from '@blindfit/service';
import { assertKnownVariables } from '../src/known-variables.ts';

function problemsOf(table: VariableTable, env: Record<string, string>): readonly string[] {
  try {
    readConfig(table, env);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    assert.equal(error.code, 'CONFIG_INVALID');
    for (const problem of error.problems) assert.ok(error.message.includes(problem));
    return error.problems;
  }
  return [];
}

test('values are converted and typed, and defaults fill the rest', () => {
  const config = readConfig(
    {
      redisUrl: variables.redisUrl,
      port: variables.port,
      host: variables.host,
      level: variables.logLevel,
      token: optional(variables.token),
      prefix: variables.queuePrefix,
    },
    { BLINDFIT_REDIS_URL: 'redis://localhost', BLINDFIT_PORT: '9000', BLINDFIT_HOST: '' },
  );
  // Annotated, so that the compiler checks the types that readConfig infers.
  const typed: { redisUrl: string; port: number; host: string; token: string | undefined } = config;
  assert.deepEqual(
    { ...typed },
    {
      redisUrl: 'redis://localhost',
      port: 9000,
      host: '127.0.0.1',
      level: 'info',
      token: undefined,
      prefix: '{blindfit}',
    },
  );
  assert.ok(Object.isFrozen(config));
});

test('all shared variables have defaults that they allow themselves, except the required three', () => {
  assert.deepEqual(
    problemsOf(variables, {}).map((line) => line.split(' ')[0]),
    ['BLINDFIT_REDIS_URL', 'BLINDFIT_STORE', 'BLINDFIT_TOKEN'],
  );
  const { redisUrl, store, token, ...defaulted } = variables;
  const config = readConfig(defaulted, {});
  const asText = Object.fromEntries(
    Object.entries(defaulted).map(([name, { env }]) => [env, String(config[name as keyof typeof config])]),
  );
  assert.deepEqual(readConfig(defaulted, asText), config);
  assert.ok(redisUrl.default === undefined && store.default === undefined && token.default === undefined);
});

test('REDIS_URL stands in for BLINDFIT_REDIS_URL', () => {
  const table = { url: variables.redisUrl };
  assert.equal(readConfig(table, { REDIS_URL: 'redis://a' }).url, 'redis://a');
  assert.equal(readConfig(table, { REDIS_URL: 'redis://a', BLINDFIT_REDIS_URL: 'redis://b' }).url, 'redis://b');
  assert.match(at(problemsOf(table, { REDIS_URL: 'http://a' }), 0, 'problems'), /^REDIS_URL: /);
});

test('every problem is listed at once, with what is allowed', () => {
  const problems = problemsOf(variables, {
    BLINDFIT_STORE: '/var/lib/blobs',
    BLINDFIT_TOKEN: 'sixteen letters and more'.replaceAll(' ', '-'),
    BLINDFIT_PORT: '70000',
    BLINDFIT_LOG_LEVEL: 'loud',
  });
  assert.equal(problems.length, 4);
  assert.match(
    at(problems, 0, 'problems'),
    /^BLINDFIT_REDIS_URL \(or REDIS_URL\) is not set: redis server .*; allowed: redis:\/\//,
  );
  assert.match(
    at(problems, 1, 'problems'),
    /^BLINDFIT_STORE: "\/var\/lib\/blobs" is not allowed; allowed: file:\/\/\/absolute/,
  );
  assert.match(
    at(problems, 2, 'problems'),
    /^BLINDFIT_PORT: "70000" is not allowed; allowed: an integer from 0 .* to 65535$/,
  );
  assert.match(at(problems, 3, 'problems'), /^BLINDFIT_LOG_LEVEL: "loud" is not allowed; allowed: trace, debug/);
});

test('numbers are taken literally', () => {
  for (const text of ['1.5', 'true', '0x10', '1e3', ' 5', '-1', 'NaN', '8080 '])
    assert.equal(problemsOf({ port: variables.port }, { BLINDFIT_PORT: text }).length, 1, text);
  for (const text of ['0', '65535'])
    assert.deepEqual(problemsOf({ port: variables.port }, { BLINDFIT_PORT: text }), []);
});

test('secrets do not appear in error messages', () => {
  const problems = problemsOf(
    { token: variables.token, url: variables.redisUrl },
    { BLINDFIT_TOKEN: 'hunter2', BLINDFIT_REDIS_URL: 'mysql://user:hunter2@host' },
  );
  assert.equal(problems.length, 2);
  assert.doesNotMatch(problems.join(), /hunter2/);
});

test('a relative cache directory and a prefix without hash tag are refused', () => {
  assert.match(problemsOf({ dir: variables.cacheDir }, { BLINDFIT_CACHE_DIR: 'cache' }).join(), /not an absolute path/);
  assert.equal(problemsOf({ prefix: variables.queuePrefix }, { BLINDFIT_QUEUE_PREFIX: 'blindfit' }).length, 1);
  assert.equal(readConfig({ dir: variables.cacheDir }, { XDG_CACHE_HOME: '/x' }).dir, '/x/blindfit');
  assert.match(readConfig({ dir: variables.cacheDir }, { XDG_CACHE_HOME: 'relative' }).dir, /^\/.*\.cache\/blindfit$/);
});

test('a retention is off or a time of a minute and more', () => {
  const { retention } = variables;
  const read = (text: string): number => retentionMs(readConfig({ retention }, { BLINDFIT_RETENTION: text }).retention);
  assert.deepEqual(['', 'off', '60s', '1m', '24h', '7d', '999999d'].map(read), [
    86_400_000,
    Infinity,
    60_000,
    60_000,
    86_400_000,
    604_800_000,
    999_999 * 86_400_000,
  ]);
  for (const text of ['0', '24', '1.5h', '-1h', '24 h', '1w', 'OFF', 'never', 'h', '1000000d']) {
    assert.match(
      problemsOf({ retention }, { BLINDFIT_RETENTION: text }).join(),
      /^BLINDFIT_RETENTION: ".*" is not allowed; allowed: off, or a number/,
      text,
    );
  }
  for (const text of ['0h', '59s'])
    assert.match(
      problemsOf({ retention }, { BLINDFIT_RETENTION: text }).join(),
      /^BLINDFIT_RETENTION: ".*" is too short.*; allowed: off, or 1m and longer$/,
      text,
    );
});

test('a service can declare variables of its own, and all of them describe themselves', () => {
  const fast = variable({
    env: 'BLINDFIT_FAST',
    schema: Type.Boolean(),
    description: 'Go faster',
    allowed: 'true or false',
    default: () => false,
  });
  assert.equal(readConfig({ fast }, { BLINDFIT_FAST: 'true' }).fast, true);
  assert.equal(readConfig({ fast }, {}).fast, false);
  assert.equal(problemsOf({ fast }, { BLINDFIT_FAST: 'yes' }).length, 1);
  assert.deepEqual(describeVariables({ fast }), [
    {
      name: 'BLINDFIT_FAST',
      fallback: undefined,
      description: 'Go faster',
      allowed: 'true or false',
      default: 'false',
    },
  ]);
  const rows = describeVariables(variables);
  assert.equal(new Set(rows.map((row) => row.name)).size, Object.keys(variables).length);
  for (const row of rows)
    assert.ok(row.name.startsWith('BLINDFIT_') && row.description.length > 10 && row.allowed.length > 3);
});

test('a misspelt setting is an error that names the nearest one', () => {
  assertKnownVariables({
    BLINDFIT_THREADS: '4',
    BLINDFIT_SERVER: 'x',
    BLINDFIT_OIDC_ISSUER: 'x',
    BLINDFIT_TLS_CERT: 'x',
    BLINDFIT_TENANT_JOBS: '1',
    BLINDFIT_OPERATOR_TOKEN: 'x',
    BLINDFIT_TEST_ALL: '1',
    BLINDFIT_UNSET: '',
    OTHER: 'x',
    // Kubernetes, for services that are called blindfit-api and blindfit.
    BLINDFIT_API_SERVICE_HOST: '10.0.0.1',
    BLINDFIT_API_SERVICE_PORT: '80',
    BLINDFIT_API_SERVICE_PORT_HTTP: '80',
    BLINDFIT_API_PORT: 'tcp://10.0.0.1:80',
    BLINDFIT_API_PORT_80_TCP_ADDR: '10.0.0.1',
  });
  assert.throws(
    () => assertKnownVariables({ BLINDFIT_TREADS: '4', BLINDFIT_METRIC_PORT: '9464', BLINDFIT_THREADS: '4' }),
    {
      code: 'CONFIG_INVALID',
      problems: [
        'BLINDFIT_TREADS: there is no such setting; the nearest is BLINDFIT_THREADS',
        'BLINDFIT_METRIC_PORT: there is no such setting; the nearest is BLINDFIT_METRICS_PORT',
      ],
    },
  );
});
