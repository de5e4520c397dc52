/** What is served of the memory of Redis: of which server, in which bytes, and how old it may be. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { Cluster } from 'ioredis';
import { Registry } from 'prom-client';
import { addRedisMemory, type RedisConnection } from '@blindfit/service';

interface Server {
  readonly status: string;
  asked: number;
  answer: string | Error;
  info(): Promise<string>;
}

function serverOf(answer: string | Error, status = 'ready'): Server {
  return {
    status,
    asked: 0,
    answer,
    info() {
      this.asked++;
      return this.answer instanceof Error ? Promise.reject(this.answer) : Promise.resolve(this.answer);
    },
  };
}

const infoOf = (used: number, maxmemory: number): string =>
  `# Memory\r\nused_memory:${used}\r\nused_memory_peak:9999\r\ntotal_system_memory:8000\r\nmaxmemory:${maxmemory}\r\n`;

/** @returns reads the samples: used and limit, as far as there are any */
function serve(redis: unknown): () => Promise<(number | undefined)[]> {
  const registry = new Registry();
  addRedisMemory(registry, redis as RedisConnection);
  return async () => {
    const text = await registry.metrics();
    return ['used', 'limit'].map((name) => {
      const value = new RegExp(`^blindfit_redis_memory_${name}_bytes (\\S+)$`, 'm').exec(text)?.[1];
      return value === undefined ? undefined : Number(value);
    });
  };
}

function stoppedClock(t: TestContext): { now: number } {
  const clock = { now: 100 };
  t.mock.method(performance, 'now', () => clock.now);
  return clock;
}

test('the limit is maxmemory, or the memory of the machine where that is not set', async () => {
  assert.deepEqual(await serve(serverOf(infoOf(300, 1000)))(), [300, 1000]);
  assert.deepEqual(await serve(serverOf(infoOf(300, 0)))(), [300, 8000]);
  assert.deepEqual(await serve(serverOf(infoOf(300, 1)))(), [300, 1]);
});

test('no samples while Redis is away, does not answer, or says nothing of its memory', async () => {
  const away = serverOf(infoOf(300, 1000), 'reconnecting');
  assert.deepEqual(await serve(away)(), [undefined, undefined]);
  assert.equal(away.asked, 0);
  assert.deepEqual(await serve(serverOf(new Error('gone')))(), [undefined, undefined]);
  assert.deepEqual(await serve(serverOf('# Server\r\n'))(), [undefined, undefined]);
});

test('a disk that Redis cannot write to is seen, whichever file it was', async () => {
  const failed = async (lines: string): Promise<number> => {
    const registry = new Registry();
    addRedisMemory(registry, serverOf(infoOf(300, 1000) + lines) as unknown as RedisConnection);
    const text = await registry.metrics();
    return Number(/^blindfit_redis_persistence_failed (\d)$/m.exec(text)?.[1]);
  };
  assert.equal(await failed('aof_last_write_status:ok\r\nrdb_last_bgsave_status:ok\r\n'), 0);
  for (const name of ['aof_last_write_status', 'aof_last_bgrewrite_status', 'rdb_last_bgsave_status'])
    assert.equal(await failed(`aof_enabled:1\r\n${name}:err\r\n`), 1, name);
});

test('what Redis said is good for five seconds', async (t) => {
  const clock = stoppedClock(t);
  const server = serverOf(infoOf(300, 1000));
  const read = serve(server);
  await read();
  assert.equal(server.asked, 1, 'once for both metrics');
  server.answer = infoOf(400, 1000);
  clock.now += 5_000;
  assert.deepEqual(await read(), [300, 1000]);
  clock.now += 1;
  assert.deepEqual(await read(), [400, 1000]);
  assert.equal(server.asked, 2);
});

test('of a cluster the fullest server is shown, by its own limit', async () => {
  const servers = [serverOf(infoOf(500, 1000)), serverOf(infoOf(300, 400)), serverOf(infoOf(700, 5000))];
  const cluster = Object.create(Cluster.prototype, {
    status: { value: 'ready' },
    nodes: { value: (role: string) => (role === 'master' ? servers : []) },
  }) as unknown;
  assert.deepEqual(await serve(cluster)(), [300, 400]);
});
