import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { criticalPath, simulate, type Node, type Spent } from '../src/index.ts';
import { node, randomFrom } from './support.ts';

const near = (actual: number, expected: number): void =>
  assert.ok(Math.abs(actual - expected) < 1e-9, `${actual} instead of ${expected}`);
const total = (spent: Spent): number => (Object.values(spent) as number[]).reduce((sum, value) => sum + value, 0);

describe('by hand', () => {
  it('independent tasks', () => {
    const graph = [3, 2, 2, 1].map((seconds) => node('worker', seconds));
    near(simulate(graph, { threads: 1, schedulerThreads: 1 }).makespan, 8);
    // In the order of the queue: 3 and 2, then 2 after the first 2, then 1 after 3.
    near(simulate(graph, { threads: 2, schedulerThreads: 1 }).makespan, 4);
    const { makespan, spent } = simulate(graph, { threads: 3, schedulerThreads: 1 });
    near(makespan, 3);
    near(spent.compute, 8);
    near(spent.idleTasks, 1);
  });

  it('a fork, a join, a step, and a refresh by the owner', () => {
    const graph = [
      node('queue', 1),
      node('worker', 2, [0]),
      node('worker', 4, [0]),
      node('scheduler', 1, [1, 2]),
      node('owner', 5, [3]),
      node('worker', 1, [4]),
    ];
    const { makespan, spent, owner, tasks } = simulate(graph, { threads: 2, schedulerThreads: 1 });
    near(makespan, 12);
    assert.equal(tasks, 3);
    near(owner, 5);
    near(spent.idleQueue, 2);
    near(spent.idleTasks, 2 + 1);
    near(spent.idleScheduler, 2);
    near(spent.idleOwner, 10);
    near(total(spent), 24);
    near(criticalPath(graph), 12);
  });

  it('the owner does one thing at a time, a scheduler as many as it has threads', () => {
    const three = (place: Node['actor']): Node[] => [0, 1, 2].map((chain) => node(place, 2, [], { chain }));
    near(simulate(three('owner'), { threads: 1, schedulerThreads: 1 }).makespan, 6);
    near(simulate(three('scheduler'), { threads: 1, schedulerThreads: 2 }).makespan, 4);
    near(simulate(three('queue'), { threads: 1, schedulerThreads: 1 }).makespan, 2);
  });

  it('idle threads wait for what the chains are at', () => {
    const graph = [node('owner', 4, [], { chain: 0 }), node('worker', 4, [], { chain: 1 })];
    const { spent } = simulate(graph, { threads: 3, schedulerThreads: 1 });
    near(spent.idleOwner, 4);
    near(spent.idleTasks, 4);
    // What one chain is at: its tasks before its scheduler, that before the owner, and the owner before the queue.
    const actors = ['worker', 'scheduler', 'owner', 'queue'] as const;
    for (const [from, first] of actors.entries()) {
      const mixed = actors.slice(from).map((actor) => node(actor, 4, [], { chain: 0 }));
      const idle = simulate(mixed, { threads: 2, schedulerThreads: 1 }).spent;
      const names = {
        worker: 'idleTasks',
        scheduler: 'idleScheduler',
        owner: 'idleOwner',
        queue: 'idleQueue',
      } as const;
      near(idle[names[first]], first === 'worker' ? 4 : 8);
    }
  });

  it('every thread sets up before its first task, and computing is slower by the contention', () => {
    const graph = [1, 1, 1].map(() => node('worker', 1));
    const { makespan, spent } = simulate(graph, { threads: 2, schedulerThreads: 1, setup: 2, contention: 1.5 });
    near(makespan, 3 + 1.5 + 1.5);
    near(spent.setup, 6);
    near(spent.compute, 3);
    near(spent.contention, 1.5);
    near(total(spent), 2 * makespan);
  });

  it('a thread reads an input once, and again when it had to go', () => {
    const input = (key: string): { key: string; seconds: number; bytes: number } => ({ key, seconds: 1, bytes: 10 });
    const graph = ['a', 'a', 'b', 'a'].map((key) => node('worker', 0, [], { inputs: [input(key)] }));
    near(simulate(graph, { threads: 1, schedulerThreads: 1 }).makespan, 2);
    near(simulate(graph, { threads: 1, schedulerThreads: 1, inputBytes: 10 }).makespan, 3);
    near(simulate(graph, { threads: 4, schedulerThreads: 1 }).makespan, 1);
  });

  it('refuses a node that waits for a later one', () => {
    assert.throws(
      () => simulate([node('worker', 1, [1]), node('worker', 1)], { threads: 1, schedulerThreads: 1 }),
      /node 0 waits for node 1/,
    );
  });
});

describe('random graphs', () => {
  for (let seed = 1; seed <= 20; seed++) {
    it(`keep to Graham's bounds, account for every second, and repeat themselves (seed ${seed})`, () => {
      const random = randomFrom(seed);
      const graph: Node[] = [];
      for (let i = 0; i < 120; i++) {
        const after = Array.from({ length: Math.floor(3 * random()) }, () => Math.floor(random() * i)).filter(
          (before) => before < i,
        );
        graph.push(
          node(random() < 0.85 ? 'worker' : 'queue', random(), [...new Set(after)], {
            chain: Math.floor(4 * random()),
          }),
        );
      }
      const work = graph
        .filter(({ actor }) => actor === 'worker')
        .reduce((sum, { seconds }) => sum + seconds.compute, 0);
      const path = criticalPath(graph);
      for (const threads of [1, 2, 3, 8, 64]) {
        const result = simulate(graph, { threads, schedulerThreads: 1 });
        assert.ok(result.makespan >= Math.max(path, work / threads) - 1e-9, `${result.makespan} on ${threads}`);
        assert.ok(result.makespan <= path + work / threads + 1e-9, `${result.makespan} on ${threads}`);
        near(total(result.spent), threads * result.makespan);
        assert.deepEqual(simulate(graph, { threads, schedulerThreads: 1 }), result);
      }
      near(simulate(graph, { threads: graph.length, schedulerThreads: 1 }).makespan, path);
    });
  }

  it('equal tasks between barriers are never slower on more threads', () => {
    const graph: Node[] = [];
    let barrier: number[] = [];
    for (let round = 0; round < 5; round++) {
      const first = graph.length;
      for (let i = 0; i < 37; i++) graph.push(node('worker', 0.3, barrier));
      graph.push(
        node(
          'scheduler',
          0.05,
          Array.from({ length: 37 }, (_, i) => first + i),
        ),
      );
      barrier = [graph.length - 1];
    }
    let before = Infinity;
    for (let threads = 1; threads <= 64; threads++) {
      const { makespan } = simulate(graph, { threads, schedulerThreads: 1 });
      near(makespan, 5 * (0.3 * Math.ceil(37 / threads) + 0.05));
      assert.ok(makespan <= before + 1e-9);
      before = makespan;
    }
  });
});
