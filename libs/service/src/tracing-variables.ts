import { Type } from 'typebox';
import { optional, variable, type Config } from './config.ts';
import { SAMPLERS } from './samplers.ts';
import type { TracingOptions } from './span-export.ts';

/**
 * The variables of OpenTelemetry that services understand, under its names and with its meanings. They are checked here
 * with the others; the exporter reads its own ones again.
 */
export const tracingVariables = {
  otlpEndpoint: optional(
    variable({
      env: 'OTEL_EXPORTER_OTLP_ENDPOINT',
      fallbackEnv: 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT',
      schema: Type.String({ pattern: '^https?://[^/]' }),
      description:
        'Collector that takes spans over OTLP/HTTP, below /v1/traces (the second name: the whole URL); ' +
        'unset: no tracing',
      allowed: 'http://host:port or https://host',
      check: (url) => {
        if (!URL.canParse(url)) throw new Error(`${JSON.stringify(url)} is no URL`);
      },
    }),
  ),
  otlpHeaders: optional(
    variable({
      env: 'OTEL_EXPORTER_OTLP_HEADERS',
      fallbackEnv: 'OTEL_EXPORTER_OTLP_TRACES_HEADERS',
      schema: Type.String({ pattern: '^[^=,]+=[^,]*(,[^=,]+=[^,]*)*$' }),
      description: 'Headers for the collector, such as its token',
      allowed: 'name=value,name=value with percent-encoded values',
      secret: true,
    }),
  ),
  otlpProtocol: variable({
    env: 'OTEL_EXPORTER_OTLP_PROTOCOL',
    fallbackEnv: 'OTEL_EXPORTER_OTLP_TRACES_PROTOCOL',
    schema: Type.Literal('http/protobuf'),
    description: 'How spans are sent',
    allowed: 'http/protobuf',
    default: () => 'http/protobuf' as const,
  }),
  otelServiceName: optional(
    variable({
      env: 'OTEL_SERVICE_NAME',
      schema: Type.String({ minLength: 1, maxLength: 255 }),
      description: 'Name of the service in its spans',
      allowed: 'up to 255 characters',
      defaultText: 'blindfit-api, blindfit-scheduler or blindfit-worker',
    }),
  ),
  otelSampler: variable({
    env: 'OTEL_TRACES_SAMPLER',
    schema: Type.Enum([...SAMPLERS]),
    description:
      'Which jobs are traced; the API decides when one is submitted, and with a parentbased sampler the others follow',
    allowed: SAMPLERS.join(', '),
    default: () => 'parentbased_always_on' as const,
  }),
  otelSamplerArg: variable({
    env: 'OTEL_TRACES_SAMPLER_ARG',
    schema: Type.Number({ minimum: 0, maximum: 1 }),
    description: 'Share of the jobs that the ratio samplers trace',
    allowed: 'a number from 0 to 1',
    default: () => 1,
  }),
  otelDisabled: variable({
    env: 'OTEL_SDK_DISABLED',
    schema: Type.Boolean(),
    description: 'Switches tracing off, whatever else is set',
    allowed: 'true or false',
    default: () => false,
  }),
} as const;

/** The options of tracing; undefined when it is off. */
export function tracingOf({
  otlpEndpoint,
  otelDisabled,
  otelSampler,
  otelSamplerArg,
}: Config<typeof tracingVariables>): TracingOptions | undefined {
  return otlpEndpoint === undefined || otelDisabled ? undefined : { sampler: otelSampler, ratio: otelSamplerArg };
}
