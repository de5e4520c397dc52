export { TaskCancelledError, TaskError } from './errors.ts';
export type { ComputeResult, ThreadStatistics, Work } from './messages.ts';
export { ComputeMetrics } from './metrics.ts';
export { ThreadPool, type PoolOptions } from './pool.ts';
