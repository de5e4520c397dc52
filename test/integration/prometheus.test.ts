/**
 * A real Prometheus with the committed configuration and rules scrapes a real stack while jobs run: one succeeds after
 * a refresh, one fails, one is cancelled, one awaits its owner. Then it is asked everything that is in dashboards and
 * rules.
 */
import assert from 'node:assert/strict';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import { digestOf } from '@blindfit/base';
import type { BlindfitClient } from '@blindfit/client';
import { followTraining, RefreshSession, stepBound } from '@blindfit/owner';
import { JOB_STATES, type JobView, type TrainingManifest } from '@blindfit/protocol';
import type { RunningStack } from '@blindfit/stack';
import { DEFAULT_HYPERPARAMETERS } from '@blindfit/training';
import { selectorsOf, withoutThresholds } from '../../deploy/grafana/test/promql.ts';
import { committed, expressionsOf, filled, type Expression } from '../../deploy/grafana/test/support.ts';
import { config, DIRECTORY, rules } from '../prometheus/files.ts';
import { findPrograms } from '../prometheus/program.ts';
import { startPrometheus, type Prometheus, type Sample } from '../prometheus/server.ts';
import { finished, prepareJob, SHARED_KEYS, syntheticData, waitFor, withStack, type Prepared } from './support.ts';

/** Two pairs of classes; levels for one iteration, so that the second needs a refresh. */
const DATA = syntheticData(40, 20, 4);
const HYPERPARAMETERS = { ...DEFAULT_HYPERPARAMETERS, iterations: 2 };
const PAIRS = 2;

/**
 * Selectors that rightly match nothing in a healthy cluster, and what is asked instead, so that a wrong name cannot
 * hide.
 */
const ABSENT: Readonly<Record<string, string>> = {
  'ALERTS{alertname=~"Blindfit.+", alertname!="BlindfitWatchdog", alertstate="firing"}':
    'ALERTS{alertname=~"Blindfit.+", alertstate="pending"}',
  'blindfit_http_request_duration_seconds_count{status=~"5..", route!="/readyz"}':
    'blindfit_http_request_duration_seconds_count{status=~"2..", route!="/readyz"}',
};

/**
 * Series that come with the first collection of blobs, a minute after the start: sometimes within this test.
 * catalogue.test.ts looks at their names.
 */
const LATER = ['blindfit_blob_bytes'];

/** Expressions that have no answer in a healthy cluster. All they are made of is checked selector by selector. */
const EMPTY = [
  'overview.json: annotation Alerts',
  'job.json: annotation Alerts',
  'workers.json: annotation Alerts',
  'BlindfitNoProgress',
  'BlindfitOutage',
];

it(
  'every question of dashboards and rules has an answer, and the answers are what the jobs did',
  { timeout: 300_000 },
  async (t) => {
    const found = await findPrograms('prometheus', ['prometheus', 'promtool']);
    if (found.reason !== undefined) return t.skip(found.reason);
    await withStack({}, async (stack, client, directory) => {
      await using server = await startPrometheus(
        join(found.directory, 'prometheus'),
        directory,
        await writeConfig(join(directory, 'prometheus'), stack),
      );
      await until(server, 'count(up == 1) == 3');
      const ran = await runJobs(client, server);
      using prepared = ran.prepared;
      const { jobs } = ran;
      // All questions are asked of one moment, at which all is scraped that happened, and rules have looked at it: a
      // scrape that comes late or fails on a busy machine changes nothing about it.
      const over = Date.now() / 1000;
      const at = await until(
        server,
        `min(up) == 1 and count(up) == 3 + 4 and min(timestamp(up)) > ${over}`,
        `min(timestamp(blindfit:iterations:rate5m)) > ${over} + 3`,
        ...Object.entries(jobs).map(
          ([state, { id }]) => `blindfit_job_state{blindfit_job="${id}", state="${state}"} == 1`,
        ),
        'ALERTS{alertname="BlindfitTasksFailing"}',
        'absent(ALERTS{alertname!~"BlindfitTasksFailing|BlindfitWatchdog"})',
      );
      const prometheus: Pick<Prometheus, 'query'> = { query: (expr) => server.query(expr, at) };

      const variables = { __rate_interval: '1m', instance: '.+', blindfit_job: jobs.succeeded.id };
      const dashboards = [...committed()]
        .flatMap(([file, dashboard]) => expressionsOf(file, dashboard))
        .map(({ place, expr }): Expression => ({ place, expr: filled(expr, variables) }));
      const ofRules = rules().map(({ record, alert, expr }): Expression => ({ place: record ?? alert ?? '', expr }));

      await t.test('all processes and active jobs are scraped, and all rules can be evaluated', async () => {
        assert.deepEqual(await byLabel(prometheus, 'count by (job) (up == 1)', 'job'), {
          'blindfit-api': 1,
          'blindfit-jobs': 4,
          'blindfit-scheduler': 1,
          'blindfit-worker': 1,
        });
        const states = await server.rules();
        assert.equal(states.length, rules().length);
        assert.deepEqual(
          states.filter(({ health }) => health !== 'ok').map(({ name, lastError }) => `${name}: ${lastError ?? ''}`),
          [],
        );
        // One of some ten tasks failed. It would fire if that went on for ten minutes.
        assert.deepEqual(
          (await prometheus.query('ALERTS{alertname!="BlindfitWatchdog"}')).map(
            ({ labels }) => `${labels['alertname'] ?? ''} ${labels['alertstate'] ?? ''}`,
          ),
          ['BlindfitTasksFailing pending'],
        );
      });

      await t.test('every selector of every expression finds series', async () => {
        const selectors = new Map(
          [...dashboards, ...ofRules].flatMap(({ place, expr }) =>
            selectorsOf(expr).map(({ text }): [string, string] => [text, place]),
          ),
        );
        assert.ok(selectors.size > 80, `${selectors.size} selectors`);
        const problems: string[] = [];
        const unused = new Set(Object.keys(ABSENT));
        for (const [text, place] of selectors) {
          const instead = ABSENT[text];
          unused.delete(text);
          const present = (await prometheus.query(text)).length > 0;
          if (present !== (instead === undefined) && !LATER.includes(text))
            problems.push(`${place}: ${text} ${present ? 'finds series after all' : 'finds nothing'}`);
          if (instead !== undefined && (await prometheus.query(instead)).length === 0)
            problems.push(`${place}: ${instead} finds nothing`);
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
          else if (
            samples.some(({ value }) => Number.isFinite(value)) === EMPTY.includes(place) &&
            !selectorsOf(expr).some(({ text }) => LATER.includes(text))
          )
            problems.push(`${place}: ${expr}: ${JSON.stringify(samples)}`);
        }
        assert.deepEqual(problems, []);
        t.diagnostic(`${asked.length} expressions`);
      });

      await t.test('jobs are counted by how they ended, and by kind', async () => {
        for (const state of JOB_STATES)
          assert.equal(await one(prometheus, `max(blindfit_jobs{state="${state}"})`), state in jobs ? 1 : 0, state);
        assert.deepEqual(await byLabel(prometheus, 'sum by (state) (blindfit_jobs_ended_total)', 'state'), {
          succeeded: 1,
          failed: 1,
          cancelled: 1,
        });
        assert.equal(await one(prometheus, 'sum(blindfit_jobs_submitted_total{kind="train"})'), 4);
        assert.equal(await one(prometheus, 'max(blindfit_jobs_awaiting_refresh)'), 1);
        for (const [state, { id }] of Object.entries(jobs))
          assert.deepEqual(await byLabel(prometheus, `blindfit_job_state{blindfit_job="${id}"} == 1`, 'state'), {
            [state]: 1,
          });
      });

      await t.test('iterations, samples and refreshes are those that the jobs went through', async () => {
        // Two of the job that succeeded, one of each that waited for its owner, none of the one that failed.
        assert.equal(await one(prometheus, 'sum(blindfit_iterations_total)'), 4 * PAIRS);
        assert.equal(await one(prometheus, 'sum(blindfit_samples_total)'), 4 * PAIRS * DATA.samples);
        const chains = Math.ceil(PAIRS / prepared.plan.grouping.pairsPerChain);
        assert.equal(await one(prometheus, 'sum(blindfit_refreshes_total)'), chains);
        assert.equal(
          await one(prometheus, `blindfit_job_refreshes_total{blindfit_job="${jobs.succeeded.id}"}`),
          chains,
        );
        assert.deepEqual(await byLabel(prometheus, 'blindfit_job_iterations_done', 'blindfit_job'), {
          [jobs.succeeded.id]: 2,
          [jobs.cancelled.id]: 1,
          [jobs['awaiting-refresh'].id]: 1,
          [jobs.failed.id]: 0,
        });
      });

      await t.test('tasks are counted by kind, once at the worker and once in their job', async () => {
        assert.deepEqual(
          { blocks: prepared.plan.layout.blocks, shards: prepared.plan.layout.shards },
          { blocks: 1, shards: 1 },
          'so that a pair has one task of a kind in an iteration',
        );
        const expected = { backward: 4 * PAIRS, forward: PAIRS };
        const completed = 'sum by (kind) (blindfit_tasks_total{outcome="completed"}) > 0';
        assert.deepEqual(await byLabel(prometheus, completed, 'kind'), expected);
        assert.deepEqual(
          await byLabel(
            prometheus,
            'sum by (kind) (blindfit_job_tasks_done_total{kind=~"start|forward|backward|predict"})',
            'kind',
          ),
          expected,
        );
        for (const job of Object.values(jobs))
          assert.equal(
            await one(
              prometheus,
              `sum(blindfit_job_tasks_done_total{blindfit_job="${job.id}", kind=~"start|forward|backward"}) or ` +
                'vector(0)',
            ),
            job.progress.tasksDone,
            job.state,
          );
        assert.ok((await one(prometheus, 'sum(blindfit_tasks_total{outcome="failed"})')) >= 1);
        assert.equal(await one(prometheus, `blindfit_job_progress_ratio{blindfit_job="${jobs.succeeded.id}"}`), 1);
      });

      await t.test('operations are those of the job’s record, and of the threads', async () => {
        assert.deepEqual(
          await byLabel(prometheus, `blindfit_job_operations_total{blindfit_job="${jobs.succeeded.id}"}`, 'operation'),
          jobs.succeeded.result?.operations,
        );
        assert.deepEqual(
          await byLabel(prometheus, 'sum by (operation) (blindfit_he_operations_total)', 'operation'),
          await byLabel(prometheus, 'sum by (operation) (blindfit_job_operations_total)', 'operation'),
        );
      });

      await t.test('times are those of the job’s record', async () => {
        const { createdAt, finishedAt = '', result } = jobs.succeeded;
        const elapsed = dashboards.find(({ place }) => place === 'job.json: Elapsed A');
        assert.ok(elapsed !== undefined);
        assert.ok(
          Math.abs((await one(prometheus, elapsed.expr)) - (Date.parse(finishedAt) - Date.parse(createdAt)) / 1000) <
            0.01,
        );
        assert.equal(await one(prometheus, 'sum(blindfit_job_duration_seconds_count)'), 1);
        // A task's time includes reading and writing blobs, which the record's computing time does as well.
        assert.ok(
          (await one(prometheus, `sum(blindfit_job_task_seconds_total{blindfit_job="${jobs.succeeded.id}"})`)) >=
            (result?.seconds.compute ?? Infinity) * 0.99,
        );
      });
    });
  },
);

/** A copy of the committed configuration for this stack, at intervals of a second. @returns its path */
async function writeConfig(directory: string, stack: RunningStack): Promise<string> {
  await mkdir(directory);
  await cp(DIRECTORY, directory, { recursive: true });
  const own = config();
  own.global.scrape_interval = '1s';
  own.global.evaluation_interval = '1s';
  const hosts = (name: string): string[] =>
    stack.processes.filter((process) => process.name.startsWith(name)).map(({ url }) => new URL(url).host);
  for (const { static_configs: fixed = [], http_sd_configs: listed = [] } of own.scrape_configs) {
    for (const each of fixed) each.targets = hosts('api');
    for (const each of listed)
      Object.assign(each, { url: each.url.replace(/^http:\/\/[^/]+/, stack.url), refresh_interval: '1s' });
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
async function runJobs(
  client: BlindfitClient,
  prometheus: Prometheus,
): Promise<{ prepared: Prepared; jobs: Record<Ended, JobView> }> {
  const prepared = await prepareJob(client, SHARED_KEYS, DATA, HYPERPARAMETERS, { refreshEvery: 1 });
  const waiting = async (): Promise<JobView> => {
    const job = await waitFor(
      client,
      (await client.submit(prepared.manifest)).id,
      ({ state }) => state === 'awaiting-refresh',
    );
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
  await until(
    prometheus,
    `max(blindfit_job_tasks_done_total{blindfit_job="${first.id}", kind="backward"}) == ${PAIRS}`,
  );
  const session = new RefreshSession(prepared.keyset, prepared.plan, stepBound(DATA, HYPERPARAMETERS));
  const { job } = await followTraining(client, first, { session, cancel: false });
  assert.equal(job.state, 'succeeded', job.error?.message);
  return {
    prepared,
    jobs: { succeeded: job, failed, cancelled: await client.job(second.id), 'awaiting-refresh': third },
  };
}

/** A manifest in which one ciphertext has other bytes inside than SEAL made. */
async function damaged(client: BlindfitClient, { manifest }: Prepared): Promise<TrainingManifest> {
  const [[first = '', ...row] = [], ...rows] = manifest.blobs.gradientFeatures;
  const bytes = (await client.blob(first)).slice().fill(0x55, 5000, 5200);
  const digest = digestOf(bytes);
  await client.putBlob(digest, bytes);
  return { ...manifest, blobs: { ...manifest.blobs, gradientFeatures: [[digest, ...row], ...rows] } };
}

/**
 * Waits until all expressions have a value at the same time.
 * @returns that time, in seconds since the epoch
 * @throws Error after two minutes
 */
async function until(prometheus: Prometheus, ...wanted: readonly string[]): Promise<number> {
  const deadline = Date.now() + 120_000;
  for (;;) {
    const at = Date.now() / 1000;
    const missing: string[] = [];
    for (const expr of wanted) if ((await prometheus.query(expr, at)).length === 0) missing.push(expr);
    if (missing.length === 0) return at;
    if (Date.now() > deadline) {
      const targets = (await prometheus.targets()).map(
        ({ scrapeUrl, health, lastError }) => `${scrapeUrl} ${health} ${lastError}`,
      );
      const looked = await Promise.all(
        missing
          .flatMap(selectorsOf)
          .map(async ({ text }) => `${text}: ${JSON.stringify(await prometheus.query(text))}`),
      );
      throw new Error(
        ['For two minutes Prometheus has had no value of', ...missing, ...looked, ...targets, prometheus.log()].join(
          '\n',
        ),
      );
    }
    await sleep(250);
  }
}

async function one(prometheus: Pick<Prometheus, 'query'>, expr: string): Promise<number> {
  const samples = await prometheus.query(expr);
  assert.equal(samples.length, 1, `${expr}: ${JSON.stringify(samples)}`);
  return (samples as [Sample])[0].value;
}

/** Values by one of their labels. */
async function byLabel(
  prometheus: Pick<Prometheus, 'query'>,
  expr: string,
  label: string,
): Promise<Record<string, number>> {
  return Object.fromEntries((await prometheus.query(expr)).map(({ labels, value }) => [String(labels[label]), value]));
}
