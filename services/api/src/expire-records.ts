/** Removes the records of jobs that ended long ago; what only they referred to is collected afterwards. */
import { isFinal } from '@blindfit/protocol';
import type { JobStore } from '@blindfit/queue';

/** Records at a time. */
const BATCH = 100;

/**
 * @param endedBefore milliseconds since the epoch
 * @param signal stops between two records
 * @returns how many were removed
 */
export async function expireRecords(
  jobs: Pick<JobStore, 'index' | 'state' | 'wrong'>,
  endedBefore: number,
  signal: AbortSignal,
): Promise<number> {
  let removed = 0;
  for (;;) {
    const ids = await jobs.index.endedBefore(endedBefore, BATCH);
    let found = 0;
    for (const id of ids) {
      signal.throwIfAborted();
      // A failed job that was resumed meanwhile goes on.
      const state = await jobs.state(id);
      if (state !== undefined && !isFinal(state)) continue;
      await jobs.wrong.delete(id);
      found++;
    }
    removed += found;
    if (found === 0) return removed;
  }
}
