/** The interface between tracing and its exporter. */
import type { Tracer } from '@opentelemetry/api';
import type { SamplerName } from './samplers.ts';

/**
 * The options of tracing. The exporter reads its address and headers from the environment, as OpenTelemetry defines.
 */
export interface TracingOptions {
  readonly sampler: SamplerName;
  /** Share of the traces that the ratio samplers keep, from 0 to 1. */
  readonly ratio: number;
}

/** The result of `startExport` in `tracing-export.ts`. */
export interface SpanExport {
  readonly tracer: Tracer;
  /** The next span gets this id. */
  nextSpanId(id: string | undefined): void;
  close(): Promise<void>;
}
