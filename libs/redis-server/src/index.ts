export { RedisUnavailableError, resolveRedisBinary, type ResolveRedisOptions } from './resolve.ts';
export {
  RedisStartError,
  startRedis,
  type RedisConnection,
  type RunningRedis,
  type StartRedisOptions,
} from './start.ts';
