/**
 * A real Prometheus with the committed configuration and rules scrapes a real stack while jobs run: one succeeds after a
 * refresh, one fails, one is cancelled, one awaits its owner. Then it is asked everything that is in dashboards and rules.
 */
import assert from 'node:assert/strict';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Progress } from '@blindfit/cli';
import type { BlindfitClient } from '@blindfit/client';
import { JOB_STATES, type JobView, type Manifest } from '@blindfit/contracts';
import { RefreshSession, stepBound } from '@blindfit/owner';
import { digestOf } from '@blindfit/storage';
import { stringify } from 'yaml';
import { DEFAULT_HYPERPARAMETERS } from '@blindfit/he';
import { followTraining } from '../../cli/src/train/follow.ts';
import type { RunningStack } from '../../cli/src/stack/stack.ts';
import { selectorsOf, withoutThresholds } from '../../deploy/grafana/test/promql.ts';
import { committed, expressionsOf, filled, type Expression } from '../../deploy/grafana/test/support.ts';
import { config, DIRECTORY, rules } from '../prometheus/files.ts';
import { findPrograms } from '../prometheus/program.ts';
import { startPrometheus, type Prometheus, type Sample } from '../prometheus/server.ts';
import { finished, prepareJob, syntheticData, waitFor, withStack, type Prepared } from './support.ts';

/** Two pairs of classes; levels for one iteration, so that the second needs a refresh. */
const DATA = syntheticData(40, 20, 4);
const HYPERPARAMETERS = { ...DEFAULT_HYPERPARAMETERS, iterations: 2 };
const PAIRS = 2;

/**
 * Expressions that have nothing to say about this cluster, although all is well with them. What they are made of is checked
 * with the other selectors below.
 */
const EMPTY: Readonly<Record<string, string>> = {
  'overview.json: annotation Alerts': 'no alert fires',
  'overview.json: Blobs A': 'the first collection comes a minute after the start',
  'job.json: annotation Alerts': 'no alert fires',
  'workers.json: annotation Alerts': 'no alert fires',
};

/** Selectors that match nothing here, and what is asked instead, or why nothing can be: then at least the metric is a documented one. */
const ABSENT: Readonly<Record<string, { readonly instead: string } | { readonly because: string }>> = {
  'ALERTS{alertname=~"Blindfit.+", alertstate="firing"}': { instead: 'ALERTS{alertname=~"Blindfit.+", alertstate="pending"}' },
  'blindfit_http_request_duration_seconds_count{status=~"5..", route!="/readyz"}': { instead: 'blindfit_http_request_duration_seconds_count{status=~"2..", route!="/readyz"}' },
  'blindfit_blob_bytes': { because: 'the first collection comes a minute after the start' },
};

it('every question of dashboards and rules has an answer, and the answers are what the jobs did', { timeout: 300_000 }, async (t) => {
  const found = await findPrograms('prometheus', ['prometheus', 'promtool']);
  if (found.reason !== undefined) return t.skip(found.reason);
  await withStack({}, async (stack, client, directory) => {
    await using prometheus = await startPrometheus(join(found.directory, 'prometheus'), directory, await writeConfig(join(directory, 'prometheus'), stack));
    await until(prometheus, 'count(up == 1) >= 3');
    const ran = await runJobs(client, prometheus, join(directory, 'keys'));
    using prepared = ran.prepared;
    const { jobs } = ran;
    const everyJob = Object.values(jobs).map(({ id }) => id).join('|');
    await until(prometheus, `count(blindfit_job_state{blindfit_job=~"${everyJob}"} == 1) == 4`);
    for (const [state, { id }] of Object.entries(jobs)) await until(prometheus, `blindfit_job_state{blindfit_job="${id}", state="${state}"} == 1`);
    // What rules record of it comes an evaluation later, and alerts that look at that another one.
    await until(prometheus, 'count(ALERTS{alertname="BlindfitTasksFailing"}) and max(blindfit:jobs_failed:ratio_increase1h) and max(blindfit_jobs{state="succeeded"}) == 1');

    const variables = { __rate_interval: '1m', instance: '.+', blindfit_job: jobs.succeeded.id };
    const dashboards = [...committed()].flatMap(([file, dashboard]) => expressionsOf(file, dashboard)).map(({ place, expr }): Expression => ({ place, expr: filled(expr, variables) }));
    const ofRules = rules().map(({ record, alert, expr }): Expression => ({ place: record ?? alert ?? '', expr }));

    await t.test('all processes and active jobs are scraped, and all rules can be evaluated', async () => {
      const targets = await prometheus.targets();
      assert.deepEqual(targets.filter(({ health }) => health !== 'up').map(({ scrapeUrl, lastError }) => `${scrapeUrl}: ${lastError}`), []);
      assert.deepEqual([...new Set(targets.map(({ labels }) => labels['job']))].sort(), ['blindfit-api', 'blindfit-jobs', 'blindfit-scheduler', 'blindfit-worker']);
      assert.equal(targets.filter(({ labels }) => labels['job'] === 'blindfit-jobs').length, 4);
      const states = await prometheus.rules();
      assert.equal(states.length, rules().length);
      assert.deepEqual(states.filter(({ health }) => health !== 'ok').map(({ name, lastError }) => `${name}: ${lastError ?? ''}`), []);
      // One of some ten tasks failed. It would fire if that went on for ten minutes.
      assert.deepEqual(states.filter(({ state }) => state !== undefined && state !== 'inactive').map(({ name, state }) => `${name} ${state ?? ''}`), ['BlindfitTasksFailing pending']);
    });

    await t.test('every selector of every expression finds series', async () => {
      const selectors = new Map([...dashboards, ...ofRules].flatMap(({ place, expr }) => selectorsOf(expr).map(({ text }): [string, string] => [text, place])));
      assert.ok(selectors.size > 80, `${selectors.size} selectors`);
      const problems: string[] = [];
      const unused = new Set(Object.keys(ABSENT));
      for (const [text, place] of selectors) {
        const exception = ABSENT[text];
        unused.delete(text);
        const present = (await prometheus.query(text)).length > 0;
        if (present !== (exception === undefined)) problems.push(`${place}: ${text} ${present ? 'finds series after all' : 'finds nothing'}`);
        if (exception !== undefined && 'instead' in exception && (await prometheus.query(exception.instead)).length === 0) problems.push(`${place}: ${exception.instead} finds nothing`);
      }
      assert.deepEqual(problems, []);
      assert.deepEqual([...unused], [], 'every exception is about something');
    });

    await t.test('every expression has an answer', async () => {
      const asked = [...dashboards, ...ofRules.map(({ place, expr }) => ({ place, expr: withoutThresholds(expr) }))];
      const problems: string[] = [];
      for (const { place, expr } of asked) {
        const samples = await prometheus.query(expr).catch((error: unknown) => String(error));
        if (typeof samples === 'string') problems.push(`${place}: ${expr}: ${samples}`);
        else if (samples.some(({ value }) => Number.isFinite(value)) === (place in EMPTY)) problems.push(`${place}: ${expr}: ${JSON.stringify(samples)}`);
      }
      assert.deepEqual(problems, []);
      t.diagnostic(`${asked.length} expressions`);
    });

    await t.test('jobs are counted by how they ended, and by kind', async () => {
      for (const state of JOB_STATES) assert.equal(await one(prometheus, `max(blindfit_jobs{state="${state}"})`), state in jobs ? 1 : 0, state);
      assert.deepEqual(await byLabel(prometheus, 'sum by (state) (blindfit_jobs_ended_total)', 'state'), { succeeded: 1, failed: 1, cancelled: 1 });
      assert.equal(await one(prometheus, 'sum(blindfit_jobs_submitted_total{kind="train"})'), 4);
      assert.equal(await one(prometheus, 'max(blindfit_jobs_awaiting_refresh)'), 1);
      for (const [state, { id }] of Object.entries(jobs)) assert.deepEqual(await byLabel(prometheus, `blindfit_job_state{blindfit_job="${id}"} == 1`, 'state'), { [state]: 1 });
    });

    await t.test('iterations, samples and refreshes are those that the jobs went through', async () => {
      // Two of the job that succeeded, one of each that waited for its owner, none of the one that failed.
      assert.equal(await one(prometheus, 'sum(blindfit_iterations_total)'), 4 * PAIRS);
      assert.equal(await one(prometheus, 'sum(blindfit_samples_total)'), 4 * PAIRS * DATA.samples);
      const chains = Math.ceil(PAIRS / prepared.plan.grouping.pairsPerChain);
      assert.equal(await one(prometheus, 'sum(blindfit_refreshes_total)'), chains);
      assert.equal(await one(prometheus, `blindfit_job_refreshes_total{blindfit_job="${jobs.succeeded.id}"}`), chains);
      assert.deepEqual(await byLabel(prometheus, 'blindfit_job_iterations_done', 'blindfit_job'), { [jobs.succeeded.id]: 2, [jobs.cancelled.id]: 1, [jobs['awaiting-refresh'].id]: 1, [jobs.failed.id]: 0 });
    });

    await t.test('tasks are counted by kind, once at the worker and once in their job', async () => {
      assert.deepEqual({ blocks: prepared.plan.layout.blocks, shards: prepared.plan.layout.shards }, { blocks: 1, shards: 1 }, 'so that a pair has one task of a kind in an iteration');
      const expected = { backward: 4 * PAIRS, forward: PAIRS };
      const completed = 'sum by (kind) (blindfit_tasks_total{outcome="completed"}) > 0';
      assert.deepEqual(await byLabel(prometheus, completed, 'kind'), expected);
      assert.deepEqual(await byLabel(prometheus, 'sum by (kind) (blindfit_job_tasks_done_total{kind=~"start|forward|backward|predict"})', 'kind'), expected);
      for (const job of Object.values(jobs)) assert.equal(await one(prometheus, `sum(blindfit_job_tasks_done_total{blindfit_job="${job.id}", kind=~"start|forward|backward"}) or vector(0)`), job.progress.tasksDone, job.state);
      assert.ok((await one(prometheus, 'sum(blindfit_tasks_total{outcome="failed"})')) >= 1);
      assert.equal(await one(prometheus, `blindfit_job_progress_ratio{blindfit_job="${jobs.succeeded.id}"}`), 1);
    });

    await t.test('operations are those of the job’s record, and of the threads', async () => {
      assert.deepEqual(await byLabel(prometheus, `blindfit_job_operations_total{blindfit_job="${jobs.succeeded.id}"}`, 'operation'), jobs.succeeded.result?.operations);
      assert.deepEqual(await byLabel(prometheus, 'sum by (operation) (blindfit_he_operations_total)', 'operation'), await byLabel(prometheus, 'sum by (operation) (blindfit_job_operations_total)', 'operation'));
    });

    await t.test('times are those of the job’s record', async () => {
      const { createdAt, finishedAt = '', result } = jobs.succeeded;
      const elapsed = dashboards.find(({ place }) => place === 'job.json: Elapsed A');
      assert.ok(elapsed !== undefined);
      assert.ok(Math.abs((await one(prometheus, elapsed.expr)) - (Date.parse(finishedAt) - Date.parse(createdAt)) / 1000) < 0.01);
      assert.equal(await one(prometheus, 'sum(blindfit_job_duration_seconds_count)'), 1);
      // A task's time includes reading and writing blobs, which the record's computing time does as well.
      assert.ok((await one(prometheus, `sum(blindfit_job_task_seconds_total{blindfit_job="${jobs.succeeded.id}"})`)) >= (result?.seconds.compute ?? Infinity) * 0.99);
    });
  });
});

/** A copy of the committed configuration for this stack, at intervals of a second. @returns its path */
async function writeConfig(directory: string, stack: RunningStack): Promise<string> {
  await mkdir(directory);
  await cp(DIRECTORY, directory, { recursive: true });
  const own = config();
  own.global.scrape_interval = '1s';
  own.global.evaluation_interval = '1s';
  const hosts = (name: string): string[] => stack.processes.filter((process) => process.name.startsWith(name)).map(({ url }) => new URL(url).host);
  for (const { static_configs: fixed = [], http_sd_configs: listed = [] } of own.scrape_configs) {
    for (const each of fixed) each.targets = hosts('api');
    for (const each of listed) Object.assign(each, { url: each.url.replace(/^http:\/\/[^/]+/, stack.url), refresh_interval: '1s' });
  }
  await writeFile(join(directory, 'targets/schedulers.yaml'), stringify([{ targets: hosts('scheduler') }]));
  await writeFile(join(directory, 'targets/workers.yaml'), stringify([{ targets: hosts('worker') }]));
  await writeFile(join(directory, 'blindfit-token'), stack.token, { mode: 0o600 });
  const path = join(directory, 'prometheus.yml');
  await writeFile(path, stringify(own));
  return path;
}

type Ended = 'succeeded' | 'failed' | 'cancelled' | 'awaiting-refresh';

/** Runs four jobs until each is in another state. */
async function runJobs(client: BlindfitClient, prometheus: Prometheus, keys: string): Promise<{ prepared: Prepared; jobs: Record<Ended, JobView> }> {
  const prepared = await prepareJob(client, keys, DATA, HYPERPARAMETERS, { refreshEvery: 1 });
  const waiting = async (): Promise<JobView> => {
    const job = await waitFor(client, (await client.submit(prepared.manifest)).id, ({ state }) => state === 'awaiting-refresh');
    assert.equal(job.state, 'awaiting-refresh', job.error?.message);
    return job;
  };
  const first = await waiting();
  const second = await waiting();
  const third = await waiting();
  const failed = await finished(client, (await client.submit(await damaged(client, prepared))).id);
  assert.equal(failed.state, 'failed');
  await client.cancel(second.id);
  // Its second iteration shall be seen as it goes on.
  await until(prometheus, `max(blindfit_job_tasks_done_total{blindfit_job="${first.id}", kind="backward"}) == ${PAIRS}`);
  const session = new RefreshSession(prepared.keyset, prepared.plan, stepBound(DATA, HYPERPARAMETERS));
  const { job } = await followTraining(client, first, { plan: prepared.plan, session, cancel: false }, new Progress({ mode: 'silent' }), new AbortController().signal);
  assert.equal(job.state, 'succeeded', job.error?.message);
  return { prepared, jobs: { succeeded: job, failed, cancelled: await client.job(second.id), 'awaiting-refresh': third } };
}

/** A manifest in which one ciphertext has other bytes inside than SEAL made. */
async function damaged(client: BlindfitClient, { manifest }: Prepared): Promise<Manifest> {
  const [[first = '', ...row] = [], ...rows] = manifest.blobs.gradientFeatures;
  const bytes = (await client.blob(first)).slice().fill(0x55, 5000, 5200);
  const digest = digestOf(bytes);
  await client.putBlob(digest, bytes);
  return { ...manifest, blobs: { ...manifest.blobs, gradientFeatures: [[digest, ...row], ...rows] } };
}

/** Waits until an expression has a value. @throws Error after two minutes */
async function until(prometheus: Prometheus, expr: string): Promise<void> {
  const deadline = Date.now() + 120_000;
  while ((await prometheus.query(expr)).length === 0) {
    if (Date.now() > deadline) {
      const targets = (await prometheus.targets()).map(({ scrapeUrl, health, lastError }) => `${scrapeUrl} ${health} ${lastError}`);
      const looked = await Promise.all(selectorsOf(expr).map(async ({ text }) => `${text}: ${JSON.stringify(await prometheus.query(text))}`));
      throw new Error([`Prometheus has had no value of ${expr} for two minutes.`, ...looked, ...targets, prometheus.log()].join('\n'));
    }
    await sleep(250);
  }
}

async function one(prometheus: Prometheus, expr: string): Promise<number> {
  const samples = await prometheus.query(expr);
  assert.equal(samples.length, 1, `${expr}: ${JSON.stringify(samples)}`);
  return (samples as [Sample])[0].value;
}

/** Values by one of their labels. */
async function byLabel(prometheus: Prometheus, expr: string, label: string): Promise<Record<string, number>> {
  return Object.fromEntries((await prometheus.query(expr)).map(({ labels, value }) => [labels[label] ?? '', value]));
}
