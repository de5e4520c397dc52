export { startRedis, type RunningRedis } from './stack/redis.ts';
export { StackError, startStack, type RunningStack, type StackOptions, type StackProcess } from './stack/stack.ts';
