import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { checkRedis, checkRedisPolicy, connectRedis, waitForRedis } from '@blindfit/service';
import { redisRefusal } from '../src/redis-refusal.ts';
import { connected } from '../src/redis.ts';
import { prepareRedis } from './redis-server.ts';
import { captureLog, until, type LogCapture } from './support.ts';

type Client = ReturnType<typeof connectRedis>;

function connect(t: TestContext, options: Parameters<typeof connectRedis>[0]): LogCapture & { redis: Client } {
  const capture = captureLog();
  const redis = connectRedis(options, capture.logger);
  t.after(() => redis.disconnect());
  return { ...capture, redis };
}

const messages = (capture: LogCapture, level: string): unknown[] =>
  capture.lines.filter((line) => line['level'] === level).map((line) => line['msg']);

test('a command waits for a server that comes up later', async (t) => {
  const server = await prepareRedis(t);
  const { redis, ...capture } = connect(t, { path: server.path });
  const pong = redis.ping();
  await until(() => messages(capture, 'debug').length >= 2, 'a few attempts have failed');
  await assert.rejects(checkRedis(redis, '{test}'), { code: 'REDIS_UNAVAILABLE' });
  const listeners = (): number => redis.listenerCount('ready') + redis.listenerCount('error');
  const before = listeners();
  await assert.rejects(waitForRedis(redis, 1), { code: 'REDIS_UNAVAILABLE' });
  assert.equal(listeners(), before);
  await server.start();
  assert.equal(await pong, 'PONG');
  await checkRedis(redis, '{test}');
  await waitForRedis(redis, 1000);
});

test('an outage is logged once when it begins and once when it ends', async (t) => {
  const server = await prepareRedis(t);
  await server.start();
  const { redis, ...capture } = connect(t, { path: server.path });
  await waitForRedis(redis, 5000);
  for (let outage = 1; outage <= 2; outage++) {
    await server.stop();
    await until(() => messages(capture, 'debug').length >= 3 * outage, 'several attempts have failed');
    await server.start();
    await until(() => messages(capture, 'info').length === 1 + outage, 'the connection is back');
  }
  assert.deepEqual(messages(capture, 'error'), Array(2).fill('Redis is away; trying again until it is back'));
  assert.deepEqual(messages(capture, 'info'), ['connected to Redis', 'Redis is back', 'Redis is back']);
  assert.equal(typeof capture.lines.findLast((line) => line['msg'] === 'Redis is back')?.['outageSeconds'], 'number');
});

test('a connection to a server that was demoted is made anew, once a second, and says so once', async (t) => {
  const server = await prepareRedis(t);
  await server.start();
  const { redis, ...capture } = connect(t, { path: server.path });
  await waitForRedis(redis, 5000);
  const id = await redis.client('ID');
  // It is a replica of nobody that answers, as a server that lost an election.
  await redis.call('replicaof', '127.0.0.1', '1');
  await assert.rejects(redis.set('a', '1'), /^ReplyError: READONLY/);
  assert.notEqual(await redis.client('ID'), id);
  for (let i = 0; i < 20; i++) await assert.rejects(redis.set('a', '1'), /^ReplyError: READONLY/);
  assert.ok((await redis.client('ID')) - id < 5);
  await redis.call('replicaof', 'no', 'one');
  assert.equal(await redis.set('a', '1'), 'OK');
  await until(() => messages(capture, 'info').length === 2, 'the outage is over');
  assert.deepEqual(messages(capture, 'error'), ['Redis is away; trying again until it is back']);
  assert.deepEqual(messages(capture, 'info'), ['connected to Redis', 'Redis is back']);
});

test('closing on purpose is not an outage', async (t) => {
  const server = await prepareRedis(t);
  await server.start();
  const { redis, ...capture } = connect(t, { path: server.path });
  await waitForRedis(redis, 5000);
  await redis.quit();
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.deepEqual(messages(capture, 'error'), []);
});

test('waitForRedis gives up with the reason and a hint', async (t) => {
  const { redis } = connect(t, { host: '127.0.0.1', port: 1 });
  await assert.rejects(waitForRedis(redis, 400), (error: unknown) => {
    assert.ok(error instanceof Error && 'hint' in error && 'code' in error);
    assert.equal(error.code, 'REDIS_UNAVAILABLE');
    assert.match(error.message, /within 400 ms: .*ECONNREFUSED/);
    assert.match(String(error.hint), /BLINDFIT_REDIS_URL/);
    return true;
  });
});

test('readiness tells apart why a Redis takes no writes', async (t) => {
  const server = await prepareRedis(t, '--appendonly', 'no');
  await server.start();
  const { redis } = connect(t, { path: server.path });
  await connected(redis);
  await checkRedis(redis, '{test}');
  assert.equal(await redis.get('{test}:probe'), '1');
  assert.ok((await redis.pttl('{test}:probe')) > 0);
  await redis.config('SET', 'maxmemory', '1mb');
  await redis.config('SET', 'maxmemory', '1');
  await assert.rejects(checkRedis(redis, '{test}'), /OOM/);
  await redis.config('SET', 'maxmemory', '0');
  await redis.replicaof('127.0.0.1', 1);
  await assert.rejects(checkRedis(redis, '{test}'), /READONLY/);
  await redis.replicaof('NO', 'ONE');
  await checkRedis(redis, '{test}');
  await server.stop();
  await until(() => redis.status !== 'ready', 'the connection is gone');
  await assert.rejects(checkRedis(redis, '{test}'), { code: 'REDIS_UNAVAILABLE' });
});

test('what waiting does not mend is told from what it does', () => {
  const coded = (code: string): Error => Object.assign(new Error('no'), { code });
  for (const [error, hint] of [
    [new Error('WRONGPASS invalid username-password pair or user is disabled.'), /password/],
    [new Error('NOAUTH Authentication required.'), /password/],
    [new Error('NOPERM this user has no permissions to run the info command'), /rights/],
    [new Error('ERR DB index is out of range'), /database/],
    [coded('SELF_SIGNED_CERT_IN_CHAIN'), /NODE_EXTRA_CA_CERTS/],
    [coded('CERT_HAS_EXPIRED'), /certificate/],
    [coded('ERR_TLS_CERT_ALTNAME_INVALID'), /certificate/],
    [Object.assign(new Error('all failed'), { lastNodeError: new Error('NOAUTH x') }), /password/],
  ] as const) {
    const refusal = redisRefusal(error);
    assert.equal(refusal?.code, 'REDIS_REFUSED');
    assert.match(String(refusal.hint), hint);
  }
  for (const error of [coded('ECONNREFUSED'), coded('ENOTFOUND'), new Error('LOADING Redis is loading'), 'text'])
    assert.equal(redisRefusal(error), undefined);
});

test('a password that Redis refuses is an outage with that reason, and ends the wait of a start', async (t) => {
  const server = await prepareRedis(t, '--requirepass', 'right');
  await server.start();
  const { redis, ...capture } = connect(t, { path: server.path, password: 'wrong' });
  await assert.rejects(waitForRedis(redis, 1500), /WRONGPASS|NOAUTH/);
  await assert.rejects(connected(redis), { code: 'REDIS_REFUSED' });
  assert.equal(messages(capture, 'error').length, 1);
});

test('checkRedisPolicy accepts noeviction with AOF in silence, and warns without AOF', async (t) => {
  const server = await prepareRedis(t, '--appendonly', 'yes');
  await server.start();
  const { redis, ...capture } = connect(t, { path: server.path });
  assert.deepEqual(await checkRedisPolicy(redis, capture.logger), { maxmemoryPolicy: 'noeviction', aof: true });
  assert.deepEqual(messages(capture, 'warn'), []);
  await redis.config('SET', 'appendonly', 'no');
  assert.deepEqual(await checkRedisPolicy(redis, capture.logger), { maxmemoryPolicy: 'noeviction', aof: false });
  assert.match(String(messages(capture, 'warn')), /append-only/);
});

test('checkRedisPolicy refuses a server that may drop jobs', async (t) => {
  const server = await prepareRedis(t, '--maxmemory-policy', 'allkeys-lru');
  await server.start();
  const { redis, ...capture } = connect(t, { path: server.path });
  await assert.rejects(checkRedisPolicy(redis, capture.logger), (error: unknown) => {
    assert.ok(error instanceof Error && 'hint' in error && 'code' in error);
    assert.equal(error.code, 'REDIS_POLICY');
    assert.match(error.message, /allkeys-lru/);
    assert.match(String(error.hint), /noeviction/);
    return true;
  });
});
