/** The queue of tasks, as a worker takes from it. */
import { Worker } from 'bullmq';
import type { TaskResult } from '@blindfit/protocol';
import { LOCKS, QUEUE_METRICS, QUEUES, type Connection } from '@blindfit/queue';
import type { Intake, Logger } from '@blindfit/service';
import type { WorkerMetrics } from './metrics.ts';
import type { TaskEntry } from './process-task.ts';

export interface TaskQueueOptions {
  readonly redis: Connection;
  readonly prefix: string;
  /** Entries processed at a time. */
  readonly concurrency: number;
  readonly metrics: Pick<WorkerMetrics, 'stall' | 'lockLost'>;
  readonly logger: Pick<Logger, 'debug' | 'warn'>;
  readonly intake: Pick<Intake, 'add' | 'stopFor'>;
}

/** Takes entries from now on and hands them to `process`. `close` waits for those that are being processed. */
export async function openTaskQueue(
  { redis, prefix, concurrency, metrics, logger, intake }: TaskQueueOptions,
  process: (entry: TaskEntry) => Promise<TaskResult>,
): Promise<Worker<unknown, TaskResult>> {
  const worker = new Worker<unknown, TaskResult>(QUEUES.tasks, process, {
    connection: redis,
    prefix,
    concurrency,
    metrics: QUEUE_METRICS,
    ...LOCKS,
  });
  // An outage makes many of them; the intake says so once.
  worker.on('error', (error) => logger[intake.stopFor(error) ? 'debug' : 'warn']({ err: error }, 'queue'));
  worker.on('stalled', () => metrics.stall());
  worker.on('lockRenewalFailed', (lost) => metrics.lockLost(lost.length));
  await worker.waitUntilReady();
  intake.add(worker);
  return worker;
}
