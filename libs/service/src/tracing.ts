/**
 * Spans of a service. While tracing is off none of OpenTelemetry's SDK is loaded, and everything here only calls what
 * it was given.
 */
import { context, SpanKind, SpanStatusCode, trace, type Attributes, type Link, type Span } from '@opentelemetry/api';
import { defined } from '@blindfit/base';
import type { Logger } from './logger.ts';
import type { SpanExport, TracingOptions } from './span-export.ts';
import { contextOf, parseTraceparent } from './trace-context.ts';

export interface SpanOptions {
  readonly name: string;
  /** `traceparent` of the span above; without one there is no span, unless `root` is set. */
  readonly parent?: string | undefined;
  /** Begins a trace where there is no span above. @default false */
  readonly root?: boolean;
  /** `traceparent` the span shall have, from `spanOf`. @default a random one */
  readonly self?: string | undefined;
  readonly kind?: 'internal' | 'server' | 'consumer';
  /** Milliseconds since the epoch. @default now */
  readonly start?: number;
  readonly attributes?: Attributes;
  /** `traceparent`s of spans of other traces that have to do with it. */
  readonly links?: readonly (string | undefined)[];
}

const KINDS = { internal: SpanKind.INTERNAL, server: SpanKind.SERVER, consumer: SpanKind.CONSUMER };

/** The spans of one service. */
export class Tracing {
  readonly #target: SpanExport | undefined;

  private constructor(target: SpanExport | undefined) {
    this.#target = target;
  }

  /** @param service `api`, `scheduler` or `worker` @param options undefined: off */
  static async open(
    service: string,
    version: string,
    options: TracingOptions | undefined,
    logger: Logger,
    onLost: (spans: number) => void = () => undefined,
  ): Promise<Tracing> {
    if (options === undefined) return new Tracing(undefined);
    const { startExport } = await import('./tracing-export.ts');
    return new Tracing(startExport(service, version, options, logger, onLost));
  }

  get enabled(): boolean {
    return this.#target !== undefined;
  }

  /**
   * Begins a span, which the caller ends.
   * @returns undefined while tracing is off, and where there is no trace to be part of
   */
  begin({
    name,
    parent,
    root = false,
    self,
    kind = 'internal',
    start,
    attributes = {},
    links = [],
  }: SpanOptions): Span | undefined {
    if (this.#target === undefined) return undefined;
    const above = parseTraceparent(parent);
    if (above === undefined && !root) return undefined;
    const linked = links.flatMap((text): Link[] => {
      const other = parseTraceparent(text);
      return other === undefined ? [] : [{ context: other }];
    });
    this.#target.nextSpanId(parseTraceparent(self)?.spanId);
    const options = defined({
      kind: KINDS[kind],
      attributes,
      links: linked,
      startTime: start,
      root: above === undefined,
    });
    return above === undefined
      ? this.#target.tracer.startSpan(name, options)
      : this.#target.tracer.startSpan(name, options, contextOf(above));
  }

  /** A span of something that is over. @param end milliseconds since the epoch @param error as in {@link end} */
  record(options: SpanOptions, end: number, error?: string): void {
    this.end(this.begin(options), error, end);
  }

  /**
   * Ends a span.
   * @param error what `typeOf` says of it, if it failed
   * @param at milliseconds since the epoch; now unless given
   */
  end(span: Span | undefined, error?: string, at?: number): void {
    if (error !== undefined)
      span?.setAttribute('error.type', error).setStatus({ code: SpanStatusCode.ERROR, message: error });
    span?.end(at);
  }

  /** Runs something as part of a span: its log lines name that, and spans it begins can have it as parent. */
  within<T>(traceparent: string | undefined, body: () => T): T {
    const parsed = this.#target === undefined ? undefined : parseTraceparent(traceparent);
    return parsed === undefined ? body() : context.with(contextOf(parsed), body);
  }

  /** Runs `body` in a new span, which ends with it. */
  async span<T>(options: SpanOptions, body: (span: Span | undefined) => Promise<T>): Promise<T> {
    const span = this.begin(options);
    if (span === undefined) return body(undefined);
    try {
      const result = await context.with(trace.setSpan(context.active(), span), () => body(span));
      this.end(span);
      return result;
    } catch (error) {
      this.end(span, typeOf(error));
      throw error;
    }
  }

  /** Sends what is left, for some seconds at most. */
  async close(): Promise<void> {
    await this.#target?.close();
  }
}

/** The code of an error, or its class where it has none: never its message, which can name files and servers. */
export function typeOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}
