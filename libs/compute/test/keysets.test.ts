/** The cache of keysets: room is made before loading, the least recently used are freed, each keyset is told apart. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { KeyedJob } from '../src/engine.ts';
import { keyBlobsOf, Keysets } from '../src/keysets.ts';
import { noStatistics } from '../src/session.ts';

/** Two data primes at N = 8192: a key takes 2 * 2 * 3 * 8192 * 8 bytes = 768 KiB, a job of two steps 2304 KiB. */
const JOB_BYTES = 3 * 768 * 1024;

function jobOf(keys: string, { steps = [1, 4], fingerprint = 'f' } = {}): KeyedJob {
  return {
    manifest: {
      blobs: { relinearisationKey: `${keys}-r`, galoisKeys: Object.fromEntries(steps.map((s) => [s, `${keys}-${s}`])) },
    },
    plan: { parameters: { fingerprint, dataBits: [30, 30], ring: 8192 }, steps },
  } as unknown as KeyedJob;
}

function fixture(budget: number) {
  const statistics = noStatistics();
  const freed: string[] = [];
  const keysets = new Keysets<{ name: string }>(budget, statistics, ({ name }) => void freed.push(name));
  const get = (job: KeyedJob, name: string): Promise<{ name: string }> =>
    keysets.get(job, () => {
      freed.push(`load ${name}`);
      return Promise.resolve({ name });
    });
  return { keysets, statistics, freed, get };
}

it('lists the relinearisation key and one key a step, with their place in the manifest', () => {
  assert.deepEqual(keyBlobsOf(jobOf('k', { steps: [-2, 16] })), [
    { step: undefined, digest: 'k-r', path: 'blobs.relinearisationKey' },
    { step: -2, digest: 'k--2', path: 'blobs.galoisKeys.-2' },
    { step: 16, digest: 'k-16', path: 'blobs.galoisKeys.16' },
  ]);
  const job = jobOf('k');
  assert.throws(() => keyBlobsOf({ ...job, plan: { ...job.plan, steps: [1, 5] } }), /no 5 in blobs.galoisKeys/);
});

it('loads a keyset once and counts hits and misses', async () => {
  const { get, statistics, freed } = fixture(JOB_BYTES);
  assert.equal((await get(jobOf('k'), 'first')).name, 'first');
  assert.equal((await get(jobOf('k'), 'second')).name, 'first');
  assert.deepEqual([statistics.keyHits, statistics.keyMisses], [1, 1]);
  assert.deepEqual(freed, ['load first']);
});

it('tells keysets apart by parameters, by the relinearisation key and by every Galois key', async () => {
  const { get, statistics } = fixture(100 * JOB_BYTES);
  const base = jobOf('k');
  const { blobs } = base.manifest;
  const variants: KeyedJob[] = [
    base,
    jobOf('k', { fingerprint: 'g' }),
    { ...base, manifest: { blobs: { ...blobs, relinearisationKey: 'other' } } },
    { ...base, manifest: { blobs: { ...blobs, galoisKeys: { ...blobs.galoisKeys, 1: 'other' } } } },
    { ...base, manifest: { blobs: { ...blobs, galoisKeys: { ...blobs.galoisKeys, 4: 'other' } } } },
    { ...base, plan: { ...base.plan, steps: [1] } },
  ];
  for (const [index, job] of variants.entries()) assert.equal((await get(job, String(index))).name, String(index));
  for (const [index, job] of variants.entries()) assert.equal((await get(job, 'again')).name, String(index));
  assert.deepEqual([statistics.keyHits, statistics.keyMisses], [6, 6]);
});

it('frees the least recently used keysets before the next one is loaded', async () => {
  const { get, freed } = fixture(2 * JOB_BYTES);
  const [a, b, c] = ['a', 'b', 'c'].map((name) => jobOf(name));
  assert.ok(a !== undefined && b !== undefined && c !== undefined);
  await get(a, 'a');
  await get(b, 'b');
  await get(a, 'a');
  await get(c, 'c');
  assert.deepEqual(freed, ['load a', 'load b', 'b', 'load c']);
});

it('makes as much room as is needed', async () => {
  const { get, freed } = fixture(3 * JOB_BYTES);
  for (const name of ['a', 'b', 'c']) await get(jobOf(name), name);
  await get(jobOf('big', { steps: [1, 2, 3, 4, 5] }), 'big'); // twice as large
  assert.deepEqual(freed.slice(3), ['a', 'b', 'load big']);
});

it('refuses what exceeds the budget by a byte, and frees nothing for it', async () => {
  const { get, freed } = fixture(JOB_BYTES);
  await get(jobOf('a'), 'a');
  const large = jobOf('b', { steps: [1, 2, 3] });
  await assert.rejects(get(large, 'b'), {
    code: 'KEY_BUDGET',
    retryable: false,
    message: "the job's evaluation keys need 3 MiB in a thread that may hold 3 MiB",
    hint: 'raise BLINDFIT_KEY_MEMORY_MB or start the worker with fewer threads',
  });
  await assert.rejects(fixture(JOB_BYTES - 1).get(jobOf('a'), 'a'), { code: 'KEY_BUDGET' });
  assert.deepEqual(freed, ['load a']);
});

it('does not remember a load that failed', async () => {
  const { keysets, get, statistics } = fixture(JOB_BYTES);
  await assert.rejects(
    keysets.get(jobOf('a'), () => Promise.reject(new Error('away'))),
    /away/,
  );
  assert.equal((await get(jobOf('a'), 'a')).name, 'a');
  assert.equal(statistics.keyMisses, 2);
});
