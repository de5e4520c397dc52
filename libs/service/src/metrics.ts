import { Gauge, Registry, collectDefaultMetrics } from 'prom-client';
import { availableMemory } from './memory.ts';

export interface MetricsOptions {
  /** Name of the service, for `blindfit_build_info`. */
  service: string;
  /** Version of the service, for `blindfit_build_info`. */
  version: string;
  /** The commit it was made from. @default 'unknown' */
  revision?: string | undefined;
}

/**
 * A new Prometheus registry (not prom-client's global one, so that several services can run in one process) with the
 * metrics of the process, `blindfit_build_info{service,version,revision} 1` and `blindfit_memory_limit_bytes`.
 */
export function createMetrics({ service, version, revision = 'unknown' }: MetricsOptions): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: 'blindfit_build_info',
    help: 'Always 1; the labels say which service runs in which version, from which commit.',
    labelNames: ['service', 'version', 'revision'],
    registers: [registry],
  }).set({ service, version, revision }, 1);
  new Gauge({
    name: 'blindfit_memory_limit_bytes',
    help: 'Memory this process may use: the limit of its container, else the memory of the machine.',
    registers: [registry],
  }).set(availableMemory());
  return registry;
}
