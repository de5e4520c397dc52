/** What happens to one task between the queue and a thread. */
import { UnrecoverableError, type Job } from 'bullmq';
import { messageWithHint, required } from '@blindfit/base';
import { TaskCancelledError, TaskError, type ComputeMetrics, type ThreadPool } from '@blindfit/compute';
import { checker, ContractError, TaskSchema, type TaskResult } from '@blindfit/protocol';
import { giveBackNewer, inTask, jobOf, tracePhases, type JobStore } from '@blindfit/queue';
import { type Logger, type Tracing } from '@blindfit/service';
import type { WorkerMetrics } from './metrics.ts';
import type { RunningTasks } from './running-tasks.ts';

export interface ProcessorDependencies {
  readonly pool: Pick<ThreadPool, 'run'>;
  readonly jobs: Pick<JobStore, 'recordTask' | 'fail'>;
  readonly running: RunningTasks;
  readonly metrics: WorkerMetrics;
  readonly compute: Pick<ComputeMetrics, 'computed'>;
  readonly logger: Pick<Logger, 'debug' | 'warn' | 'error'>;
  readonly tracing: Tracing;
}

/** An entry of the queue of tasks. */
export type TaskEntry = Job<unknown, TaskResult>;

const checkTask = checker('the task is not valid', TaskSchema);

/**
 * Computes a task and records it.
 * @throws DelayedError when a newer release wrote the task, which was given back
 * @throws UnrecoverableError when its job has ended, or when the failure is permanent: then its job fails, too, with a
 *   reason that the owner can act on; the error itself when the queue shall try again
 */
export function processTask(dependencies: ProcessorDependencies, entry: TaskEntry): Promise<TaskResult> {
  return inTask(dependencies.tracing, entry, () => runTask(dependencies, entry));
}

async function runTask(dependencies: ProcessorDependencies, entry: TaskEntry): Promise<TaskResult> {
  const { pool, jobs, metrics, compute, logger, running, tracing } = dependencies;
  const id = required(entry.id, 'the id of an entry');
  const job = jobOf(id);
  await giveBackNewer(entry, entry.token, (protocol) => {
    metrics.newer();
    logger.debug({ job, task: id, protocol }, 'task of a newer release given back');
  });
  const started = performance.now();
  let kind = 'unknown';
  try {
    const task = checkTask(entry.data);
    ({ kind } = task);
    metrics.waited(kind, (Date.now() - entry.timestamp - entry.delay) / 1000);
    if (await running.hasEnded(task.job)) throw new TaskCancelledError();
    logger.debug({ job, task: id }, 'task begun');
    const { phases, ...result } = await running.run(job, (signal) => pool.run(task, signal));
    compute.computed(result);
    const { iteration } = task;
    const piece = 'pair' in task ? { kind, iteration, pair: task.pair } : { kind, iteration };
    tracePhases(tracing, { job: task.job, task: id, ...piece }, { ...result, phases });
    const { outputs, ...record } = result;
    await jobs.recordTask(task.job, id, { ...record, ...piece });
    metrics.finished(kind, 'completed', (performance.now() - started) / 1000);
    logger.debug({ job, task: id, outputs: outputs.length }, 'task done');
    return result;
  } catch (error) {
    if (error instanceof TaskCancelledError) {
      metrics.finished(kind, 'cancelled', 0);
      throw withCode(new UnrecoverableError(error.message), error.code);
    }
    const attempt = entry.attemptsMade + 1;
    const foreseen = error instanceof TaskError || error instanceof ContractError ? error : undefined;
    if (foreseen?.retryable !== false && attempt < (entry.opts.attempts ?? 1)) {
      metrics.finished(kind, 'retried', 0);
      logger.warn({ job, task: id, err: error, attempt }, 'task failed and will be tried again');
      throw error;
    }
    metrics.finished(kind, 'failed', 0);
    logger.error({ job, task: id, err: error }, 'task failed for good');
    const [code, message] = [foreseen?.code ?? 'TASK_FAILED', messageWithHint(error)];
    if (await jobs.fail(job, { code, message, task: id })) metrics.jobFailed();
    throw withCode(new UnrecoverableError(message), code);
  }
}

function withCode(error: UnrecoverableError, code: string): UnrecoverableError {
  return Object.assign(error, { code });
}
