/** Waiting for children without holding anything: BullMQ runs the processor again when the last child is done. */
import { WaitingChildrenError, type Job, type JobsOptions, type Queue } from 'bullmq';
import { spanOfEntry, type JobData } from '@blindfit/queue';

export interface Child<Data> {
  readonly id: string;
  readonly data: Data;
}

/**
 * The children's results, by child id, once all are there; adds those that were never added. Ids are deterministic, so a
 * step that is planned twice (a scheduler died in between) adds nothing twice.
 * @throws WaitingChildrenError, which tells BullMQ to run the parent again later
 */
export async function childResults<Data, Result>(
  parent: Job<JobData>,
  token: string,
  queue: Queue,
  children: readonly Child<Data>[],
  options: JobsOptions,
): Promise<Map<string, Result>> {
  const known = await resultsById<Result>(parent);
  const missing = children.filter((child) => !known.has(child.id));
  if (missing.length === 0) return known;
  const traceparent = spanOfEntry(parent);
  const traced = traceparent === undefined ? {} : { traceparent };
  const parentReference = { id: parent.id ?? '', queue: parent.queueQualifiedName };
  await queue.addBulk(
    missing.map(({ id, data }) => ({
      name: queue.name,
      data: { ...data, ...traced },
      opts: { ...options, jobId: id, parent: parentReference },
    })),
  );
  if (await parent.moveToWaitingChildren(token)) throw new WaitingChildrenError();
  // All of them finished meanwhile.
  return resultsById<Result>(parent);
}

/** BullMQ names a child `prefix:queue:id`; ids hold no colon. */
async function resultsById<Result>(parent: Job): Promise<Map<string, Result>> {
  const values = await parent.getChildrenValues<Result>();
  return new Map(Object.entries(values).map(([key, value]) => [key.slice(key.lastIndexOf(':') + 1), value]));
}
