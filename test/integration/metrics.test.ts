/**
 * What all services of a running stack serve to Prometheus, after jobs of which one succeeds with refreshes, one fails
 * and one is cancelled: names, units, labels and help by the conventions, nothing that names a job, all of it
 * documented, and values that agree with what the jobs did.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { digestOf } from '@blindfit/base';
import type { BlindfitClient } from '@blindfit/client';
import { WIRE_HEADER_BYTES } from '@blindfit/he';
import { followTraining, RefreshSession, stepBound } from '@blindfit/owner';
import type { RunningStack } from '@blindfit/stack';
import { firstGroups } from '@blindfit/testkit';
import { DEFAULT_HYPERPARAMETERS, fitSigmoid, type Hyperparameters } from '@blindfit/training';
import { parseExposition, total, type Family } from './exposition.ts';
import { finished, prepareJob, SHARED_KEYS, syntheticData, waitFor, withStack, type Prepared } from './support.ts';

const UNITS = /_(seconds|bytes|ratio|info)$/;
/** What is counted, by its name without `_total`; there is no unit for it. */
const COUNTED = new Set([
  'http_request_duration',
  'api_event_streams',
  'jobs',
  'jobs_awaiting_refresh',
  'job_records_wrong',
  'jobs_submitted',
  'jobs_ended',
  'queue_jobs',
  'queue_completed',
  'queue_failed',
  'maintenance',
  'cluster_protocol',
  'cluster_workers',
  'cluster_threads',
  'refreshes',
  'blobs_collected',
  'collector_errors',
  'collector_standing',
  'job_records_expired',
  'redis_up',
  'iterations',
  'samples',
  'steps_stalled',
  'scheduler_lock_renewals_lost',
  'tasks',
  'tasks_stalled',
  'steps_given_back',
  'intake_stopped',
  'lock_renewals_lost',
  'newer_entries',
  'redis_persistence_failed',
  'spans_lost',
  'he_operations',
  'key_cache_requests',
  'cache_requests',
  'cache_damaged_files',
  'threads',
  'threads_busy',
  'ciphertext_level',
  'job_state',
  'job_phase',
  'job_iterations_done',
  'job_iterations_planned',
  'job_tasks_planned',
  'job_levels_left',
  'job_tasks_done',
  'job_operations',
  'job_refreshes',
]);
const LABELS = new Set([
  'reason',
  'service',
  'version',
  'revision',
  'method',
  'route',
  'status',
  'state',
  'phase',
  'queue',
  'kind',
  'outcome',
  'fault',
  'cache',
  'direction',
  'operation',
  'thread',
  'evaluator',
  'kernel',
  'le',
]);
/** Ids of jobs, tasks and requests, digests, UUIDs, addresses. */
const UNBOUNDED = /job-|sha256|[0-9a-f]{12}|[0-9a-f]{8}-[0-9a-f]{4}|\d+\.\d+\.\d+\.\d+|:\d{2,}/i;

const DATA = syntheticData(40, 6, 3);
/** A straight line for a sigmoid takes three levels an iteration, which fit the small ring. */
const HYPERPARAMETERS: Hyperparameters = { ...DEFAULT_HYPERPARAMETERS, iterations: 2, sigmoid: fitSigmoid(1, 8) };

describe('metrics of a stack', () => {
  it(
    'follow the conventions, name no job, are documented, and agree with what the jobs did',
    { timeout: 300_000 },
    async () => {
      await withStack({ threads: 1 }, async (stack, client) => {
        using prepared = await prepareJob(client, SHARED_KEYS, DATA, HYPERPARAMETERS, { refreshEvery: 1 });
        const { plan, keyset } = prepared;
        const pairs = plan.layout.pairs;
        const chains = Math.ceil(pairs / plan.grouping.pairsPerChain);

        // One is cancelled while it waits for its owner, one reads a damaged ciphertext, one is answered.
        const cancelled = await client.submit(prepared.manifest);
        await waitFor(client, cancelled.id, ({ state }) => state === 'awaiting-refresh');
        const waiting = await everything(stack);
        await client.cancel(cancelled.id);
        const failed = await finished(client, (await client.submit(await damaged(client, prepared))).id);
        assert.equal(failed.state, 'failed');
        const session = new RefreshSession(keyset, plan, stepBound(DATA, HYPERPARAMETERS));
        const { job } = await followTraining(client, await client.submit(prepared.manifest), {
          session,
          cancel: false,
        });
        assert.equal(job.state, 'succeeded', job.error?.message);

        const services = await everything(stack);
        const jobs = new Map<string, Family[]>();
        for (const id of [cancelled.id, failed.id, job.id])
          jobs.set(id, await scrape(`${stack.url}/metrics/jobs/${id}`, stack.token));

        const everyone = [...services.values()].flat();
        const own = (families: readonly Family[]): Family[] =>
          families.filter(({ name }) => name.startsWith('blindfit_'));
        assertConventions(own([...everyone, ...[...jobs.values()].flat()]));
        for (const families of services.values()) {
          assert.ok(families.every(({ name }) => /^(blindfit|process|nodejs)_/.test(name)));
          assert.ok(
            families.some(({ name }) => name === 'nodejs_eventloop_lag_seconds') &&
              families.some(({ name }) => name === 'process_resident_memory_bytes'),
          );
        }

        const documented = new Set(
          firstGroups(
            await readFile(new URL('../../docs/reference/metrics.md', import.meta.url), 'utf8'),
            /^\| `(blindfit_\w+)` +\|/gm,
          ),
        );
        const served = new Set(own([...everyone, ...[...jobs.values()].flat()]).map(({ name }) => name));
        assert.deepEqual([...served].sort(), [...documented].sort());

        // What the services say, summed over all of them, is what happened.
        for (const state of ['succeeded', 'failed', 'cancelled'])
          assert.equal(total(everyone, 'blindfit_jobs_ended_total', { state }), 1, state);
        assert.equal(total(everyone, 'blindfit_jobs_submitted_total', { kind: 'train' }), 3);
        assert.equal(
          total(everyone, 'blindfit_iterations_total'),
          pairs + 2 * pairs,
          'one of the job that was cancelled, two of the one that succeeded',
        );
        assert.equal(total(everyone, 'blindfit_samples_total'), 3 * pairs * DATA.samples);
        assert.equal(total(everyone, 'blindfit_refreshes_total'), chains);
        assert.equal(total(everyone, 'blindfit_refresh_wait_seconds_count'), chains);
        for (const name of ['rotations', 'multiplications', 'rescales'] as const)
          assert.ok(
            Number(total(everyone, 'blindfit_he_operations_total', { operation: name })) > plan.operations[name],
            name,
          );
        const of = (service: string): Family[] => services.get(service) ?? [];
        assert.equal(
          total(of('worker-1'), 'blindfit_ciphertext_level_count'),
          total(of('worker-1'), 'blindfit_tasks_total', { outcome: 'completed' }),
          'here every task writes one ciphertext',
        );
        const busy = Number(total(of('worker-1'), 'blindfit_thread_busy_seconds_total'));
        const tasks = Number(total(of('worker-1'), 'blindfit_task_duration_seconds_sum'));
        assert.ok(busy > 0.5 * tasks && busy < 300, `${busy} s of threads, ${tasks} s of tasks`);
        assert.equal(total(of('worker-1'), 'blindfit_evaluator_info'), 1);
        for (const service of ['api', 'scheduler-1']) {
          const cluster = of(service);
          assert.equal(
            total(cluster, 'blindfit_queue_completed_total', { queue: 'tasks' }),
            total(of('worker-1'), 'blindfit_tasks_total', { outcome: 'completed' }),
            service,
          );
          assert.ok(Number(total(cluster, 'blindfit_queue_failed_total', { queue: 'tasks' })) >= 1);
          assert.deepEqual(
            ['awaiting-refresh', 'running', 'succeeded'].map((state) => total(cluster, 'blindfit_jobs', { state })),
            [0, 0, 1],
          );
          assert.deepEqual(
            [
              total(cluster, 'blindfit_job_oldest_progress_seconds'),
              total(cluster, 'blindfit_refresh_oldest_wait_seconds'),
            ],
            [0, 0],
          );
          const [used, limit] = [
            Number(total(cluster, 'blindfit_redis_memory_used_bytes')),
            Number(total(cluster, 'blindfit_redis_memory_limit_bytes')),
          ];
          assert.ok(used > 2 ** 18 && limit > used, `${used} of ${limit}`);
          const then = waiting.get(service) ?? [];
          assert.equal(total(then, 'blindfit_jobs_awaiting_refresh'), 1);
          assert.ok(Number(total(then, 'blindfit_refresh_oldest_wait_seconds')) > 0);
        }
        for (const families of services.values()) {
          assert.equal(total(families, 'blindfit_redis_up'), 1);
          assert.ok(
            Number(total(families, 'blindfit_memory_limit_bytes')) >
              Number(total(families, 'process_resident_memory_bytes')),
          );
        }
        const [free, size] = [
          Number(total(of('api'), 'blindfit_store_free_bytes')),
          Number(total(of('api'), 'blindfit_store_size_bytes')),
        ];
        assert.ok(free > 0 && size >= free, `${free} of ${size}`);

        // And what is said of a job is what its owner is told.
        const page = jobs.get(job.id) ?? [];
        assert.deepEqual(
          Object.fromEntries(
            Object.keys(plan.operations).map((name) => [
              name,
              total(page, 'blindfit_job_operations_total', { operation: name }),
            ]),
          ),
          job.result?.operations,
        );
        assert.deepEqual(
          [
            total(page, 'blindfit_job_progress_ratio'),
            total(page, 'blindfit_job_refreshes_total'),
            total(page, 'blindfit_job_iterations_done'),
          ],
          [1, chains, 2],
        );
        assert.equal(total(page, 'blindfit_job_tasks_done_total', { kind: 'start' }), undefined, 'weights begin at 0');
        const workers = ['forward', 'backward'].map((kind) =>
          Number(total(page, 'blindfit_job_tasks_done_total', { kind })),
        );
        assert.equal(
          workers.reduce((sum, count) => sum + count, 0),
          job.progress.tasksTotal,
        );
        for (const [id, state] of [
          [cancelled.id, 'cancelled'],
          [failed.id, 'failed'],
          [job.id, 'succeeded'],
        ] as const)
          assert.equal(total(jobs.get(id) ?? [], 'blindfit_job_state', { state }), 1, id);
        const discovered = (await (
          await fetch(`${stack.url}/metrics/jobs`, { headers: { authorization: `Bearer ${stack.token}` } })
        ).json()) as { labels: Record<string, string> }[];
        assert.deepEqual(discovered.map(({ labels }) => labels['blindfit_job']).sort(), [...jobs.keys()].sort());
      });
    },
  );
});

function assertConventions(families: readonly Family[]): void {
  assert.ok(families.length > 60, String(families.length));
  const known = new Map<string, Family>();
  const problems = new Set<string>();
  for (const family of families) {
    const { name, help, type, samples } = family;
    const complain = (what: string): unknown => problems.add(`${name}: ${what}`);
    const before = known.get(name);
    if (before !== undefined && (before.help !== help || before.type !== type))
      complain('two services mean different things by it');
    known.set(name, family);
    if (!/^blindfit(_[a-z]+)+$/.test(name)) complain('not in lower case and underscores');
    if (!/^\p{Lu}.{10,}\.$/u.test(help)) complain(`its help is no sentence: ${help}`);
    if (name.endsWith('_total') !== (type === 'counter')) complain(`a ${type}, and _total is for counters`);
    const base = name.replace(/_total$/, '');
    if (!UNITS.test(base) && !COUNTED.has(base.replace('blindfit_', '')))
      complain('no base unit at its end, and not known as something that is counted');
    if (samples.length > 200) complain(`${samples.length} samples`);
    for (const { labels, value } of samples) {
      if (!Number.isFinite(value)) complain(`a sample is ${value}`);
      for (const [label, text] of Object.entries(labels)) {
        if (!LABELS.has(label)) complain(`the label ${label} is not known`);
        if (
          UNBOUNDED.test(text) &&
          !(label === 'route' && text.startsWith('/')) &&
          label !== 'version' &&
          label !== 'revision'
        )
          complain(`${label}="${text}" is not one of a few`);
        if (label === 'route' && /job-|[0-9a-f]{12}/.test(text)) complain(`${text} is a path, not a route`);
      }
    }
  }
  assert.deepEqual([...problems], []);
}

/** By service. */
async function everything(stack: RunningStack): Promise<Map<string, Family[]>> {
  return new Map(
    await Promise.all(
      stack.processes.map(async ({ name, url }): Promise<[string, Family[]]> => [
        name,
        await scrape(`${url}/metrics`, stack.token),
      ]),
    ),
  );
}

async function scrape(url: string, token: string): Promise<Family[]> {
  const response = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
  assert.equal(response.status, 200, url);
  return parseExposition(await response.text());
}

/** The job with a ciphertext that SEAL refuses, among those that the first iteration reads. @returns its manifest */
async function damaged(client: BlindfitClient, { manifest, blobs }: Prepared): Promise<Prepared['manifest']> {
  const [[first = '', ...row] = [], ...rows] = manifest.blobs.gradientFeatures;
  const bytes = Uint8Array.from(blobs.get(first) ?? []).fill(0xff, WIRE_HEADER_BYTES);
  const digest = digestOf(bytes);
  await client.putBlob(digest, bytes);
  return { ...manifest, blobs: { ...manifest.blobs, gradientFeatures: [[digest, ...row], ...rows] } };
}
