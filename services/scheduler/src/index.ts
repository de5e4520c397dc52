export { startScheduler, type SchedulerOptions } from './start.ts';
