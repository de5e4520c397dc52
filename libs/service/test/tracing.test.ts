import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import {
  currentTraceparent,
  formatTraceparent,
  parseTraceparent,
  readConfig,
  spanOf,
  Tracing,
  tracingOf,
  tracingVariables,
  type TracingOptions,
} from '@blindfit/service';
import { captureLog } from './support.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SAMPLED = `00-${TRACE}-00f067aa0ba902b7-01`;
const UNSAMPLED = `00-${TRACE}-00f067aa0ba902b7-00`;
const ALWAYS: TracingOptions = { sampler: 'parentbased_always_on', ratio: 1 };

/** A collector that answers every request with a status. @returns its URL, and how many requests came */
async function collector(
  t: TestContext,
  status: () => number,
): Promise<{ readonly url: string; readonly requests: () => number }> {
  let requests = 0;
  const server = createServer((request, response) => {
    requests++;
    request.resume().on('end', () => response.writeHead(status(), { 'content-type': 'application/x-protobuf' }).end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests: () => requests };
}

test('traceparent is read strictly and written as it was read', () => {
  const parsed = parseTraceparent(SAMPLED);
  assert.deepEqual(parsed, { traceId: TRACE, spanId: '00f067aa0ba902b7', traceFlags: 1, isRemote: true });
  assert.equal(formatTraceparent(parsed), SAMPLED);
  const bad = [
    undefined,
    '',
    'x',
    SAMPLED.toUpperCase(),
    `${SAMPLED}-x`,
    ` ${SAMPLED}`,
    SAMPLED.replace('00-', 'ff-'),
    SAMPLED.replace(TRACE, '0'.repeat(32)),
    SAMPLED.replace('00f067aa0ba902b7', '0'.repeat(16)),
    SAMPLED.slice(0, -1),
  ];
  for (const text of bad) assert.equal(parseTraceparent(text), undefined, text);
});

test('the span of something follows from the trace and what it is', () => {
  const span = spanOf(SAMPLED, 'job a');
  assert.match(span ?? '', new RegExp(`^00-${TRACE}-[0-9a-f]{16}-01$`));
  assert.equal(
    spanOf(SAMPLED.replace('00f067aa0ba902b7', '1'.repeat(16)), 'job a'),
    span,
    'whichever span of the trace names it',
  );
  assert.notEqual(spanOf(SAMPLED, 'job b'), span);
  assert.notEqual(spanOf(SAMPLED.replace(TRACE, '1'.repeat(32)), 'job a')?.slice(36), span?.slice(36));
  assert.equal(spanOf(UNSAMPLED, 'job a')?.slice(-2), '00');
  assert.equal(spanOf(undefined, 'job a'), undefined);
});

test('tracing is on when there is a collector, and mistakes in its variables are told without secrets', () => {
  const read = (env: Record<string, string>): TracingOptions | undefined =>
    tracingOf(readConfig(tracingVariables, env));
  const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' };
  assert.equal(read({}), undefined);
  assert.equal(read({ OTEL_EXPORTER_OTLP_ENDPOINT: '', OTEL_TRACES_SAMPLER: 'always_on' }), undefined);
  assert.deepEqual(read(endpoint), ALWAYS);
  assert.deepEqual(
    read({
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://collector/v1/traces',
      OTEL_TRACES_SAMPLER: 'traceidratio',
      OTEL_TRACES_SAMPLER_ARG: '0.25',
    }),
    { sampler: 'traceidratio', ratio: 0.25 },
  );
  assert.equal(read({ ...endpoint, OTEL_SDK_DISABLED: 'true' }), undefined);
  const wrong = {
    OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318',
    OTEL_EXPORTER_OTLP_HEADERS: 'hunter2',
    OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
    OTEL_TRACES_SAMPLER: 'sometimes',
    OTEL_TRACES_SAMPLER_ARG: '2',
  };
  assert.throws(
    () => read(wrong),
    (error) =>
      error instanceof Error &&
      Object.keys(wrong).every((name) => error.message.includes(name)) &&
      error.message.includes('http/protobuf') &&
      !error.message.includes('hunter2'),
  );
});

test('without tracing nothing begins, and everything runs', async () => {
  const { logger, lines } = captureLog();
  const tracing = await Tracing.open('test', '0', undefined, logger);
  assert.equal(tracing.enabled, false);
  assert.equal(tracing.begin({ name: 'x', root: true }), undefined);
  assert.equal(
    tracing.within(SAMPLED, () => currentTraceparent()),
    undefined,
  );
  assert.equal(await tracing.span({ name: 'x', parent: SAMPLED }, (span) => Promise.resolve(span)), undefined);
  tracing.record({ name: 'x', parent: SAMPLED }, Date.now());
  logger.info('hello');
  assert.ok(!('trace_id' in (lines[0] ?? {})));
  await tracing.close();
});

test('spans keep to the decision of whoever began the trace, and log lines name them', async (t) => {
  const { url } = await collector(t, () => 200);
  process.env['OTEL_EXPORTER_OTLP_ENDPOINT'] = url;
  const { logger, lines } = captureLog();
  const tracing = await Tracing.open('test', '0', ALWAYS, logger);
  assert.equal(tracing.begin({ name: 'x', parent: SAMPLED })?.isRecording(), true);
  assert.equal(tracing.begin({ name: 'x', parent: UNSAMPLED })?.isRecording(), false);
  assert.equal(tracing.begin({ name: 'x', parent: 'nonsense' }), undefined, 'no span without a trace');
  assert.equal(tracing.begin({ name: 'x', root: true })?.isRecording(), true);
  const self = spanOf(SAMPLED, 'job a');
  const span = tracing.begin({ name: 'x', parent: SAMPLED, self });
  assert.equal(span === undefined ? '' : formatTraceparent(span.spanContext()), self);
  assert.notEqual(
    tracing.begin({ name: 'x', parent: SAMPLED })?.spanContext().spanId,
    span?.spanContext().spanId,
    'the one after has an id of its own',
  );
  await assert.rejects(
    tracing.span({ name: 'x', parent: SAMPLED }, async () => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      logger.info('inside');
      throw new Error('as planned');
    }),
    /as planned/,
  );
  logger.info('outside');
  assert.equal(lines[0]?.['trace_id'], TRACE);
  assert.ok(!('trace_id' in (lines[1] ?? {})));
  const never = await Tracing.open('test', '0', { sampler: 'parentbased_always_off', ratio: 1 }, logger);
  assert.equal(never.begin({ name: 'x', root: true })?.isRecording(), false);
  await Promise.all([tracing.close(), never.close()]);
  assert.ok(lines.every(({ level, msg }) => level === 'info' && msg !== 'spans are taken again'));
});

test('a collector that refuses is told of once, with a reason, and stops nothing', async (t) => {
  const { url, requests } = await collector(t, () => 400);
  // The exporter keeps a timer for that long after a refusal, and with it this process.
  process.env['OTEL_EXPORTER_OTLP_TIMEOUT'] = '1000';
  process.env['OTEL_EXPORTER_OTLP_ENDPOINT'] = url;
  const { logger, lines } = captureLog();
  const tracing = await Tracing.open('test', '0', ALWAYS, logger);
  for (let i = 0; i < 1200; i++) tracing.record({ name: 'x', root: true }, Date.now());
  await tracing.close();
  assert.ok(requests() >= 2, `${requests()} batches were refused`);
  assert.equal(lines.filter(({ msg }) => msg === 'spans cannot be sent; the work goes on without').length, 1);
  assert.equal(lines.filter(({ msg }) => msg === 'spans are taken again').length, 0);
  assert.equal(lines[0]?.['level'], 'warn');
  assert.ok(String(lines[0]['reason']).length > 0);
});
