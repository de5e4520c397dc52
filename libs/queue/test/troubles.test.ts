/** Entries that go back to their queues, and the switch that keeps queues from handing out more. */
import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { it, type TestContext } from 'node:test';
import { DelayedError } from 'bullmq';
import { BlindfitError, valueOf } from '@blindfit/base';
import type { Trouble } from '../src/index.ts';
import { MaintenanceMode } from '../src/maintenance-mode.ts';
import { Keys } from '../src/names.ts';
import { Troubles } from '../src/troubles.ts';
import { redis } from './support.ts';

const NOW = 1_800_000_000_000;
let count = 0;
const newKeys = (): Keys => new Keys(`{troubles-test-${count++}}`);

/** Time and chance stand still: each pause is its longest. */
function setUp(t: TestContext) {
  t.mock.method(Math, 'random', () => 1);
  const clock = t.mock.method(Date, 'now', () => NOW);
  const keys = newKeys();
  const troubles = new Troubles(redis(), keys);
  const moved: unknown[] = [];
  const giveBack = async (id: string, error?: unknown): Promise<void> => {
    const moveToDelayed = (until: number, token?: string): Promise<void> =>
      Promise.resolve(void moved.push([until - Date.now(), token]));
    const promote = (): Promise<void> => Promise.reject(new Error('its job has not ended'));
    const thrown = await troubles.giveBack({ id, token: 'the token', moveToDelayed, promote }, error);
    assert.ok(thrown instanceof DelayedError);
  };
  const troubleOf = async (id: string): Promise<Trouble> => valueOf(await troubles.all(), id, 'troubles');
  return {
    keys,
    troubles,
    moved,
    giveBack,
    troubleOf,
    setNow: (now: number) => clock.mock.mockImplementation(() => now),
  };
}

it('an entry that is given back says why, where, how often and since when, and waits longer each time', async (t) => {
  const { keys, giveBack, troubleOf, moved, setNow } = setUp(t);
  await giveBack('j.forward.1', new BlindfitError('NO_ROOM', 'it is full', { hint: 'make room', fault: 'host' }));
  const first = { code: 'NO_ROOM', message: 'it is full; make room', hosts: [hostname()], count: 1 };
  assert.deepEqual(await troubleOf('j.forward.1'), { ...first, since: NOW, last: NOW });
  await redis().hset(
    keys.troubles,
    'j.forward.1',
    JSON.stringify({ ...first, hosts: ['else'], since: NOW, last: NOW }),
  );
  setNow(NOW + 5);
  for (let times = 2; times <= 9; times++) await giveBack('j.forward.1', new Error('other'));
  assert.deepEqual(await troubleOf('j.forward.1'), {
    code: 'TASK_FAILED',
    message: 'other',
    hosts: ['else', hostname()],
    count: 9,
    since: NOW,
    last: NOW + 5,
  });
  const pauses = [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000];
  assert.deepEqual(
    moved,
    pauses.map((pause) => [pause, 'the token']),
  );
});

it('the blob that is missing is named, by whatever says so', async (t) => {
  const { giveBack, troubleOf } = setUp(t);
  for (const [code, more, blob] of [
    ['BLOB_NOT_FOUND', { digest: 'a' }, 'a'],
    ['BLOB_NOT_FOUND', { blob: 'b', digest: 'a' }, 'b'],
    ['BLOB_NOT_FOUND', {}, undefined],
    ['BLOB_DAMAGED', { digest: 'a' }, undefined],
  ] as const) {
    await giveBack('j.x', Object.assign(new BlindfitError(code, 'gone'), more));
    assert.equal((await troubleOf('j.x')).blob, blob, code);
  }
});

it('an entry that was not begun with has no trouble, and troubles end with their entries or jobs', async (t) => {
  const { troubles, giveBack, moved } = setUp(t);
  await giveBack('j0.x');
  assert.deepEqual([moved, (await troubles.all()).size], [[[500, 'the token']], 0]);
  for (const id of ['j1.a', 'j1.b', 'j2.a']) await giveBack(id, new Error('x'));
  await troubles.clear('j1.b');
  assert.deepEqual([...(await troubles.all()).keys()].sort(), ['j1.a', 'j2.a']);
  await troubles.clearJobs(new Set(['j1', 'j3']));
  assert.deepEqual([...(await troubles.all()).keys()], ['j2.a']);
  await troubles.clearJobs(new Set(['j3']));
  const away = (): Promise<never> => Promise.reject(new Error('Redis is away'));
  const broken = { id: 'j2.a', token: 'x', moveToDelayed: away, promote: away };
  assert.ok((await troubles.giveBack(broken, new Error('y'))) instanceof DelayedError);
});

it('maintenance pauses all queues unless they are drained, keeps its beginning, and ends', async () => {
  const keys = newKeys();
  const mode = new MaintenanceMode(redis(), keys);
  const calls: string[] = [];
  const queue = (name: string) => {
    const call = (what: string) => async (): Promise<void> =>
      void calls.push(`${what} ${name} ${(await mode.current()).on ? 'on' : 'off'}`);
    return { pause: call('pause'), resume: call('resume') };
  };
  const queues = [queue('a'), queue('b')];
  const done = (): string[] => calls.splice(0).sort();
  assert.deepEqual(await mode.current(), { on: false });
  const first = await mode.switch({ on: true, reason: 'new disks' }, queues);
  assert.deepEqual({ ...first, since: '' }, { on: true, reason: 'new disks', since: '' });
  assert.ok(Math.abs(Date.parse(String(first.since)) - Date.now()) < 60_000);
  assert.deepEqual(done(), ['pause a on', 'pause b on']);
  assert.deepEqual(await mode.current(), first);
  const since = '2026-01-01T00:00:00.000Z';
  await redis().set(keys.maintenance, JSON.stringify({ ...first, since }));
  assert.deepEqual(await mode.switch({ on: true, drain: true }, queues), { on: true, drain: true, since });
  assert.deepEqual(done(), ['resume a on', 'resume b on']);
  assert.deepEqual(await mode.switch({ on: true, drain: false }, queues), { on: true, drain: false, since });
  assert.deepEqual(done(), ['pause a on', 'pause b on']);
  assert.deepEqual(await mode.switch({ on: false }, queues), { on: false });
  assert.deepEqual(done(), ['resume a on', 'resume b on']);
  assert.deepEqual(await mode.current(), { on: false });
});
