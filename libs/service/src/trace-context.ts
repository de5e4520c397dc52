/** Spans by name: the texts of W3C Trace Context, which travel in headers, records and queue entries. */
import { createHash } from 'node:crypto';
import { ROOT_CONTEXT, trace, type Context, type SpanContext } from '@opentelemetry/api';

const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

/** @returns undefined for a text that is no `traceparent` of version 00 */
export function parseTraceparent(text: string | undefined): SpanContext | undefined {
  const [, traceId = '', spanId = '', flags = ''] = TRACEPARENT.exec(text ?? '') ?? [];
  if (traceId === '' || /^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
}

export function formatTraceparent({ traceId, spanId, traceFlags }: SpanContext): string {
  return `00-${traceId}-${spanId}-${(traceFlags & 0xff).toString(16).padStart(2, '0')}`;
}

/** A context in which spans become children of the one named. */
export function contextOf(parent: SpanContext): Context {
  return trace.setSpanContext(ROOT_CONTEXT, parent);
}

/**
 * The name of a span that begins in one process and ends in another, perhaps after either was killed: it follows from
 * the trace and from the subject of the span, so that the process that makes children needs nothing from the one that
 * ends it.
 * @param traceparent of any span of the trace @param what unique in the trace
 */
export function spanOf(traceparent: string | undefined, what: string): string | undefined {
  const parsed = parseTraceparent(traceparent);
  if (parsed === undefined) return undefined;
  const spanId = createHash('sha256').update(`${parsed.traceId} ${what}`).digest('hex').slice(0, 16);
  return formatTraceparent({ ...parsed, spanId });
}

/** The span that the running code belongs to; undefined without tracing. */
export function currentTraceparent(): string | undefined {
  const current = trace.getActiveSpan()?.spanContext();
  return current === undefined ? undefined : formatTraceparent(current);
}

/** The fields of a log line that name its span; none without tracing. */
export function traceFields(): { trace_id?: string; span_id?: string } {
  const current = trace.getActiveSpan()?.spanContext();
  return current === undefined ? {} : { trace_id: current.traceId, span_id: current.spanId };
}
