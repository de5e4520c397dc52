/** What happens to one task between the queue and a thread. */
import { UnrecoverableError, type Job } from 'bullmq';
import { TaskCancelledError, TaskError, type ComputeMetrics, type ThreadPool } from '@blindfit/compute';
import { checker, ContractError, isFinal, TaskSchema, type Task, type TaskResult } from '@blindfit/protocol';
import { inTask, jobOf, tracePhases, type JobStore } from '@blindfit/queue';
import { reasonOf, type Logger, type Tracing } from '@blindfit/service';
import type { WorkerMetrics } from './metrics.ts';

export interface ProcessorDependencies {
  readonly pool: ThreadPool;
  readonly jobs: JobStore;
  readonly metrics: WorkerMetrics;
  readonly compute: ComputeMetrics;
  readonly logger: Logger;
  readonly tracing: Tracing;
  /** By Blindfit job: aborts its running tasks. */
  readonly running: Map<string, Set<AbortController>>;
}

const checkTask = checker('the task is not valid', TaskSchema);

/**
 * Runs a task and records it. A task that fails for good fails its job, with a reason its owner can act on; one whose
 * cause may pass is thrown back to the queue, which tries it again.
 */
export function processTask(dependencies: ProcessorDependencies, job: Job<unknown, TaskResult>): Promise<TaskResult> {
  return inTask(dependencies.tracing, job, () => runTask(dependencies, job));
}

async function runTask(dependencies: ProcessorDependencies, job: Job<unknown, TaskResult>): Promise<TaskResult> {
  const { pool, jobs, metrics, compute, logger, running, tracing } = dependencies;
  const id = job.id ?? '';
  const started = performance.now();
  let kind = 'unknown';
  const controller = new AbortController();
  const owner = jobOf(id);
  try {
    const task: Task = checkTask(job.data);
    ({ kind } = task);
    metrics.waited(kind, (Date.now() - job.timestamp - job.delay) / 1000);
    const state = await jobs.state(task.job);
    if (state === undefined || isFinal(state)) throw new TaskCancelledError();
    const siblings = running.get(owner) ?? new Set();
    running.set(owner, siblings.add(controller));
    logger.debug({ job: owner, task: id }, 'task begun');
    const { phases, ...result } = await pool.run(task, controller.signal);
    compute.computed(result);
    const piece = { kind, iteration: task.iteration, ...('pair' in task ? { pair: task.pair } : {}) };
    tracePhases(tracing, { job: task.job, task: id, ...piece }, { ...result, phases });
    const { outputs, ...record } = result;
    await jobs.recordTask(task.job, id, { ...record, ...piece });
    metrics.finished(kind, 'completed', (performance.now() - started) / 1000);
    logger.debug({ job: owner, task: id, outputs: outputs.length }, 'task done');
    return result;
  } catch (error) {
    const last = job.attemptsMade + 1 >= (job.opts.attempts ?? 1);
    if (error instanceof TaskCancelledError) {
      metrics.finished(kind, 'cancelled', 0);
      throw Object.assign(new UnrecoverableError(error.message), { code: error.code });
    }
    const foreseen = error instanceof ContractError || error instanceof TaskError;
    if (!(foreseen && !error.retryable) && !last) {
      metrics.finished(kind, 'retried', 0);
      logger.warn(
        { job: owner, task: id, err: error, attempt: job.attemptsMade + 1 },
        'task failed and will be tried again',
      );
      throw error;
    }
    metrics.finished(kind, 'failed', 0);
    logger.error({ job: owner, task: id, err: error }, 'task failed for good');
    const code = error instanceof TaskError || error instanceof ContractError ? error.code : 'TASK_FAILED';
    if (await jobs.fail(owner, { code, message: reasonOf(error), task: id })) metrics.jobFailed();
    throw Object.assign(new UnrecoverableError(reasonOf(error)), { code });
  } finally {
    const siblings = running.get(owner);
    siblings?.delete(controller);
    if (siblings?.size === 0) running.delete(owner);
  }
}
