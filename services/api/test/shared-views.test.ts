/** Views that streams share, the stream of all jobs, and the watch over tokens, with a clock that is moved by hand. */
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { Readable } from 'node:stream';
import { test, type TestContext } from 'node:test';
import type { JobView } from '@blindfit/protocol';
import { SharedView, SharedViews } from '../src/shared-views.ts';
import { tenantEvents } from '../src/tenant-events.ts';
import { TokenWatch } from '../src/token-watch.ts';
import { stopClock } from './clock.ts';

type Records = Map<string, JobView>;

const viewOf = (id: string, state = 'running', tasksDone = 0, more = {}): JobView =>
  ({ id, tenant: 'a', state, progress: { tasksDone, etaSeconds: tasksDone }, ...more }) as unknown as JobView;

function scene(records: Records) {
  const reads: string[] = [];
  const listening = new Set<(job: string) => void>();
  const away = { redis: false };
  const get = (id: string): Promise<JobView | undefined> => {
    reads.push(id);
    return away.redis ? Promise.reject(new Error('away')) : Promise.resolve(records.get(id));
  };
  const changes = {
    listen: (listener: (job: string) => void) => {
      listening.add(listener);
      return () => listening.delete(listener);
    },
  };
  const announce = (id: string): void => listening.forEach((listener) => listener(id));
  return { reads, listening, away, announce, views: new SharedViews({ get }, changes) };
}

test('a view is read once for all streams, until the job changes, it is too old, or reading failed', async (t) => {
  const { pass } = stopClock(t);
  const records: Records = new Map([['j', viewOf('j')]]);
  const { reads, views, announce, away } = scene(records);
  const heard: string[] = [];
  const stop = views.listen('j', (job) => heard.push(job));
  const stopOther = views.listen(undefined, (job) => heard.push(`all ${job}`));
  assert.equal(views.streams, 2);
  const [one, two] = await Promise.all([views.get('j', 1000), views.get('j', 1000)]);
  assert.equal(one, two);
  await pass(1000);
  assert.equal(await views.get('j', 1000), one, 'as old as it may be');
  await pass(10);
  assert.notEqual(await views.get('j', 1000), one, 'older than it may be');
  announce('j');
  announce('k');
  await views.get('j', 1000);
  assert.deepEqual(reads, ['j', 'j', 'j']);
  assert.deepEqual(heard, ['j', 'all j', 'all k']);

  announce('j');
  away.redis = true;
  await assert.rejects(views.get('j', 1000), /away/);
  away.redis = false;
  assert.equal((await views.get('j', 1000))?.view, records.get('j'), 'a failure is not kept');
  assert.equal(await views.get('unknown', 1000), undefined);
  stop();
  assert.equal(views.streams, 1);
  stopOther();
  assert.equal(views.streams, 0);
});

test('an estimate alone is no news', async () => {
  const records: Records = new Map([['j', viewOf('j', 'running', 1)]]);
  const { views } = scene(records);
  const first = await views.get('j', 0);
  const later = viewOf('j', 'running', 1);
  Object.assign(later.progress, { etaSeconds: 99 });
  assert.equal(new SharedView(later).content, first?.content);
  assert.notEqual(new SharedView(later).text, first?.text);
  assert.notEqual(new SharedView(viewOf('j', 'running', 2)).content, first?.content);
});

function openStream(t: TestContext, tenant: string | undefined, records: Records, open: readonly string[]) {
  const clock = stopClock(t);
  const { reads, listening, announce, away, views } = scene(records);
  const asked: unknown[][] = [];
  const closing = new AbortController();
  const index = {
    inStates: (...args: unknown[]) => {
      asked.push(args);
      return Promise.resolve([...open]);
    },
  };
  const stream = tenantEvents(views, { index }, { tenant, closing: closing.signal, heartbeatMs: 50_000 });
  t.after(() => stream.destroy());
  return { ...clock, reads, listening, announce, away, asked, closing, stream, events: () => eventsOf(stream) };
}

/** What has been sent since the last call, as `name job state`. */
function eventsOf(stream: Readable): string[] {
  const read = stream.read() as Buffer | null;
  const text = read === null ? '' : read.toString();
  return [...text.matchAll(/event: (\w+)\ndata: (.*)\n/g)].map(([, name, data]) => {
    const { id, state } = JSON.parse(data ?? '') as JobView;
    return `${name} ${id} ${state}`;
  });
}

test('a stream of all jobs begins with the oldest open one, and tells each change once', async (t) => {
  const records: Records = new Map(['new', 'old'].map((id) => [id, viewOf(id)]));
  records.set('foreign', viewOf('foreign', 'running', 0, { tenant: 'b' }));
  const stage = openStream(t, 'a', records, ['new', 'foreign', 'old']);
  await stage.pass(10);
  assert.deepEqual(stage.events(), ['progress old running', 'progress new running']);
  assert.deepEqual(stage.asked[0]?.slice(1), [1000, 'a']);
  stage.announce('new');
  await stage.pass(400);
  assert.deepEqual(stage.events(), [], 'nothing has changed but the announcement');
  records.set('new', viewOf('new', 'succeeded'));
  stage.announce('new');
  stage.announce('foreign');
  await stage.pass(200);
  assert.deepEqual(stage.events(), ['progress new succeeded', 'end new succeeded']);
});

test('a poll finds what was not announced, and does not ask for jobs that have ended', async (t) => {
  const records: Records = new Map(['a', 'b'].map((id) => [id, viewOf(id)]));
  const stage = openStream(t, undefined, records, ['b']);
  await stage.pass(10);
  stage.announce('a');
  await stage.pass(200);
  assert.deepEqual(stage.events(), ['progress b running', 'progress a running']);
  records.set('a', viewOf('a', 'failed'));
  await stage.pass(10_000);
  assert.deepEqual(stage.events(), ['progress a failed', 'end a failed']);
  stage.reads.length = 0;
  await stage.pass(10_000);
  assert.deepEqual([...new Set(stage.reads)], ['b']);
  assert.deepEqual(stage.events(), []);
  stage.away.redis = true;
  records.set('b', viewOf('b', 'running', 5));
  stage.announce('b');
  await stage.pass(10_000);
  assert.deepEqual(stage.events(), []);
  stage.away.redis = false;
  await stage.pass(10_000);
  assert.deepEqual(stage.events(), ['progress b running'], 'it goes on when Redis is back');
});

test('a stream that nobody reads is not filled, and one that ends leaves nothing behind', async (t) => {
  const records: Records = new Map([['a', viewOf('a', 'running', 0, { name: 'x'.repeat(70_000) })]]);
  const stage = openStream(t, 'a', records, ['a']);
  await stage.pass(10);
  const { readableLength } = stage.stream;
  assert.ok(readableLength > 70_000);
  records.set('a', viewOf('a', 'running', 1));
  stage.announce('a');
  await stage.pass(60_000);
  assert.equal(stage.stream.readableLength, readableLength, 'neither news nor heartbeats');
  stage.events();
  await stage.pass(200);
  assert.deepEqual(stage.events(), ['progress a running']);
  stage.closing.abort();
  assert.deepEqual([stage.timers(), stage.listening.size], [0, 0]);
});

test('answers end with their token, and nothing is asked about tokens without answers', async (t) => {
  const { pass, timers } = stopClock(t);
  const before = timers();
  const asked: string[] = [];
  const good = new Map([
    ['one', true],
    ['two', true],
  ]);
  const hold: { until?: Promise<void> } = {};
  const watch = new TokenWatch(1000);
  const open = (token: string, url = '/v1/jobs/events') => {
    const raw = new EventEmitter();
    const mayGoOn = async (): Promise<boolean> => {
      asked.push(token);
      await hold.until;
      return good.get(token) === true;
    };
    const request = { headers: { authorization: token }, routeOptions: { url }, mayGoOn };
    return { raw, signal: watch.watch(request as never, { raw } as never) };
  };
  const [first, second, third] = [open('one'), open('one'), open('two')];
  await pass(1000);
  assert.deepEqual(asked.splice(0), ['one', 'two'], 'a look for each token');
  good.set('one', false);
  await pass(1000);
  assert.deepEqual(
    [first, second, third].map(({ signal }) => signal.aborted),
    [true, true, false],
  );
  asked.length = 0;
  first.raw.emit('close');
  await pass(1000);
  assert.deepEqual(asked.splice(0), ['one', 'two'], 'one answer is left');
  second.raw.emit('close');
  await pass(1000);
  assert.deepEqual(asked.splice(0), ['two']);
  let release = (): void => undefined;
  hold.until = new Promise((resolve) => (release = resolve));
  await pass(5000);
  assert.deepEqual(asked.splice(0), ['two'], 'slow looks do not pile up');
  release();
  await pass(1000);
  assert.deepEqual(asked.splice(0), ['two']);
  watch.close();
  assert.equal(timers(), before);
});
