import { Counter, type Registry } from 'prom-client';
import type { JobState } from '@blindfit/protocol';

/**
 * Jobs that this process brought to an end. A job ends once, by whichever process was first to record it, so that the
 * sum over all processes counts every job once.
 *
 * @param states that this process may end a job in; they are shown from the start, or the first one would be no
 * increase
 */
export function endedCounter(registry: Registry, states: readonly JobState[]): Counter<'state'> {
  const counter = new Counter({
    name: 'blindfit_jobs_ended_total',
    help: 'Jobs that this process brought to an end; each is counted by one process.',
    labelNames: ['state'],
    registers: [registry],
  });
  for (const state of states) counter.inc({ state }, 0);
  return counter;
}
