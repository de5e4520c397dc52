export { startScheduler, type RunningService, type SchedulerOptions } from './start.ts';
