/** Prometheus learns which jobs there are, and scrapes each as a target of its own. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AWAITING, type NewJob } from '@blindfit/queue';
import { JOB_FACTS } from '@blindfit/testkit';
import { problemOf } from './answers.ts';
import { startService, TOKEN, type Service } from './service.ts';

interface TargetGroup {
  targets: string[];
  labels: Record<string, string>;
}

const DIGEST = `sha256:${'0'.repeat(64)}`;
const REQUEST = { id: '1'.repeat(32), chain: 0, iteration: 1, weights: DIGEST };

const newJob = (id: string): NewJob => ({
  id,
  ...JOB_FACTS,
  hyperparameters: { ...JOB_FACTS.hyperparameters, iterations: 4 },
  tasksTotal: 8,
  chains: 1,
});

const operations = { rotations: 10, relinearisations: 1, multiplications: 2, plainMultiplications: 3, rescales: 4 };

async function targets(service: Service): Promise<TargetGroup[]> {
  const response = await service.call('/metrics/jobs');
  assert.equal(response.status, 200);
  assert.match(String(response.headers.get('content-type')), /^application\/json/);
  return (await response.json()) as TargetGroup[];
}

async function scrape(service: Service, id: string): Promise<(name: string) => number | undefined> {
  const response = await service.call(`/metrics/jobs/${id}`);
  assert.equal(response.status, 200);
  assert.match(String(response.headers.get('content-type')), /^text\/plain; version=0\.0\.4/);
  const text = await response.text();
  assert.doesNotMatch(text, new RegExp(`${id}|${DIGEST}|${TOKEN}`), 'which job it is is a label of the target');
  return (name) => {
    const line = text.split('\n').find((each) => each.startsWith(`${name} `));
    return line === undefined ? undefined : Number(line.split(' ').at(-1));
  };
}

test('a job is a target from its submission until some minutes after its end', async (t) => {
  const service = await startService(t);
  const { jobs } = service;
  assert.deepEqual(await targets(service), []);
  for (const id of ['job-a', 'job-b']) await jobs.create(newJob(id));
  await jobs.start('job-a');
  await jobs.cancel('job-a');
  const host = new URL(service.url).host;
  const group = (id: string): TargetGroup => ({
    targets: [host],
    labels: { __metrics_path__: `/metrics/jobs/${id}`, blindfit_job: id },
  });
  assert.deepEqual(await targets(service), [group('job-b'), group('job-a')]);
  // The end of one of them is moved into the past.
  const { states } = jobs.keys;
  await service.redis.zincrby(states, -11 * 60_000, 'job-a');
  assert.deepEqual(await targets(service), [group('job-b')]);
  await Promise.all(Array.from({ length: 120 }, (_, i) => jobs.create(newJob(`job-many-${i}`))));
  assert.equal((await targets(service)).length, 100);
});

test('the metrics of a job follow it to its end', async (t) => {
  const service = await startService(t);
  const { jobs } = service;
  await jobs.create(newJob('job-a'));
  const queued = await scrape(service, 'job-a');
  assert.deepEqual(
    [
      queued('blindfit_job_state{state="queued"}'),
      queued('blindfit_job_state{state="running"}'),
      queued('blindfit_job_phase{phase="queued"}'),
    ],
    [1, 0, 1],
  );
  assert.deepEqual(
    [
      queued('blindfit_job_progress_ratio'),
      queued('blindfit_job_tasks_done_total{kind="forward"}'),
      queued('blindfit_job_ended_timestamp_seconds'),
    ],
    [0, undefined, undefined],
  );
  assert.ok(Math.abs(Number(queued('blindfit_job_submitted_timestamp_seconds')) - Date.now() / 1000) < 60);

  await jobs.start('job-a');
  await jobs.setPhase('job-a', 'training');
  for (const [i, seconds] of [1, 2.5].entries()) {
    await jobs.recordTask('job-a', `f${i}`, {
      kind: 'forward',
      iteration: 1,
      pair: 0,
      startedAt: 0,
      finishedAt: 1000 * seconds,
      loadKeysSeconds: 0,
      operations,
    });
  }
  await jobs.setIteration('job-a', 0, 1, 2);
  await jobs.setChain('job-a', 0, undefined, {
    phase: AWAITING,
    segment: 0,
    history: [],
    request: { ...REQUEST, since: new Date(Date.now() - 30_000).toISOString() },
  });
  const waiting = await scrape(service, 'job-a');
  assert.deepEqual(
    [
      waiting('blindfit_job_state{state="awaiting-refresh"}'),
      waiting('blindfit_job_phase{phase="awaiting-refresh"}'),
      waiting('blindfit_job_phase{phase="training"}'),
    ],
    [1, 1, 0],
  );
  assert.deepEqual(
    [
      waiting('blindfit_job_iterations_done'),
      waiting('blindfit_job_iterations_planned'),
      waiting('blindfit_job_levels_left'),
    ],
    [1, 4, 2],
  );
  assert.deepEqual([waiting('blindfit_job_progress_ratio'), waiting('blindfit_job_tasks_planned')], [0.25, 8]);
  assert.deepEqual(
    ['tasks_done_total', 'task_seconds_total', 'task_max_seconds'].map((name) =>
      waiting(`blindfit_job_${name}{kind="forward"}`),
    ),
    [2, 3.5, 2.5],
  );
  assert.equal(waiting('blindfit_job_operations_total{operation="rotations"}'), 20);
  const awaited = Number(waiting('blindfit_job_awaiting_refresh_seconds'));
  assert.ok(awaited >= 30 && awaited < 90, String(awaited));

  await jobs.answerRefresh('job-a', { id: REQUEST.id, weights: DIGEST, momentum: DIGEST, signature: '0'.repeat(128) });
  await jobs.fail('job-a', { code: 'JOB_FAILED', message: 'for this test' });
  const failed = await scrape(service, 'job-a');
  assert.deepEqual(
    [
      failed('blindfit_job_state{state="failed"}'),
      failed('blindfit_job_phase{phase="done"}'),
      failed('blindfit_job_refreshes_total'),
      failed('blindfit_job_awaiting_refresh_seconds'),
    ],
    [1, 1, 1, 0],
  );
  assert.ok(Number(failed('blindfit_job_refresh_wait_seconds_total')) >= 0);
  assert.ok(
    Number(failed('blindfit_job_ended_timestamp_seconds')) >=
      Number(failed('blindfit_job_submitted_timestamp_seconds')),
  );
});

test('strangers get nothing, and an unknown job is said to be unknown', async (t) => {
  const service = await startService(t);
  for (const path of ['/metrics/jobs', '/metrics/jobs/job-a'])
    assert.equal((await fetch(service.url + path)).status, 401, path);
  await problemOf(await service.call('/metrics/jobs/job-a'), 404, 'JOB_NOT_FOUND');
});
