/**
 * What operators see of jobs besides metrics: one trace a job at a collector that speaks OTLP, and logs, neither of
 * which tells a secret or anything of the data. Real processes, real Redis with a password, jobs that succeed after
 * refreshes, fail and are cancelled.
 */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { digestOf } from '@blindfit/base';
import type { BlindfitClient } from '@blindfit/client';
import { parseHeader, WIRE_HEADER_BYTES, wrap } from '@blindfit/he';
import { decryptModel, followTraining, RefreshSession, stepBound } from '@blindfit/owner';
import type { JobView, TrainingManifest } from '@blindfit/protocol';
import { startRedis } from '@blindfit/redis-server';
import { firstGroups } from '@blindfit/testkit';
import { DEFAULT_HYPERPARAMETERS, fitSigmoid, type Hyperparameters } from '@blindfit/training';
import { startReceiver, type ReceivedSpan } from './otlp-receiver.ts';
import {
  finished,
  prepareJob,
  syntheticData,
  temporaryDirectory,
  waitFor,
  withStack,
  type Prepared,
} from './support.ts';

const RECORDER = fileURLToPath(new URL('./record-modules.ts', import.meta.url));
/** What the client says its own work is part of. */
const CLIENT_TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const CLIENT_SPAN = '00f067aa0ba902b7';
const HEADER_SECRET = 'collector-token-8d1f';
const OPERATOR = 'operators-token-77aa21';
/** The servers know it, but neither logs nor traces have use for it. */
const JOB_NAME = 'ward-seven-c0ffee';
/** A straight line for a sigmoid: three levels an iteration, for which a small ring does. */
const HYPERPARAMETERS: Hyperparameters = { ...DEFAULT_HYPERPARAMETERS, iterations: 2, sigmoid: fitSigmoid(1, 8) };
const DATA = syntheticData(60, 12, 3);
const SERVICES = ['blindfit-api', 'blindfit-scheduler', 'blindfit-worker'];

/** Runs something with environment variables set, which the services of a stack inherit. */
async function withEnvironment<T>(values: Readonly<Record<string, string>>, body: () => Promise<T>): Promise<T> {
  const before = Object.keys(values).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, values);
  try {
    return await body();
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) Reflect.deleteProperty(process.env, name);
      else process.env[name] = value;
    }
  }
}

async function modulesIn(file: string): Promise<string[]> {
  const lines = (await readFile(file, 'utf8')).split('\n');
  assert.ok(
    lines.some((line) => line.endsWith('/services/worker/src/start.ts')),
    'the modules of the services were recorded',
  );
  return lines;
}

const isSdk = (url: string): boolean => /\/@opentelemetry\/(?!api\/)/.test(url) && !url.endsWith('/package.json');

/** The same manifest with the first block of X~ replaced by noise of the right size, which SEAL refuses. */
async function damaged(client: BlindfitClient, { manifest, blobs, plan }: Prepared): Promise<TrainingManifest> {
  const digest = String(manifest.blobs.gradientFeatures[0]?.[0]);
  const bytes = blobs.get(digest);
  assert.ok(bytes);
  const { kind: _kind, ...header } = { ...parseHeader(bytes) };
  const { level, scale } = header as { level: number; scale: number };
  const bad = wrap(
    plan.parameters,
    { kind: 'ciphertext', level, scale },
    new Uint8Array(bytes.length - WIRE_HEADER_BYTES).fill(0x5a),
  );
  const named = digestOf(bad);
  await client.putBlob(named, bad);
  const gradientFeatures = manifest.blobs.gradientFeatures.map((row, shard) =>
    row.map((each, block) => (shard === 0 && block === 0 ? named : each)),
  );
  return { ...manifest, blobs: { ...manifest.blobs, gradientFeatures } };
}

interface Run {
  readonly spans: readonly ReceivedSpan[];
  readonly headers: readonly NodeJS.Dict<string | string[]>[];
  /** Everything the collector got. */
  readonly sent: Buffer;
  /** Jobs by what became of them. */
  readonly jobs: Readonly<Record<'succeeded' | 'failed' | 'cancelled', JobView>>;
  readonly refreshes: number;
  /**
   * What the operators' page tells: of each queue whether anybody takes its entries, and of a task what waited for it.
   */
  readonly board: {
    readonly queues: readonly { readonly name: string; readonly hasWorkers: boolean | null }[];
    readonly flow: string;
  };
  readonly modules: readonly string[];
  /** By name of the process. */
  readonly logs: ReadonlyMap<string, string>;
  /** What nobody may see, by what it is. */
  readonly secrets: ReadonlyMap<string, Uint8Array>;
}

/** Three jobs on a stack that traces, and all that came of it once the stack has ended. */
async function runJobs(): Promise<Run> {
  const receiver = await startReceiver();
  await using directory = await temporaryDirectory();
  const modulesFile = join(directory.path, 'modules');
  const redis = await startRedis({ dataDir: join(directory.path, 'redis'), tcp: true, log: () => undefined });
  const environment = {
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_EXPORTER_OTLP_HEADERS: `x-collector-token=${HEADER_SECRET}`,
    BLINDFIT_LOG_LEVEL: 'trace',
    BLINDFIT_OPERATOR_TOKEN: OPERATOR,
    NODE_OPTIONS: `--import=${RECORDER}`,
    BLINDFIT_TEST_MODULES: modulesFile,
  };
  try {
    const seen = await withEnvironment(environment, () =>
      withStack({ redisUrl: redis.url, threads: 2 }, async (stack, client, own) => {
        using prepared = await prepareJob(client, join(own, 'keys'), DATA, HYPERPARAMETERS, { refreshEvery: 1 });
        const { plan, keyset } = prepared;
        const submitted = await client.submit(
          { ...prepared.manifest, name: JOB_NAME },
          { traceparent: `00-${CLIENT_TRACE}-${CLIENT_SPAN}-01` },
        );
        const session = new RefreshSession(keyset, plan, stepBound(DATA, HYPERPARAMETERS));
        const followed = await followTraining(client, submitted, { session, cancel: false });
        assert.equal(followed.job.state, 'succeeded', followed.job.error?.message);
        const weights = decryptModel(
          keyset,
          plan,
          await client.result(submitted.id, followed.job.result?.models ?? []),
        );
        assert.ok(
          weights.every((row, k) => row.every((value, j) => Math.abs(value - Number(prepared.clear[k]?.[j])) < 1e-3)),
          'the model is that of the clear twin',
        );
        const ask = async (path: string): Promise<string> => {
          const response = await fetch(`${stack.url}/admin/queues/api/queues${path}`, {
            headers: { authorization: `Basic ${Buffer.from(`operator:${OPERATOR}`).toString('base64')}` },
          });
          assert.equal(response.status, 200, path);
          return response.text();
        };
        const board = {
          ...(JSON.parse(await ask('?page=1&jobsPerPage=10')) as Pick<Run['board'], 'queues'>),
          flow: await ask(`/tasks/${submitted.id}.backward.1.0.0.0/flow`),
        };
        const failing = await client.submit(await damaged(client, prepared));
        const failed = await finished(client, failing.id);
        const doomed = await client.submit(prepared.manifest);
        // A quick stack may have the job at its first refresh before this looks.
        await waitFor(client, doomed.id, ({ state }) => state !== 'queued');
        const cancelled = await client.cancel(doomed.id);
        // The cancelled job's entries come to their own ends within moments.
        for (let patience = 600; ; patience--) {
          const { queues } = JSON.parse(await ask('?page=1&jobsPerPage=10')) as {
            queues: { counts: Record<string, number> }[];
          };
          if (
            queues.every(({ counts }) =>
              ['waiting', 'active', 'delayed', 'waiting-children'].every((state) => counts[state] === 0),
            )
          )
            break;
          assert.ok(patience > 0, 'the queues do not get empty');
          await sleep(100);
        }
        await stack.stop();
        const keyFiles = (await filesBelow(join(own, 'keys'))).filter((path) => !path.endsWith('.json'));
        assert.ok(keyFiles.some((path) => path.endsWith('secret.key')));
        const bytes = (text: string): Uint8Array => Buffer.from(text, 'utf8');
        const secrets = new Map<string, Uint8Array>([
          ['the token of the API', bytes(stack.token)],
          ['the password of Redis', bytes(decodeURIComponent(new URL(redis.url).password))],
          ['the token of the collector', bytes(HEADER_SECRET)],
          ['the token of the operators', bytes(OPERATOR)],
          ['the name of the job', bytes(JOB_NAME)],
          ...(await Promise.all(
            keyFiles.map(async (path): Promise<[string, Uint8Array]> => [path.slice(own.length), await readFile(path)]),
          )),
          ...[...prepared.blobs].map(([digest, blob]): [string, Uint8Array] => [`blob ${digest}`, blob]),
        ]);
        const logs = new Map(
          await Promise.all(
            stack.processes.map(async ({ name, logFile }): Promise<[string, string]> => [
              name,
              await readFile(logFile, 'utf8'),
            ]),
          ),
        );
        return {
          jobs: { succeeded: followed.job, failed, cancelled },
          refreshes: followed.refresh.count,
          board,
          secrets,
          logs,
        };
      }),
    );
    const { spans, headers, bodies } = receiver;
    return { ...seen, spans, headers, sent: Buffer.concat(bodies), modules: await modulesIn(modulesFile) };
  } finally {
    await redis.stop();
    await receiver.close();
  }
}

async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

/**
 * Texts that would show bytes: themselves if they are text, else pieces from all over them in hexadecimal, in base64 as
 * it would be at every offset, and as numbers.
 */
function tracesOf(secret: Uint8Array): string[] {
  const bytes = Buffer.from(secret);
  if (bytes.length < 200)
    return [bytes.toString('utf8'), bytes.toString('base64').replace(/=+$/, ''), bytes.toString('hex')];
  return Array.from({ length: 40 }, (_, i) => Math.floor(((bytes.length - 40) * i) / 39)).flatMap((at) => {
    const piece = bytes.subarray(at, at + 36);
    // Zeroes and the like are in everything.
    if (new Set(piece).size < 12) return [];
    return [
      piece.toString('hex').slice(0, 24),
      ...[0, 1, 2].map((shift) =>
        piece
          .subarray(shift, shift + 33)
          .toString('base64')
          .slice(0, 24),
      ),
      Array.from(piece.subarray(0, 12)).join(','),
    ];
  });
}

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
