import { Counter, Gauge, Registry, collectDefaultMetrics } from 'prom-client';
import { availableMemory, usedMemory } from './memory.ts';

export interface MetricsOptions {
  /** Name of the service, for `blindfit_build_info`. */
  service: string;
  /** Version of the service, for `blindfit_build_info`. */
  version: string;
  /** The commit it was made from. @default 'unknown' */
  revision?: string | undefined;
}

/** Adds the count of spans that were not sent. @returns what to call with their number */
export function spansLostCounter(registry: Registry): (spans: number) => void {
  const counter = new Counter({
    name: 'blindfit_spans_lost_total',
    help: 'Spans of traces that could not be sent to the collector.',
    registers: [registry],
  });
  return (spans) => counter.inc(spans);
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
  new Gauge({
    name: 'blindfit_memory_used_bytes',
    help: 'Memory of this process that the kernel cannot take back: without pages of mapped files.',
    registers: [registry],
    collect() {
      this.set(usedMemory());
    },
  });
  return registry;
}
