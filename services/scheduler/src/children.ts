/** Waiting for children without holding anything: BullMQ runs the processor again when the last child is done. */
import { setTimeout as sleep } from 'node:timers/promises';
import { WaitingChildrenError, type Job, type Queue } from 'bullmq';
import { at, required } from '@blindfit/base';
import { PROTOCOL, type TaskResult } from '@blindfit/protocol';
import { QUEUES, spanOfEntry, TASK_OPTIONS, taskId, taskName, type JobPayload, type JobStore } from '@blindfit/queue';
import type { KeyedWork, PredictWork } from '@blindfit/training';
import { assertNotEnded } from './not-ended.ts';
import type { Results } from './results.ts';
import { reviveTasks } from './revive.ts';

/** Outstanding tasks of a job, by thread of the cluster: enough to keep all of them busy between two looks. */
const TASKS_PER_THREAD = 4;
const MIN_WINDOW = 16;
/** How often a parent with more children than its window looks whether it may add some. Milliseconds. */
const FEED_MS = 100;

/** The entry of a step that workers run. */
export interface Child {
  readonly step: string;
  readonly work: KeyedWork<string> | PredictWork<string>;
}

/** The parts of a BullMQ entry that waiting for children needs. */
export type Parent = Pick<
  Job<JobPayload>,
  | 'id'
  | 'attemptsMade'
  | 'data'
  | 'queueName'
  | 'queueQualifiedName'
  | 'getChildrenValues'
  | 'getDependenciesCount'
  | 'changePriority'
  | 'moveToWaitingChildren'
>;

export interface ChildDependencies {
  readonly tasks: Pick<Queue, 'addBulk' | 'getJob'>;
  readonly jobs: Pick<JobStore, 'retriedAt' | 'state'> & {
    readonly turns: Pick<JobStore['turns'], 'take' | 'takeOne'>;
    readonly workers: Pick<JobStore['workers'], 'threads'>;
  };
  /** Fires when this process takes no more entries: parents then wait for the children that they have. */
  readonly closing: AbortSignal;
}

/**
 * Waits for the results of steps that workers run, and adds those that were never added: at most a few for each thread
 * of the cluster at a time, so that a large job neither fills the queue nor keeps others from their turn. Ids are
 * deterministic: a stage that is planned twice (a scheduler died in between) adds nothing twice.
 *
 * @param results gets the outputs of every child
 * @param siblings entries of the same job that may wait for children at the same time, this one included
 * @throws WaitingChildrenError, which tells BullMQ to run the parent again later
 * @throws UnrecoverableError when the job ends before all children are added
 */
export async function runChildren(
  dependencies: ChildDependencies,
  parent: Parent,
  token: string,
  children: readonly Child[],
  results: Results,
  siblings = 1,
): Promise<void> {
  const { job } = parent.data;
  const idOf = ({ step }: Child): string => taskId(job, step);
  let outputs = await outputsById(parent);
  let missing = children.filter((child) => !outputs.has(idOf(child)));
  while (missing.length > 0) {
    await addInWindows(dependencies, parent, missing, siblings);
    const priority = await dependencies.jobs.turns.takeOne(queueOf(parent), required(parent.id, 'the id of the entry'));
    await parent.changePriority({ priority });
    if (await parent.moveToWaitingChildren(token)) throw new WaitingChildrenError();
    // All that were added finished meanwhile.
    outputs = await outputsById(parent);
    const left = children.filter((child) => !outputs.has(idOf(child)));
    // None came and none is waited for: adding them again would go on for ever.
    if (left.length === missing.length) break;
    missing = left;
  }
  for (const child of children)
    results.set(child.step, required(outputs.get(idOf(child)), `the result of ${idOf(child)}`));
}

/** Adds children, all of them if nothing comes in between. Returns with some of them added when this process closes. */
async function addInWindows(
  { tasks, jobs, closing }: ChildDependencies,
  parent: Parent,
  children: readonly Child[],
  siblings: number,
): Promise<void> {
  const { job, manifest } = parent.data;
  const traceparent = spanOfEntry(parent);
  const traced = traceparent === undefined ? {} : { traceparent };
  const reference = { id: required(parent.id, 'the id of the entry'), queue: parent.queueQualifiedName };
  const before = await doneChildren(parent);
  const { threads, protocol } = await jobs.workers.threads();
  const window = Math.ceil(Math.max(MIN_WINDOW, TASKS_PER_THREAD * threads) / siblings);
  // Then entries of children may be there that failed.
  const mayHaveFailed = parent.attemptsMade > 0 || (await jobs.retriedAt(job)) !== undefined;
  let added = 0;
  let outstanding = 0;
  while (added < children.length) {
    const next = children.slice(added, added + window - outstanding);
    if (next.length > 0) {
      const ids = next.map(({ step }) => taskId(job, step));
      const turns = await jobs.turns.take(QUEUES.tasks, ids);
      await tasks.addBulk(
        next.map((child, position) => {
          const { kind, ...work } = child.work;
          return {
            name: taskName(Math.min(protocol, PROTOCOL)),
            data: { kind, job, manifest, ...work, ...traced },
            opts: {
              ...TASK_OPTIONS,
              jobId: at(ids, position, 'ids'),
              parent: reference,
              priority: at(turns, position, 'turns'),
            },
          };
        }),
      );
      if (mayHaveFailed) await reviveTasks(tasks, ids);
      added += next.length;
    }
    if (added === children.length || closing.aborted) return;
    await sleep(FEED_MS);
    await assertNotEnded(jobs, job);
    outstanding = added - ((await doneChildren(parent)) - before);
  }
}

async function doneChildren(parent: Parent): Promise<number> {
  return required((await parent.getDependenciesCount({ processed: true })).processed, 'the count of children');
}

function queueOf({ queueName }: Parent): (typeof QUEUES)[keyof typeof QUEUES] {
  return required(
    Object.values(QUEUES).find((name) => name === queueName),
    `the queue ${queueName}`,
  );
}

/** BullMQ names a child `prefix:queue:id`; ids hold no colon. */
async function outputsById(parent: Parent): Promise<Map<string, readonly string[]>> {
  const values = await parent.getChildrenValues<TaskResult>();
  return new Map(Object.entries(values).map(([key, { outputs }]) => [key.slice(key.lastIndexOf(':') + 1), outputs]));
}
