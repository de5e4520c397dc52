/**
 * What operators see of jobs besides metrics: one trace a job at a collector that speaks OTLP, and logs, neither of
 * which tells a secret or anything of the data. Real processes, real Redis with a password, jobs that succeed after
 * refreshes, fail and are cancelled.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import type { JobView } from '@blindfit/protocol';
import { firstGroups, temporaryDirectory } from '@blindfit/testkit';
import { type ReceivedSpan } from './otlp-receiver.ts';
import { withStack } from './support.ts';
import {
  CLIENT_SPAN,
  CLIENT_TRACE,
  DATA,
  HEADER_SECRET,
  isSdk,
  modulesIn,
  RECORDER,
  runJobs,
  SERVICES,
  tracesOf,
  withEnvironment,
  type Run,
} from './traced-jobs.ts';

describe('a stack that traces', () => {
  let run: Run;
  const ofJob = (job: JobView): ReceivedSpan[] => {
    const [submission] = run.spans.filter(
      ({ name, attributes }) => name === 'POST /v1/jobs' && attributes['blindfit.job.id'] === job.id,
    );
    assert.ok(submission, `the submission of ${job.id} has a span`);
    return run.spans.filter(({ traceId }) => traceId === submission.traceId);
  };
  /** Names from a span up to the root. */
  const wayUp = (span: ReceivedSpan | undefined, all: readonly ReceivedSpan[]): string[] =>
    span === undefined
      ? []
      : [
          span.name,
          ...wayUp(
            all.find(({ spanId }) => spanId === span.parentId),
            all,
          ),
        ];

  before(async () => {
    run = await runJobs();
  });

  it('sends the spans of a job in one trace, from the request to the circuit', () => {
    const { succeeded } = run.jobs;
    const spans = ofJob(succeeded);
    assert.equal(spans[0]?.traceId, CLIENT_TRACE, 'the trace is the one that the client began');
    assert.equal(
      run.spans
        .filter(({ attributes, traceId }) => attributes['blindfit.job.id'] === succeeded.id && traceId !== CLIENT_TRACE)
        .every(({ name }) => name === 'POST /v1/jobs/:id/refresh'),
      true,
      'nothing of the job is elsewhere but the requests that answered',
    );
    assert.deepEqual([...new Set(spans.map(({ service }) => service))].sort(), SERVICES);
    const circuits = spans.filter(({ name }) => name.startsWith('circuit '));
    const backward = circuits.filter(({ name }) => name === 'circuit backward');
    assert.ok(backward.length > 0);
    for (const circuit of backward)
      assert.deepEqual(wayUp(circuit, spans), ['circuit backward', 'task backward', 'chain', 'job', 'POST /v1/jobs']);
    assert.deepEqual(
      [...new Set(circuits.map(({ name }) => name))].sort(),
      ['backward', 'finish', 'forward', 'pack', 'publish', 'step'].map((kind) => `circuit ${kind}`),
    );
    for (const [name, way] of [
      ['begin', ['job', 'POST /v1/jobs']],
      ['step', ['chain', 'job', 'POST /v1/jobs']],
      ['circuit step', ['step', 'chain', 'job', 'POST /v1/jobs']],
      ['pack', ['finish', 'job', 'POST /v1/jobs']],
      ['refresh', ['job', 'POST /v1/jobs']],
      ['queue', ['task backward', 'chain', 'job', 'POST /v1/jobs']],
      ['load keys', ['task backward', 'chain', 'job', 'POST /v1/jobs']],
      ['store result', ['task backward', 'chain', 'job', 'POST /v1/jobs']],
    ] as const) {
      assert.ok(
        spans.some((span) => span.name === name && wayUp(span, spans).slice(1).join() === way.join()),
        `${name} below ${way.join(' below ')}`,
      );
    }
    const tasks = spans.filter(({ name }) => name.startsWith('task '));
    assert.equal(tasks.length, succeeded.progress.tasksTotal, 'every task has one span');
    assert.equal(spans.filter(({ name }) => name === 'refresh').length, run.refreshes);
    assert.equal(spans.filter(({ name }) => name === 'job').length, 1);
  });

  it('leaves no span without its parent, whatever became of the job', () => {
    for (const job of Object.values(run.jobs)) {
      const spans = ofJob(job);
      const known = new Set(spans.map(({ spanId }) => spanId));
      assert.equal(known.size, spans.length, 'no span is sent twice');
      const orphans = spans.filter(
        ({ parentId }) => parentId !== '' && parentId !== CLIENT_SPAN && !known.has(parentId),
      );
      assert.deepEqual(
        orphans.map(({ name, attributes }) => `${name} ${JSON.stringify(attributes)}`),
        [],
        job.state,
      );
      const roots = spans.filter(({ parentId }) => parentId === '' || parentId === CLIENT_SPAN);
      assert.deepEqual(
        roots.map(({ name }) => name),
        ['POST /v1/jobs'],
        'one root',
      );
      for (const { start, end, name } of spans) assert.ok(end >= start, name);
    }
    assert.equal(
      new Set(Object.values(run.jobs).map((job) => ofJob(job)[0]?.traceId)).size,
      3,
      'every job has a trace of its own',
    );
  });

  it('says what each span is about', () => {
    const { succeeded, failed, cancelled } = run.jobs;
    const spans = ofJob(succeeded);
    const kinds = (name: RegExp): string[] => [
      ...new Set(spans.filter((span) => name.test(span.name)).map(({ kind }) => kind)),
    ];
    assert.deepEqual(kinds(/^POST/), ['server']);
    assert.deepEqual(
      kinds(/^(begin|chain|finish|task .*)$/).sort(),
      ['consumer', 'internal'],
      'finish is also a step of a chain',
    );
    assert.deepEqual(kinds(/^task /), ['consumer']);
    assert.deepEqual(kinds(/^(job|step|refresh|queue|load .*|circuit .*|store result)$/), ['internal']);
    const task = spans.find(({ name }) => name === 'task forward');
    const { 'blindfit.task.id': id, ...told } = task?.attributes ?? {};
    assert.match(String(id), new RegExp(`^${succeeded.id}\\.forward\\.2\\.[01]\\.0$`));
    assert.deepEqual(told, {
      'blindfit.job.id': succeeded.id,
      'blindfit.task.kind': 'forward',
      'blindfit.iteration': 2,
      'blindfit.pair': Number(String(id).split('.')[3]),
      'blindfit.task.attempt': 1,
    });
    const rotations = spans.reduce((sum, { attributes }) => sum + Number(attributes['blindfit.he.rotations'] ?? 0), 0);
    assert.equal(rotations, succeeded.result?.operations.rotations, 'the circuits tell all operations');
    const refresh = spans.find(({ name }) => name === 'refresh');
    assert.equal(refresh?.attributes['blindfit.iteration'], 1);
    assert.ok(
      run.spans.some(
        (span) => span.name === 'POST /v1/jobs/:id/refresh' && refresh.links.includes(`${span.traceId}-${span.spanId}`),
      ),
      'it points to the request that answered',
    );
    for (const job of [succeeded, failed, cancelled]) {
      const whole = ofJob(job).find(({ name }) => name === 'job');
      assert.equal(whole?.attributes['blindfit.job.state'], job.state);
      assert.equal(whole.error, job.error?.code);
    }
    assert.equal(failed.state, 'failed');
    assert.equal(cancelled.state, 'cancelled');
    const broken = ofJob(failed).filter(
      ({ name, error }) => name.startsWith('task ') && error !== undefined && error !== 'TASK_CANCELLED',
    );
    assert.ok(
      broken.length > 0 && broken.every(({ error }) => error === failed.error?.code),
      'the task that failed says so',
    );
  });

  it('has no span and no attribute that docs/operations/observability.md does not tell of', async () => {
    const page = await readFile(new URL('../../docs/operations/observability.md', import.meta.url), 'utf8');
    const told = new Set(firstGroups(page, /`([^`\n]+)`/g));
    const names = new Set(
      run.spans.flatMap(({ name }) =>
        name.startsWith('circuit ')
          ? 'circuit ...'
          : name.startsWith('POST /v1/jobs/') || name.startsWith('DELETE ')
            ? []
            : name,
      ),
    );
    const attributes = new Set(run.spans.flatMap((span) => Object.keys(span.attributes)));
    assert.ok(names.size > 10 && attributes.size > 10);
    assert.deepEqual(
      [...names, ...attributes].filter((each) => !told.has(each)),
      [],
    );
  });

  it('sends the headers that the collector asks for', () => {
    assert.ok(run.headers.length > 0);
    for (const headers of run.headers) assert.equal(headers['x-collector-token'], HEADER_SECRET);
    assert.ok(run.modules.some(isSdk), 'this is how the SDK looks when it is loaded');
  });

  it('shows operators who works, and what waits for what', () => {
    assert.deepEqual(
      run.board.queues.map(({ name, hasWorkers }) => [name, hasWorkers]),
      [
        ['jobs', true],
        ['chains', true],
        ['tasks', true],
      ],
    );
    assert.match(
      run.board.flow,
      new RegExp(`${run.jobs.succeeded.id}\\.chain\\.0\\.0`),
      'the task was a child of its chain',
    );
  });

  it('logs one line of JSON an event, with the ids of job, task and trace', () => {
    const lines = [...run.logs].flatMap(([name, text]) =>
      text
        .trimEnd()
        .split('\n')
        .map((line) => {
          assert.match(line, /^\{.*\}$/, `${name} logs JSON and nothing else`);
          return JSON.parse(line) as Record<string, unknown>;
        }),
    );
    const { succeeded, failed } = run.jobs;
    const accepted = lines.find((line) => line['msg'] === 'job accepted' && line['job'] === succeeded.id);
    assert.equal(accepted?.['trace_id'], CLIENT_TRACE);
    const answered = lines.find((line) => line['msg'] === 'answered' && line['reqId'] === accepted['reqId']);
    assert.equal(answered?.['trace_id'], CLIENT_TRACE, 'also after the request was read');
    const done = lines.filter((line) => line['msg'] === 'task done' && line['job'] === succeeded.id);
    assert.equal(done.length, succeeded.progress.tasksTotal);
    for (const line of done) {
      assert.equal(line['trace_id'], CLIENT_TRACE);
      const span = run.spans.find(({ spanId }) => spanId === line['span_id']);
      assert.equal(span?.attributes['blindfit.task.id'], line['task'], 'the span of a line is that of its task');
    }
    const failure = lines.find((line) => line['msg'] === 'task failed for good');
    assert.equal(failure?.['job'], failed.id);
    assert.equal(failure['trace_id'], ofJob(failed)[0]?.traceId);
  });

  it('tells no secret, no key and nothing of the data, neither in logs nor in spans', () => {
    const places = new Map([...run.logs, ['spans', run.sent.toString('latin1')] as const]);
    // Features of the data, as JSON or CSV would have them; fewer digits would be in any number.
    const values = [...DATA.x].filter((value) => String(value).length > 10).map((value) => String(value).slice(0, 10));
    assert.ok(values.length > 500 && run.secrets.size > 10);
    const pieces = new Map([
      ...[...run.secrets].map(([what, secret]) => [what, tracesOf(secret)] as const),
      ['features', values] as const,
    ]);
    for (const [what, texts] of pieces) {
      assert.ok(texts.length > 0, `${what} is looked for`);
      const secret = Buffer.from(run.secrets.get(what) ?? texts[0] ?? '');
      for (const shown of [
        secret.toString('hex'),
        secret.toString('base64'),
        Buffer.concat([Buffer.from('x'), secret]).toString('base64'),
        JSON.stringify(secret),
      ]) {
        if (secret.length >= 200)
          assert.ok(
            texts.some((piece) => shown.includes(piece)),
            `${what} would be noticed`,
          );
      }
      for (const [place, text] of places) {
        for (const piece of texts) assert.ok(!text.includes(piece), `${what} is in ${place}: ${piece}`);
      }
    }
    assert.ok(
      [...places.values()].every((text) => text.length > 100),
      'there was something to look through',
    );
  });
});

it('a stack that does not trace loads nothing of the SDK', async () => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, 'modules');
  await withEnvironment(
    { NODE_OPTIONS: `--import=${RECORDER}`, BLINDFIT_TEST_MODULES: file, OTEL_EXPORTER_OTLP_ENDPOINT: '' },
    () => withStack({}, () => Promise.resolve()),
  );
  const modules = await modulesIn(file);
  assert.deepEqual(modules.filter(isSdk), []);
});
