/** Everything that loads OpenTelemetry's SDK; imported only when tracing is on. */
import { setTimeout as sleep } from 'node:timers/promises';
import { context } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import {
  detectResources,
  hostDetector,
  resourceAttributesEnvDetector,
  resourceFromAttributes,
  serviceInstanceIdDetector,
  serviceNameEnvDetector,
} from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  RandomIdGenerator,
  TraceIdRatioBasedSampler,
  TracerProvider,
  type IdGenerator,
  type Sampler,
  type SpanExporter,
} from '@opentelemetry/sdk-trace';
import type { Logger } from './logger.ts';
import type { SpanExport, TracingOptions } from './span-export.ts';

/** How long a service that ends waits for its last spans to be taken. Milliseconds. */
const CLOSE_PATIENCE_MS = 3_000;

/** Random ids, except for a span whose id is given. */
class Ids implements IdGenerator {
  next: string | undefined;
  readonly #random = new RandomIdGenerator();

  generateTraceId(): string {
    return this.#random.generateTraceId();
  }

  generateSpanId(): string {
    const id = this.next ?? this.#random.generateSpanId();
    this.next = undefined;
    return id;
  }
}

/** Sends spans over OTLP to where `OTEL_EXPORTER_OTLP_ENDPOINT` says, in batches and beside the work. */
export function startExport(
  service: string,
  version: string,
  { sampler, ratio }: TracingOptions,
  logger: Logger,
  onLost: (spans: number) => void,
): SpanExport {
  // One for all services of a process, and as good as none until something runs in a span.
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  const ids = new Ids();
  const named = resourceFromAttributes({
    'service.namespace': 'blindfit',
    'service.name': `blindfit-${service}`,
    'service.version': version,
  });
  const provider = new TracerProvider({
    // OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES come after our names.
    resource: named.merge(
      detectResources({
        detectors: [hostDetector, serviceInstanceIdDetector, resourceAttributesEnvDetector, serviceNameEnvDetector],
      }),
    ),
    sampler: samplerOf(sampler, ratio),
    idGenerator: ids,
    spanProcessors: [new BatchSpanProcessor({ exporter: withOutages(new OTLPTraceExporter(), logger, onLost) })],
  });
  return {
    tracer: provider.getTracer('blindfit', version),
    nextSpanId: (id) => {
      ids.next = id;
    },
    close: async () => {
      // Unreferenced: nothing to wait for when the spans were quick.
      await Promise.race([
        provider.shutdown().catch(() => undefined),
        sleep(CLOSE_PATIENCE_MS, undefined, { ref: false }),
      ]);
    },
  };
}

function samplerOf(name: TracingOptions['sampler'], ratio: number): Sampler {
  switch (name) {
    case 'always_on':
      return new AlwaysOnSampler();
    case 'always_off':
      return new AlwaysOffSampler();
    case 'traceidratio':
      return new TraceIdRatioBasedSampler(ratio);
    case 'parentbased_always_on':
      return new ParentBasedSampler({ root: new AlwaysOnSampler() });
    case 'parentbased_always_off':
      return new ParentBasedSampler({ root: new AlwaysOffSampler() });
    case 'parentbased_traceidratio':
      return new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio) });
  }
}

/** The exporter with one log line when its collector is lost and one when it is back. Spans in between are lost. */
function withOutages(exporter: OTLPTraceExporter, logger: Logger, onLost: (spans: number) => void): SpanExporter {
  let down = false;
  return {
    export: (spans, done) => {
      exporter.export(spans, (result) => {
        // Whatever it is called, only a failure has an error.
        const failed = result.error !== undefined;
        if (failed) onLost(spans.length);
        if (failed && !down)
          logger.warn({ reason: result.error?.message }, 'spans cannot be sent; the work goes on without');
        if (!failed && down) logger.info('spans are taken again');
        down = failed;
        done(result);
      });
    },
    forceFlush: () => exporter.forceFlush(),
    shutdown: () => exporter.shutdown(),
  };
}
