/** Windows: a job has at most a few tasks for each thread of the cluster in the queue. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { UnrecoverableError, WaitingChildrenError } from 'bullmq';
import { runChildren, type Child, type ChildDependencies, type Parent } from '../src/children.ts';
import { Results } from '../src/results.ts';
import { FakeJobs, FakeQueue, JOB, MANIFEST } from './support.ts';

/** A parent whose children are done when the test says so. */
function setScene(threads: number, protocol = 2) {
  const tasks = new FakeQueue();
  const jobs = new FakeJobs(1);
  jobs.workers.threads = () => Promise.resolve({ workers: 1, threads, protocol });
  const done = new Set<string>();
  const priorities: unknown[] = [];
  let lost = false;
  /** Called at each look of the parent. */
  let look = (): void => undefined;
  const parent = {
    id: `${JOB}.chain.0.0`,
    queueName: 'chains',
    queueQualifiedName: 'blindfit:chains',
    data: { job: JOB, manifest: MANIFEST },
    getChildrenValues: () =>
      Promise.resolve(Object.fromEntries([...done].map((id) => [`blindfit:tasks:${id}`, { outputs: [id] }]))),
    getDependenciesCount: () => {
      look();
      return Promise.resolve({ processed: done.size });
    },
    changePriority: (options: unknown) => Promise.resolve(void priorities.push(options)),
    moveToWaitingChildren: () => Promise.resolve(!lost && tasks.added.some(({ id }) => !done.has(id))),
  } as unknown as Parent;
  const closing = new AbortController();
  const dependencies: ChildDependencies = { tasks, jobs, closing: closing.signal };
  const children = (count: number): Child[] =>
    Array.from({ length: count }, (_, i) => ({
      step: `forward.${i}`,
      work: { kind: 'forward', iteration: 1, pair: 0, shards: [i], weights: 'w' },
    }));
  return {
    tasks,
    jobs,
    done,
    closing,
    priorities,
    children,
    lose: () => void (lost = true),
    atEachLook: (action: () => void) => void (look = action),
    run: (count: number, siblings = 1) =>
      runChildren(dependencies, parent, 'token', children(count), new Results(), siblings),
  };
}

it('a small stage is added at once', async () => {
  const { tasks, run, priorities } = setScene(1);
  await assert.rejects(run(16), WaitingChildrenError);
  assert.equal(tasks.added.length, 16);
  assert.deepEqual(
    tasks.options.map(({ priority }) => priority),
    Array.from({ length: 16 }, (_, i) => i + 1),
    'each has its own turn',
  );
  assert.deepEqual(priorities, [{ priority: 1 }], 'the parent comes back at its own turn');
});

for (const { lowest, name } of [
  { lowest: 1, name: 'tasks/1' },
  { lowest: 2, name: 'tasks/2' },
  { lowest: 3, name: 'tasks/2' },
])
  it(`tasks are in a form that every worker reads: of protocol ${lowest}`, async () => {
    const { tasks, run } = setScene(1, lowest);
    await assert.rejects(run(1), WaitingChildrenError);
    assert.deepEqual(tasks.names, [name]);
    assert.deepEqual(Object.keys(tasks.added[0]?.data ?? {}), [
      'kind',
      'job',
      'manifest',
      'iteration',
      'pair',
      'shards',
      'weights',
    ]);
  });

for (const { threads, siblings, window } of [
  { threads: 2, siblings: 1, window: 16 },
  { threads: 10, siblings: 1, window: 40 },
  { threads: 10, siblings: 4, window: 10 },
])
  it(`with ${threads} threads and ${siblings} chains at most ${window} tasks of a chain wait`, async () => {
    const { tasks, done, run, atEachLook } = setScene(threads);
    const outstanding: number[] = [];
    atEachLook(() => {
      outstanding.push(tasks.added.length - done.size);
      // Half of the window ends between two looks.
      for (const { id } of tasks.added.slice(done.size, done.size + window / 2)) done.add(id);
    });
    await assert.rejects(run(3 * window, siblings), WaitingChildrenError);
    assert.equal(tasks.added.length, 3 * window);
    assert.ok(outstanding.length >= 4 && Math.max(...outstanding) === window, outstanding.join());
  });

it('a job that ends gets no more tasks', async () => {
  const { tasks, jobs, run, atEachLook, done } = setScene(1);
  atEachLook(() => {
    for (const { id } of tasks.added) done.add(id);
    jobs.current = 'cancelled';
  });
  await assert.rejects(run(100), UnrecoverableError);
  assert.ok(tasks.added.length <= 32);
});

it('a scheduler that closes leaves the rest to the next one, which adds what is missing', async () => {
  const { tasks, done, closing, run } = setScene(1);
  closing.abort();
  await assert.rejects(run(100), WaitingChildrenError);
  assert.equal(tasks.added.length, 16);
  for (const { id } of tasks.added) done.add(id);
  await assert.rejects(run(100), WaitingChildrenError);
  assert.equal(tasks.added.length, 32);
});

it('children that are done already are not waited for', async () => {
  const { tasks, done, run } = setScene(1);
  for (let i = 0; i < 40; i++) done.add(`${JOB}.forward.${i}`);
  await run(40);
  assert.deepEqual(tasks.added, []);
});

it('children that neither come nor are waited for are an error, not an endless loop', async () => {
  const { tasks, run, lose } = setScene(1);
  lose();
  await assert.rejects(run(3), /the result of .*forward\.0/);
  assert.equal(tasks.added.length, 3);
});

it('what was done before a stage makes no room in its window', async () => {
  const { tasks, done, run, atEachLook } = setScene(2);
  for (let i = 0; i < 10; i++) done.add(`earlier.${i}`);
  const outstanding: number[] = [];
  atEachLook(() => {
    outstanding.push(tasks.added.filter(({ id }) => !done.has(id)).length);
    for (const { id } of tasks.added.slice(0, 4 * outstanding.length)) done.add(id);
  });
  await assert.rejects(run(30), WaitingChildrenError);
  assert.equal(tasks.added.length, 30);
  assert.equal(Math.max(...outstanding), 16);
});
