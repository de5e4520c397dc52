/** Admission: so many jobs of a tenant run, the others are called when there is room. */
import assert from 'node:assert/strict';
import { it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { DelayedError } from 'bullmq';
import { defined } from '@blindfit/base';
import type { Priority } from '@blindfit/protocol';
import { until } from '@blindfit/testkit';
import { Admission, type AdmissionDependencies, type Applicant } from '../src/admission.ts';
import { JOB } from './support.ts';

interface Rules {
  readonly limit?: number;
  readonly computeLimit?: number;
  readonly priorities?: Readonly<Record<string, Priority>>;
}

/** A cluster whose only knowledge is which jobs run and which wait. */
function setScene(t: TestContext, { limit = 2, computeLimit, priorities = {} }: Rules = {}) {
  const running = new Set<string>();
  const delayed = new Set<string>();
  const promoted: string[] = [];
  /** Calls of `usage`; and what happens while an entry is on its way to those that wait. */
  const scene = { computed: 0, asked: 0, onDelay: (): void => undefined };
  const dependencies = {
    jobs: {
      rankOf: (id: string) => Promise.resolve({ tenant: id.split('-', 1)[0], priority: priorities[id] ?? 'normal' }),
      start: (id: string, most: number) => {
        if (running.size >= most) return Promise.resolve('full');
        running.add(id);
        return Promise.resolve('started');
      },
    },
    tenants: {
      usage: () => {
        scene.asked++;
        return Promise.resolve({
          runningJobs: { used: running.size, limit },
          computeSeconds: defined({ used: scene.computed, limit: computeLimit }),
        });
      },
    },
    queue: {
      getJob: (id: string) =>
        Promise.resolve({
          isDelayed: () => Promise.resolve(delayed.has(id)),
          promote: () => {
            delayed.delete(id);
            promoted.push(id);
            return Promise.resolve();
          },
        }),
    },
  } as unknown as AdmissionDependencies;
  const admission = new Admission(dependencies);
  t.after(() => admission.close());
  const entryOf = (id: string): Applicant => ({
    id,
    data: { job: id, manifest: 'm' },
    moveToDelayed: (time: number) => {
      assert.ok(time > Date.now() && time <= Date.now() + 15_000);
      delayed.add(id);
      scene.onDelay();
      return Promise.resolve();
    },
  });
  return { admission, running, promoted, delayed, scene, start: (id: string) => admission.start(entryOf(id), 'token') };
}

it('jobs beyond the limit wait, and are called in their order when others end', async (t) => {
  const { admission, running, promoted, start } = setScene(t);
  await start('a-1');
  await start('a-2');
  await assert.rejects(start('a-3'), DelayedError);
  await assert.rejects(start('a-4'), DelayedError);
  assert.deepEqual([...running], ['a-1', 'a-2']);
  running.delete('a-1');
  admission.look();
  await until(() => promoted.length > 0, 'a call');
  assert.deepEqual(promoted, ['a-3'], 'one for one');
  await start('a-3');
  running.clear();
  admission.look();
  await until(() => promoted.length > 1, 'another call');
  assert.deepEqual(promoted, ['a-3', 'a-4']);
});

it('the one of the highest priority is called first', async (t) => {
  const { admission, running, promoted, start } = setScene(t, {
    limit: 1,
    priorities: { 'a-2': 'low', 'a-4': 'high' },
  });
  await start('a-1');
  for (const id of ['a-2', 'a-3', 'a-4']) await assert.rejects(start(id), DelayedError);
  for (const next of ['a-4', 'a-3', 'a-2']) {
    running.clear();
    admission.look();
    await until(() => promoted.at(-1) === next, next);
    await start(next);
  }
});

it('a tenant that has computed enough for today starts nothing', async (t) => {
  const { admission, promoted, delayed, running, start, scene } = setScene(t, { computeLimit: 10 });
  scene.computed = 9.9;
  await start(JOB);
  scene.computed = 10;
  await assert.rejects(start('a-2'), DelayedError);
  assert.deepEqual([...running], [JOB]);
  assert.deepEqual([...delayed], ['a-2'], 'its entry comes back by itself');
  admission.look();
  await sleep(200);
  assert.deepEqual(promoted, [], 'room alone does not call it before the day is over');
});

it('room that comes while an entry is put aside is noticed', async (t) => {
  const { running, promoted, start, scene } = setScene(t, { limit: 1 });
  await start('a-1');
  scene.onDelay = () => running.clear();
  await assert.rejects(start('a-2'), DelayedError);
  await until(() => promoted.length > 0, 'a call without any look');
  assert.deepEqual(promoted, ['a-2']);
});

it('an entry that runs again already is not called, and nobody is asked about once all are', async (t) => {
  const { admission, running, promoted, delayed, start, scene } = setScene(t, { limit: 1 });
  await start('a-1');
  await assert.rejects(start('a-2'), DelayedError);
  await until(() => scene.asked === 3, 'the look after it was put aside');
  delayed.delete('a-2');
  running.clear();
  admission.look();
  await until(() => scene.asked === 4, 'a look');
  admission.look();
  await sleep(100);
  assert.deepEqual([promoted, scene.asked], [[], 4]);
});

it('nothing is looked at after the end', async (t) => {
  const { admission, start, scene } = setScene(t, { limit: 1 });
  await start('a-1');
  await assert.rejects(start('a-2'), DelayedError);
  admission.close();
  admission.look();
  await sleep(100);
  assert.equal(scene.asked, 2, 'by the two starts');
});
