import { Histogram, type Registry } from 'prom-client';
import { OPERATIONS, type StoreCall } from './metered-store.ts';

/** Adds the time that calls of a store take, and whether they failed. @returns what to tell of each call */
export function addStoreCalls(registry: Registry): (call: StoreCall) => void {
  const seconds = new Histogram({
    name: 'blindfit_store_call_duration_seconds',
    help: 'Calls of the store; that a blob is missing is no failure. Of a stream, the time to its beginning.',
    labelNames: ['operation', 'outcome'],
    buckets: [0.005, 0.02, 0.1, 0.5, 1, 2, 5, 10, 30],
    registers: [registry],
  });
  for (const operation of OPERATIONS) for (const outcome of ['ok', 'failed']) seconds.zero({ operation, outcome });
  return ({ operation, seconds: taken, failed }) =>
    seconds.observe({ operation, outcome: failed ? 'failed' : 'ok' }, taken);
}
