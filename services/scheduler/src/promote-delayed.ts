import type { Queue } from 'bullmq';
import { jobOf, type Connection } from '@blindfit/queue';

/**
 * Has the delayed entries of a job that has ended run now. They find that out, fail, and leave their queues with all
 * that waits for them.
 */
export async function promoteDelayed(
  redis: Connection,
  queues: Iterable<Pick<Queue, 'getJob' | 'toKey'>>,
  job: string,
): Promise<void> {
  for (const queue of queues) {
    for (const id of await delayedOf(redis, queue.toKey('delayed'), job)) {
      const entry = await queue.getJob(id);
      if (entry === undefined) continue;
      try {
        await entry.promote();
      } catch (error) {
        // Its time may have come, and another scheduler may be faster.
        if (await entry.isDelayed()) throw error;
      }
    }
  }
}

/** The ids of the entries of a job in a set of delayed ones. */
async function delayedOf(redis: Connection, key: string, job: string): Promise<Set<string>> {
  const ids = new Set<string>();
  let cursor = '0';
  do {
    const [next, members] = await redis.zscan(key, cursor, 'MATCH', `${job}*`, 'COUNT', 1000);
    for (const [index, id] of members.entries()) if (index % 2 === 0 && jobOf(id) === job) ids.add(id);
    cursor = next;
  } while (cursor !== '0');
  return ids;
}
