export { RedisStartError } from './errors.ts';
export { RedisUnavailableError, resolveRedisBinary, type ResolveRedisOptions } from './resolve.ts';
export { startRedis, type RunningRedis, type StartRedisOptions } from './start.ts';
