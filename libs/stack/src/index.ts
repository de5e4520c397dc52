export { STOP_SECONDS, StackError, type ChildServiceOptions, ChildService } from './child-service.ts';
export { RedisUnavailableError, type ResolveRedisOptions, resolveRedisBinary } from './redis-binary.ts';
export { EXTRACTED_PROGRAM, extractDebianRedis } from './redis-debian.ts';
export { LockedError, takeLock } from './redis-lock.ts';
export { isExecutable, isErrno, message, processInfo, processExists } from './redis-system.ts';
export {
  RedisStartError,
  type StartRedisOptions,
  type RedisConnection,
  type RunningRedis,
  startRedis,
} from './redis.ts';
export { type StackOptions, type StackProcess, type RunningStack, startStack } from './stack.ts';
