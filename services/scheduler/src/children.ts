/** Waiting for children without holding anything: BullMQ runs the processor again when the last child is done. */
import { WaitingChildrenError, type Job, type Queue } from 'bullmq';
import { required } from '@blindfit/base';
import type { TaskResult } from '@blindfit/protocol';
import { spanOfEntry, TASK_OPTIONS, taskId, type JobPayload } from '@blindfit/queue';
import type { KeyedWork, PredictWork } from '@blindfit/training';
import type { Results } from './results.ts';

/** The entry of a step that workers run. */
export interface Child {
  readonly step: string;
  readonly work: KeyedWork<string> | PredictWork<string>;
}

/** The parts of a BullMQ entry that waiting for children needs. */
export type Parent = Pick<
  Job<JobPayload>,
  'id' | 'data' | 'queueQualifiedName' | 'getChildrenValues' | 'moveToWaitingChildren'
>;

/**
 * Waits for the results of steps that workers run, and adds those that were never added. Ids are deterministic: a stage
 * that is planned twice (a scheduler died in between) adds nothing twice.
 * @param results gets the outputs of every child
 * @throws WaitingChildrenError, which tells BullMQ to run the parent again later
 */
export async function runChildren(
  parent: Parent,
  token: string,
  queue: Pick<Queue, 'name' | 'addBulk'>,
  children: readonly Child[],
  results: Results,
): Promise<void> {
  const { job, manifest } = parent.data;
  const idOf = ({ step }: Child): string => taskId(job, step);
  let outputs = await outputsById(parent);
  const missing = children.filter((child) => !outputs.has(idOf(child)));
  if (missing.length > 0) {
    const traceparent = spanOfEntry(parent);
    const traced = traceparent === undefined ? {} : { traceparent };
    const reference = { id: required(parent.id, 'the id of the entry'), queue: parent.queueQualifiedName };
    await queue.addBulk(
      missing.map((child) => {
        const { kind, ...work } = child.work;
        return {
          name: queue.name,
          data: { kind, job, manifest, ...work, ...traced },
          opts: { ...TASK_OPTIONS, jobId: idOf(child), parent: reference },
        };
      }),
    );
    if (await parent.moveToWaitingChildren(token)) throw new WaitingChildrenError();
    // All of them finished meanwhile.
    outputs = await outputsById(parent);
  }
  for (const child of children)
    results.set(child.step, required(outputs.get(idOf(child)), `the result of ${idOf(child)}`));
}

/** BullMQ names a child `prefix:queue:id`; ids hold no colon. */
async function outputsById(parent: Parent): Promise<Map<string, readonly string[]>> {
  const values = await parent.getChildrenValues<TaskResult>();
  return new Map(Object.entries(values).map(([key, { outputs }]) => [key.slice(key.lastIndexOf(':') + 1), outputs]));
}
