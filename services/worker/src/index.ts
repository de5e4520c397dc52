export { startWorker, type WorkerOptions } from './start.ts';
