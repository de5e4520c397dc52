/** What happens to one task between the queue and a thread. */
import { UnrecoverableError, type Job } from 'bullmq';
import { faultOf, messageOf, messageWithHint, required } from '@blindfit/base';
import { TaskCancelledError, TaskError, type ComputeMetrics, type ThreadPool } from '@blindfit/compute';
import { checker, ContractError, TaskSchema, type TaskResult } from '@blindfit/protocol';
import { giveBackNewer, inTask, jobOf, tracePhases, type JobStore, type Troubles } from '@blindfit/queue';
import { patiently, type Intake, type Logger, type Tracing } from '@blindfit/service';
import type { WorkerMetrics } from './metrics.ts';
import type { RunningTasks } from './running-tasks.ts';

export interface ProcessorDependencies {
  readonly pool: Pick<ThreadPool, 'run'>;
  readonly jobs: Pick<JobStore, 'recordTask' | 'fail'> & { readonly troubles: Pick<Troubles, 'clear' | 'giveBack'> };
  /** Whether the store of this host holds a blob. */
  readonly hasBlob: (digest: string) => Promise<boolean>;
  readonly intake: Pick<Intake, 'closing' | 'isOpen' | 'stop' | 'succeeded'>;
  readonly running: RunningTasks;
  readonly metrics: WorkerMetrics;
  readonly compute: Pick<ComputeMetrics, 'computed'>;
  readonly logger: Pick<Logger, 'debug' | 'warn' | 'error'>;
  readonly tracing: Tracing;
}

/** An entry of the queue of tasks. */
export type TaskEntry = Job<unknown, TaskResult>;

/** The task came while this host was being kept from taking more. */
class HostStopped extends Error {}

const checkTask = checker('the task is not valid', TaskSchema);

/**
 * Computes a task and records it. While Redis cannot record it, it is kept.
 * @throws UnrecoverableError when its job has ended, or when the failure is the task's and permanent: then its job
 *   fails, too, with a reason that the owner can act on; the error itself when the queue shall try again; DelayedError
 *   when a newer release wrote the task, or the failure is not the task's: then it is given back to the queue as it was
 */
export function processTask(dependencies: ProcessorDependencies, entry: TaskEntry): Promise<TaskResult> {
  return inTask(dependencies.tracing, entry, () => runTask(dependencies, entry));
}

async function runTask(dependencies: ProcessorDependencies, entry: TaskEntry): Promise<TaskResult> {
  const { pool, jobs, metrics, compute, logger, running, tracing, intake } = dependencies;
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
    if (await patiently(intake, () => running.hasEnded(task.job))) throw new TaskCancelledError();
    // It came while the intake was being stopped.
    if (!intake.isOpen) throw new HostStopped();
    logger.debug({ job, task: id }, 'task begun');
    const { phases, ...result } = await running.run(job, (signal) => pool.run(task, signal));
    compute.computed(result);
    const { iteration } = task;
    const piece = 'pair' in task ? { kind, iteration, pair: task.pair } : { kind, iteration };
    tracePhases(tracing, { job: task.job, task: id, ...piece }, { ...result, phases });
    const { outputs, ...record } = result;
    await patiently(intake, () => jobs.recordTask(task.job, id, { ...record, ...piece }));
    intake.succeeded();
    // Once more than it failed: it was given back, or taken over.
    if (entry.attemptsStarted > entry.attemptsMade + 1) await jobs.troubles.clear(id).catch(() => undefined);
    metrics.finished(kind, 'completed', (performance.now() - started) / 1000);
    logger.debug({ job, task: id, outputs: outputs.length }, 'task done');
    return result;
  } catch (error) {
    if (error instanceof TaskCancelledError) {
      metrics.finished(kind, 'cancelled', 0);
      throw withCode(new UnrecoverableError(error.message), error.code);
    }
    if (error instanceof HostStopped || faultOf(error) !== 'task')
      return await giveBack(dependencies, entry, kind, error);
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
    if (await patiently(intake, () => jobs.fail(job, { code, message, task: id }))) metrics.jobFailed();
    throw withCode(new UnrecoverableError(message), code);
  }
}

/** @throws DelayedError always */
async function giveBack(
  dependencies: ProcessorDependencies,
  entry: TaskEntry,
  kind: string,
  error: unknown,
): Promise<never> {
  const { jobs, metrics, logger, intake } = dependencies;
  metrics.finished(kind, 'given-back', 0);
  if (intake.isOpen) logger.warn({ task: entry.id, err: error }, 'task given back: the failure is not its own');
  const fault = faultOf(error);
  if (fault !== 'task' && !(await lacksOneBlob(dependencies, entry, error)))
    intake.stop({ fault, message: messageOf(error) });
  throw await jobs.troubles.giveBack(entry, error instanceof HostStopped ? undefined : error);
}

/** Whether a store that holds the manifest of a task lacks another blob: the host may go on with other tasks. */
async function lacksOneBlob({ hasBlob }: ProcessorDependencies, entry: TaskEntry, error: unknown): Promise<boolean> {
  if (!(error instanceof TaskError) || error.blob === undefined) return false;
  const { manifest } = checkTask(entry.data);
  return manifest !== error.blob && (await hasBlob(manifest).catch(() => false));
}

function withCode(error: UnrecoverableError, code: string): UnrecoverableError {
  return Object.assign(error, { code });
}
