/** What the services of a stack are told, without starting any. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { required } from '@blindfit/base';
import { variables } from '@blindfit/service/settings';
import { environmentOf, schedulerThreads, type EnvironmentOptions } from '../src/environment.ts';

const OPTIONS: EnvironmentOptions = {
  workers: 1,
  port: 8123,
  redisUrl: 'unix:///redis.sock',
  storeUrl: 'file:///blobs',
  token: 'token-of-the-test',
  dataDir: '/data',
};

test('services listen on this machine only, where the stack says, whatever its own environment says', () => {
  const outer = {
    PATH: '/bin',
    BLINDFIT_HOST: '0.0.0.0',
    BLINDFIT_PORT: '1',
    BLINDFIT_TOKEN: 'another',
    BLINDFIT_TLS_CERT: '/etc/api.pem',
    BLINDFIT_PASSPHRASE: 'of the owner',
    OTHER: 'kept',
  };
  const { BLINDFIT_KEY_MEMORY_MB: memory, ...env } = environmentOf(OPTIONS, outer);
  assert.ok(Number(memory) >= 64);
  assert.deepEqual(env, {
    PATH: '/bin',
    OTHER: 'kept',
    BLINDFIT_REDIS_URL: 'unix:///redis.sock',
    BLINDFIT_STORE: 'file:///blobs',
    BLINDFIT_TOKEN: 'token-of-the-test',
    BLINDFIT_HOST: '127.0.0.1',
    BLINDFIT_PORT: '8123',
    BLINDFIT_TLS_CERT: '',
    BLINDFIT_TLS_KEY: '',
    BLINDFIT_METRICS_PORT: '0',
    BLINDFIT_STOP_SECONDS: '25',
    BLINDFIT_CACHE_DIR: '/data/cache',
    BLINDFIT_AUDIT_LOG: undefined,
    BLINDFIT_PASSPHRASE: undefined,
  });
  const auditOf = (auditLog?: string): unknown =>
    environmentOf({ ...OPTIONS, auditLog }, { BLINDFIT_AUDIT_LOG: '/outer' })['BLINDFIT_AUDIT_LOG'];
  assert.deepEqual([auditOf('/own'), auditOf()], ['/own', '/outer']);
});

test('workers share the memory for keys, unless the environment says how much each has', () => {
  const whole = required(variables.keyMemoryMb.default, 'a default')({});
  const memory = (workers: number, outer = {}): number =>
    Number(environmentOf({ ...OPTIONS, workers }, outer)['BLINDFIT_KEY_MEMORY_MB']);
  assert.ok(whole > 256);
  assert.equal(memory(0), Math.floor(whole));
  assert.equal(memory(1), Math.floor(whole));
  assert.equal(memory(2), Math.floor(whole / 2));
  assert.equal(memory(1_000_000), 64);
  assert.equal(memory(2, { BLINDFIT_KEY_MEMORY_MB: '77' }), 77);
});

test('schedulers have an eighth of the threads of all workers, and one at least', () => {
  const threads = [
    [1, 1],
    [8, 1],
    [9, 1],
    [5, 2],
    [4, 4],
    [3, 11],
  ] as const;
  assert.deepEqual(
    threads.map(([each, workers]) => schedulerThreads(each, workers)),
    [1, 1, 2, 2, 2, 5],
  );
});
