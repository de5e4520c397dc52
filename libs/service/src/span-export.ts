/** What tracing and its exporter agree on. */
import type { Tracer } from '@opentelemetry/api';
import type { SamplerName } from './samplers.ts';

/**
 * How to trace; the exporter reads where to and with which headers from the environment, as OpenTelemetry lays down.
 */
export interface TracingOptions {
  readonly sampler: SamplerName;
  /** Share of the traces that the ratio samplers keep, from 0 to 1. */
  readonly ratio: number;
}

/** What `startExport` in `tracing-export.ts` makes. */
export interface SpanExport {
  readonly tracer: Tracer;
  /** The next span gets this id. */
  nextSpanId(id: string | undefined): void;
  close(): Promise<void>;
}
