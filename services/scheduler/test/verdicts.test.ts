/** Entries that were given back again and again: when it is the task after all. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { JobState } from '@blindfit/protocol';
import type { Trouble } from '@blindfit/queue';
import { judgeTroubles, type VerdictDependencies } from '../src/verdicts.ts';
import { JOB, MANIFEST } from './support.ts';

const NOW = 1_000_000;
const BLOB = `sha256:${'b'.repeat(64)}`;
const ENTRY = `${JOB}.forward.1.0`;
const LOST: Trouble = {
  code: 'BLOB_NOT_FOUND',
  message: 'not here',
  blob: BLOB,
  hosts: ['a'],
  count: 2,
  since: NOW - 10_000,
  last: NOW,
};
const DIED: Trouble = { ...LOST, code: 'THREAD_LOST', message: 'out of memory', blob: undefined };

interface World {
  readonly trouble: Trouble;
  readonly blobs?: readonly string[];
  readonly right?: boolean;
  readonly state?: JobState | 'gone';
}

async function judge({ trouble, blobs = [MANIFEST], right = true, state = 'running' }: World) {
  const failed: unknown[] = [];
  const cleared: string[] = [];
  const promoted: string[] = [];
  const dependencies = {
    jobs: {
      get: () => Promise.resolve(state === 'gone' ? undefined : { state, manifest: MANIFEST }),
      fail: (...failure: unknown[]) => Promise.resolve(failed.push(failure) > 0),
      troubles: {
        all: () => Promise.resolve(new Map([[ENTRY, trouble]])),
        clearJobs: (jobs: ReadonlySet<string>) => Promise.resolve(void cleared.push(...jobs)),
      },
    },
    promoteDelayed: (job: string) => (assert.deepEqual(cleared, []), Promise.resolve(void promoted.push(job))),
    hasBlob: (digest: string) => Promise.resolve(blobs.includes(digest)),
    isStoreRight: () => Promise.resolve(right),
    metrics: { jobEnded: (state: string) => void failed.push(state) },
    logger: { warn: () => undefined, error: () => undefined },
  };
  await judgeTroubles(dependencies as unknown as VerdictDependencies, NOW);
  assert.deepEqual(promoted, cleared);
  return { failed, cleared };
}

it('a blob that the right store of the scheduler does not hold either, ten seconds later, is lost', async () => {
  const message =
    `${BLOB} is lost: the store of the scheduler does not hold it either; ` +
    'upload it again, or run "blindfit retry"';
  assert.deepEqual(await judge({ trouble: LOST }), {
    failed: [[JOB, { code: 'BLOB_NOT_FOUND', message, task: ENTRY }], 'failed'],
    cleared: [JOB],
  });
  const manifest = await judge({ trouble: { ...LOST, blob: MANIFEST }, blobs: [] });
  assert.equal(manifest.failed.length, 2);
});

for (const [why, world] of [
  ['it is there', { trouble: LOST, blobs: [MANIFEST, BLOB] }],
  ['it may be on its way', { trouble: { ...LOST, since: NOW - 9_999 } }],
  ['the store is not the right one, or away', { trouble: LOST, right: false }],
  ['the store lacks the manifest, too', { trouble: LOST, blobs: [] }],
  ['the disk of a host is full', { trouble: { ...LOST, code: 'STORAGE_FULL', blob: undefined, count: 1000 } }],
  ['threads ended, but only a few', { trouble: { ...DIED, count: 11, hosts: ['a', 'b'] } }],
  ['threads ended on three hosts, but each once', { trouble: { ...DIED, count: 3, hosts: ['a', 'b', 'c'] } }],
] as const satisfies readonly (readonly [string, World])[])
  it(`nothing is decided while ${why}`, async () => {
    assert.deepEqual(await judge(world), { failed: [], cleared: [] });
  });

it('a task that ends threads on three hosts, or again and again on fewer, is at fault', async () => {
  const { failed } = await judge({ trouble: { ...DIED, count: 4, hosts: ['a', 'b', 'c'] } });
  const message = '4 threads on 3 hosts ended over it: out of memory';
  assert.deepEqual(failed[0], [JOB, { code: 'THREAD_LOST', message, task: ENTRY }]);
  const { failed: alone } = await judge({ trouble: { ...DIED, code: 'HE_SEAL_CRASHED', count: 12 } });
  assert.equal(alone.length, 2);
});

for (const state of ['failed', 'cancelled', 'succeeded', 'gone'] as const)
  it(`troubles of a job that is ${state} are forgotten`, async () => {
    assert.deepEqual(await judge({ trouble: LOST, state }), { failed: [], cleared: [JOB] });
  });
