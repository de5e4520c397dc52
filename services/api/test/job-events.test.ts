/** The stream of a job's events by itself, with records from memory and a clock that is moved by hand. */
import assert from 'node:assert/strict';
import type { Readable } from 'node:stream';
import { test, type TestContext } from 'node:test';
import { required } from '@blindfit/base';
import type { JobView } from '@blindfit/protocol';
import { jobEvents, type JobEventsOptions } from '../src/job-events.ts';
import { SharedViews } from '../src/shared-views.ts';
import { stopClock, type StoppedClock } from './clock.ts';

const BACKLOG = 64 * 1024;
const JOB = 'job-0123456789ab';

function viewOf(tasksDone: number, changes: Partial<JobView> = {}): JobView {
  const progress = { phase: 'training', iteration: 0, iterations: 1, tasksDone, tasksTotal: 9, levelsLeft: 1 };
  return { id: JOB, state: 'running', refreshes: [], progress, ...changes } as unknown as JobView;
}

interface Stage extends StoppedClock {
  readonly stream: Readable;
  readonly closing: AbortController;
  /** The record; undefined when Redis has lost it. */
  record: JobView | undefined;
  reads: number;
  /** Looks at the record last until then. */
  hold?: Promise<undefined> | undefined;
  readonly listeners: number;
  /** Changes the record and announces it. */
  change(view: JobView | undefined): void;
  /** What has been sent since the last call, as [name, id, data]. */
  events(): [string, number, Partial<JobView>][];
}

function open(t: TestContext, first: JobView, options: Partial<JobEventsOptions> = {}): Stage {
  const clock = stopClock(t);
  const listening = new Set<(job: string) => void>();
  const closing = new AbortController();
  const views = new SharedViews(
    {
      get: () => {
        stage.reads++;
        const { record, hold } = stage;
        return hold === undefined ? Promise.resolve(record) : hold.then(() => record);
      },
    },
    {
      listen: (listener: (job: string) => void) => {
        listening.add(listener);
        return () => listening.delete(listener);
      },
    },
  );
  const stream = jobEvents(views, first, { closing: closing.signal, ...options });
  t.after(() => stream.destroy());
  const stage: Stage = {
    stream,
    closing,
    record: first,
    reads: 0,
    get listeners() {
      return listening.size;
    },
    change: (view) => {
      stage.record = view;
      for (const listener of listening) listener(JOB);
    },
    ...clock,
    events: () => {
      const text = String((stream.read() as Buffer | null) ?? '');
      return Array.from(text.matchAll(/^id: (\d+)\nevent: (\w+)\ndata: (.*)$/gm), ([, id, name, data]) => [
        required(name, 'a name'),
        Number(id),
        JSON.parse(required(data, 'data')) as Partial<JobView>,
      ]);
    },
  };
  return stage;
}

const done = (events: ReturnType<Stage['events']>): unknown[] =>
  events.map(([, , { progress }]) => progress?.tasksDone);

test('a change during a look at the record is looked at again, and clients know when to connect again', async (t) => {
  const stage = open(t, viewOf(0));
  assert.match(String(stage.stream.read()), /^retry: 1000\n\nid: 1\nevent: progress\n/);
  await stage.pass(1_000);
  const { promise, resolve } = Promise.withResolvers<undefined>();
  stage.hold = promise;
  stage.change(viewOf(1));
  await stage.pass(50);
  stage.change(viewOf(2));
  await stage.pass(50);
  stage.hold = undefined;
  resolve(undefined);
  await stage.pass(300);
  assert.deepEqual(done(stage.events()).at(-1), 2);
});

test('an estimate alone is no news, and numbers go on from the last event', async (t) => {
  const stage = open(t, viewOf(0), { lastEventId: 41 });
  assert.deepEqual(
    stage.events().map(([name, id]) => [name, id]),
    [['progress', 42]],
  );
  const { progress } = viewOf(0);
  stage.change(viewOf(0, { progress: { ...progress, etaSeconds: 77 } }));
  await stage.pass(1_000);
  assert.deepEqual(stage.events(), []);
  stage.change(viewOf(1, { progress: { ...progress, tasksDone: 1, etaSeconds: 70 } }));
  await stage.pass(100);
  const [event] = stage.events();
  assert.deepEqual([event?.[0], event?.[1], event?.[2].progress?.etaSeconds], ['progress', 43, 70]);
});

test('news waits for a fifth of a second, a request for a refresh does not', async (t) => {
  const stage = open(t, viewOf(0));
  await stage.pass(1_000);
  stage.events();
  stage.change(viewOf(1));
  await stage.pass(50);
  assert.deepEqual(done(stage.events()), [1]);
  stage.change(viewOf(2));
  await stage.pass(100);
  assert.deepEqual(done(stage.events()), [], 'too early');
  const refreshes = [{ id: 'refresh-1' }] as unknown as JobView['refreshes'];
  stage.change(viewOf(3, { refreshes }));
  await stage.pass(50);
  assert.deepEqual(done(stage.events()), [3], 'the owner is asked at once');
  stage.change(viewOf(4, { refreshes }));
  await stage.pass(50);
  assert.deepEqual(done(stage.events()), [], 'the same request is no hurry');
  await stage.pass(200);
  assert.deepEqual(done(stage.events()), [4]);
});

test('a client that does not read is spared the states in between, and heartbeats', async (t) => {
  const stage = open(t, viewOf(0), { heartbeatMs: 1_000 });
  const name = 'x'.repeat(1_000);
  for (let change = 1; change <= 200; change++) {
    stage.change(viewOf(change, { name }));
    await stage.pass(250);
  }
  const { readableLength: backlog } = stage.stream;
  assert.ok(backlog > BACKLOG && backlog < BACKLOG + 2_000, `${backlog} bytes wait`);
  await stage.pass(20_000);
  assert.equal(stage.stream.readableLength, backlog, 'nor a heartbeat more');
  stage.events();
  await stage.pass(2_100);
  assert.deepEqual(done(stage.events()), [200], 'it gets the newest state when it reads again');
  await stage.pass(1_000);
  assert.match(String(stage.stream.read()), /^: heartbeat\n\n$/);
});

for (const [how, end] of [
  ['the client goes away', (stage: Stage) => void stage.stream.destroy()],
  ['the job ends', (stage: Stage) => stage.change(viewOf(9, { state: 'succeeded' }))],
  ['its record is lost', (stage: Stage) => stage.change(undefined)],
  ['the API closes', (stage: Stage) => stage.closing.abort()],
] as const) {
  test(`nothing goes on when ${how}`, async (t) => {
    const stage = open(t, viewOf(0));
    await stage.pass(500);
    assert.equal(stage.listeners, 1);
    end(stage);
    await stage.pass(300);
    assert.deepEqual([stage.listeners, stage.timers()], [0, 0]);
    const { reads } = stage;
    await stage.pass(5_000);
    assert.equal(stage.reads, reads, 'Redis is asked nothing more');
    if (stage.stream.destroyed) return;
    const ended = new Promise((resolve) => stage.stream.once('end', resolve));
    const names = stage.events().map(([name]) => name);
    stage.stream.resume();
    await ended;
    assert.deepEqual(names, how === 'the job ends' ? ['progress', 'progress', 'end'] : ['progress']);
  });
}
