import { Cluster } from 'ioredis';
import { Gauge, type Registry } from 'prom-client';
import type { RedisConnection } from './redis.ts';

/** The memory of Redis is asked for at most this often. Milliseconds. */
const MEMORY_MS = 5_000;

/** `blindfit_redis_up`, from the state of the connection: a scrape asks Redis nothing for it. */
export function addRedisUp(registry: Registry, redis: Pick<RedisConnection, 'status'>): void {
  new Gauge({
    name: 'blindfit_redis_up',
    help: 'Whether the connection to Redis is ready.',
    registers: [registry],
    collect() {
      this.set(redis.status === 'ready' ? 1 : 0);
    },
  });
}

/** Adds the memory of Redis, or of the fullest server of a cluster. There are no samples while Redis is unreachable. */
export function addRedisMemory(registry: Registry, redis: RedisConnection): void {
  let latest: { readonly at: number; readonly memory: Promise<RedisMemory | undefined> } | undefined;
  const read = (): Promise<RedisMemory | undefined> => {
    if (redis.status !== 'ready') return Promise.resolve(undefined);
    if (latest === undefined || performance.now() - latest.at > MEMORY_MS)
      latest = { at: performance.now(), memory: fullest(redis).catch(() => undefined) };
    return latest.memory;
  };
  gauge(
    'blindfit_redis_persistence_failed',
    'Whether the last write of the append-only file, or of a snapshot, has failed on some server.',
    'failed',
  );
  gauge('blindfit_redis_memory_used_bytes', 'Memory that Redis has allocated.', 'used');
  gauge(
    'blindfit_redis_memory_limit_bytes',
    'Memory that Redis may allocate: its maxmemory, or the memory of its machine if that is not set.',
    'limit',
  );

  function gauge(name: string, help: string, field: keyof RedisMemory): void {
    new Gauge({
      name,
      help,
      registers: [registry],
      async collect() {
        const value = (await read())?.[field];
        if (value === undefined || Number.isNaN(value)) this.remove({});
        else this.set(value);
      },
    });
  }
}

/** Bytes. */
interface RedisMemory {
  readonly used: number;
  readonly limit: number;
  /** 1 when a server could not write to its disk. */
  readonly failed: number;
}

async function fullest(redis: RedisConnection): Promise<RedisMemory | undefined> {
  const servers = redis instanceof Cluster ? redis.nodes('master') : [redis];
  const all = await Promise.all(servers.map(async (each) => memoryOf(await each.info())));
  const [first] = all.toSorted((a, b) => b.used / b.limit - a.used / a.limit);
  return first && { ...first, failed: Math.max(...all.map(({ failed }) => failed)) };
}

function memoryOf(info: string): RedisMemory {
  const field = (name: string): number => Number(new RegExp(`^${name}:(\\d+)\\r?$`, 'm').exec(info)?.[1]);
  const maxmemory = field('maxmemory');
  const failed = /^(aof_last_write_status|aof_last_bgrewrite_status|rdb_last_bgsave_status):err\r?$/m.test(info)
    ? 1
    : 0;
  return { used: field('used_memory'), limit: maxmemory > 0 ? maxmemory : field('total_system_memory'), failed };
}
