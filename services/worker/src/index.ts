export { startWorker, type RunningService, type WorkerOptions } from './start.ts';
