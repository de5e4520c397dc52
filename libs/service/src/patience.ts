/** What only Redis can do is done again until it does it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { backoffMs, faultOf, messageOf } from '@blindfit/base';
import type { Intake } from './intake.ts';

const WAITS_MS = { first: 200, longest: 10_000 };

/**
 * Repeats a step while its failures are the fault of the world, with a wait that doubles up to 10 s. No new work is
 * taken meanwhile.
 * @throws what the step throws for another reason, or when the service stops
 */
export async function patiently<T>(intake: Pick<Intake, 'stop' | 'closing'>, step: () => Promise<T>): Promise<T> {
  for (let failures = 1; ; failures++) {
    try {
      return await step();
    } catch (error) {
      if (faultOf(error) !== 'world' || intake.closing.aborted) throw error;
      intake.stop({ fault: 'world', message: messageOf(error) });
      await sleep(backoffMs(failures, WAITS_MS.first, WAITS_MS.longest), undefined, { signal: intake.closing }).catch(
        () => undefined,
      );
    }
  }
}
