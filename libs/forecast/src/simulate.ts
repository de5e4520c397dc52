/**
 * A discrete-event simulation of a job: threads that take tasks in the order in which they became ready, schedulers,
 * one owner, and a queue that takes its time. Nothing is random.
 */
import { at } from '@blindfit/base';
import type { Cached } from './step-costs.ts';
import type { Actor, Node } from './task-graph.ts';

export interface SimulationOptions {
  readonly threads: number;
  readonly schedulerThreads: number;
  /** Factor on all computing. @default 1 */
  readonly contention?: number;
  /** Seconds of every compute thread before its first task. @default 0 */
  readonly setup?: number;
  /** Memory of each thread for cached inputs, of which the least recently used are evicted. @default unlimited */
  readonly inputBytes?: number | undefined;
  /** The cache of monomials of the evaluator. @default unlimited */
  readonly monomials?: MonomialCache | undefined;
}

/** A full cache evicts the least recently used monomial, or all of them. */
export interface MonomialCache {
  readonly capacity: number;
  readonly evicts: 'oldest' | 'all';
}

/** Thread-seconds; together threads x makespan. */
export interface Spent {
  /** Circuits. */
  readonly compute: number;
  /** What they take longer because all threads of a machine compute. */
  readonly contention: number;
  /** Results from and to the store. */
  readonly store: number;
  /** The owner's ciphertexts and monomials, read or made once per thread, and again where they were not kept. */
  readonly inputs: number;
  /** A task's way from and to the queue. */
  readonly queue: number;
  readonly setup: number;
  /** Idle: all that may be computed is being computed by other threads. */
  readonly idleTasks: number;
  /** Idle while schedulers add up. */
  readonly idleScheduler: number;
  /** Idle while the owner refreshes. */
  readonly idleOwner: number;
  /** Idle while messages travel. */
  readonly idleQueue: number;
}

export interface Simulation {
  /** Seconds from the first task to the model. */
  readonly makespan: number;
  readonly spent: Spent;
  /** Tasks of compute threads. */
  readonly tasks: number;
  /** Seconds the owner worked. */
  readonly owner: number;
}

interface Thread {
  started: boolean;
  readonly inputs: Map<string, number>;
  bytes: number;
  readonly monomials: Set<string>;
}

const UNLIMITED: MonomialCache = { capacity: Infinity, evicts: 'all' };

const IDLE = { worker: 'idleTasks', scheduler: 'idleScheduler', owner: 'idleOwner', queue: 'idleQueue' } as const;

type Ledger = { -readonly [Name in keyof Spent]: Spent[Name] };

/** @throws Error when a node waits for one that comes after it */
export function simulate(graph: readonly Node[], options: SimulationOptions): Simulation {
  const {
    threads,
    schedulerThreads,
    contention = 1,
    setup = 0,
    inputBytes = Infinity,
    monomials = UNLIMITED,
  } = options;
  const spent: Ledger = {
    compute: 0,
    contention: 0,
    store: 0,
    inputs: 0,
    queue: 0,
    setup: 0,
    idleTasks: 0,
    idleScheduler: 0,
    idleOwner: 0,
    idleQueue: 0,
  };
  const followers: number[][] = graph.map(() => []);
  const waiting = graph.map((node, index) => {
    for (const before of node.after) {
      if (before >= index) throw new Error(`node ${index} waits for node ${before}`);
      followers[before]?.push(index);
    }
    return node.after.length;
  });
  const workers = Array.from({ length: threads }, (): Thread => ({
    started: false,
    inputs: new Map(),
    bytes: 0,
    monomials: new Set(),
  }));
  const free = new Heap(threads);
  workers.forEach((_, index) => free.push(index, index));
  const places = { scheduler: schedulerThreads, owner: 1 };
  const queues: Record<Actor, Fifo> = {
    worker: new Fifo(),
    scheduler: new Fifo(),
    owner: new Fifo(),
    queue: new Fifo(),
  };
  const activity = new Activity();
  const running = new Heap(graph.length);
  const threadOf = new Map<number, number>();
  let now = 0;
  let owner = 0;
  let tasks = 0;

  const work = (node: Node, thread: Thread): number => {
    const begin = thread.started ? 0 : setup * contention;
    thread.started = true;
    let kept = 0;
    for (const input of node.inputs) kept += take(thread, input, inputBytes);
    for (const monomial of node.monomials) kept += make(thread, monomial, monomials);
    const { compute, store, queue } = node.seconds;
    tasks++;
    spent.setup += begin;
    spent.compute += compute;
    spent.contention += (contention - 1) * (compute + kept + store);
    spent.inputs += kept;
    spent.store += store;
    spent.queue += queue;
    return begin + contention * (compute + kept + store) + queue;
  };
  const start = (index: number, seconds: number): void => running.push(index, now + seconds);
  const dispatch = (): void => {
    for (let index = queues.queue.take(); index !== undefined; index = queues.queue.take())
      start(index, at(graph, index, 'graph').seconds.queue);
    while (free.size > 0) {
      const index = queues.worker.take();
      const node = index === undefined ? undefined : graph[index];
      if (index === undefined || node === undefined) break;
      const { item: place } = free.pop();
      const thread = workers[place];
      if (thread === undefined) throw new Error(`no thread ${place}`);
      threadOf.set(index, place);
      start(index, work(node, thread));
    }
    for (const place of ['scheduler', 'owner'] as const) {
      while (places[place] > 0) {
        const index = queues[place].take();
        if (index === undefined) break;
        const { compute, store, queue } = at(graph, index, 'graph').seconds;
        // The owner's computer is nobody else's.
        const seconds = (place === 'owner' ? compute : contention * (compute + store)) + queue;
        if (place === 'owner') owner += seconds;
        places[place]--;
        start(index, seconds);
      }
    }
  };
  const ready = (index: number, node: Node): void => {
    queues[node.actor].add(index);
    activity.begin(node);
  };

  graph.forEach((node, index) => {
    if (node.after.length === 0) ready(index, node);
  });
  dispatch();
  while (running.size > 0) {
    const time = running.least;
    if (free.size > 0) activity.share(free.size * (time - now), (place, seconds) => (spent[IDLE[place]] += seconds));
    now = time;
    // All that ends now, before anyone takes what becomes ready by it.
    while (running.size > 0 && running.least === now) {
      const { item: index } = running.pop();
      const node = graph[index];
      if (node === undefined) continue;
      activity.end(node);
      const thread = threadOf.get(index);
      if (thread !== undefined) free.push(thread, thread);
      if (node.actor === 'scheduler' || node.actor === 'owner') places[node.actor]++;
      for (const next of followers[index] ?? []) {
        const left = at(waiting, next, 'graph') - 1;
        waiting[next] = left;
        const follower = graph[next];
        if (left === 0 && follower !== undefined) ready(next, follower);
      }
    }
    dispatch();
  }
  return { makespan: now, spent, tasks, owner };
}

/** Seconds of the longest way through a graph: with any number of threads, no job is faster. */
export function criticalPath(graph: readonly Node[]): number {
  const ends: number[] = [];
  for (const { seconds, after } of graph) {
    const begin = after.reduce((latest, before) => Math.max(latest, at(ends, before, 'nodes before')), 0);
    ends.push(begin + seconds.compute + seconds.store + seconds.queue);
  }
  return ends.reduce((latest, end) => Math.max(latest, end), 0);
}

/** @returns the seconds it takes to have the input */
function take(thread: Thread, { key, seconds, bytes }: Cached, budget: number): number {
  const known = thread.inputs.delete(key);
  thread.inputs.set(key, bytes);
  if (known) return 0;
  thread.bytes += bytes;
  for (const [oldest, size] of thread.inputs) {
    if (thread.bytes <= budget || oldest === key) break;
    thread.inputs.delete(oldest);
    thread.bytes -= size;
  }
  return seconds;
}

/** @returns the seconds it takes to make the monomial */
function make({ monomials }: Thread, { key, seconds }: Cached, { capacity, evicts }: MonomialCache): number {
  const isCached = monomials.delete(key);
  if (!isCached && monomials.size >= capacity) {
    const [oldest] = monomials;
    if (evicts === 'all' || oldest === undefined) monomials.clear();
    else monomials.delete(oldest);
  }
  monomials.add(key);
  return isCached ? 0 : seconds;
}

/** What every chain is busy with, so that idle threads know whom they wait for. */
class Activity {
  readonly #chains = new Map<number, Record<Actor, number>>();

  begin({ chain = -1, actor }: Node): void {
    const counts = this.#chains.get(chain) ?? { worker: 0, scheduler: 0, owner: 0, queue: 0 };
    counts[actor]++;
    this.#chains.set(chain, counts);
  }

  end({ chain = -1, actor }: Node): void {
    const counts = this.#chains.get(chain);
    if (counts !== undefined) counts[actor]--;
  }

  /** Idle time, in equal parts, to what the chains are at. */
  share(seconds: number, take: (actor: Actor, seconds: number) => void): void {
    const at: Actor[] = [];
    for (const counts of this.#chains.values()) {
      const place = (['worker', 'scheduler', 'owner', 'queue'] as const).find((each) => counts[each] > 0);
      if (place !== undefined) at.push(place);
    }
    for (const place of at) take(place, seconds / at.length);
  }
}

class Fifo {
  #items: number[] = [];
  #next = 0;

  add(item: number): void {
    this.#items.push(item);
  }

  take(): number | undefined {
    const item = this.#items[this.#next];
    if (item === undefined) {
      this.#items = [];
      this.#next = 0;
      return undefined;
    }
    this.#next++;
    return item;
  }
}

/** Items by key, and by item where keys are equal. */
class Heap {
  readonly #keys: Float64Array;
  readonly #items: Int32Array;
  size = 0;

  constructor(capacity: number) {
    this.#keys = new Float64Array(capacity);
    this.#items = new Int32Array(capacity);
  }

  /** The least key; only while there is one. */
  get least(): number {
    return this.#keys[0] ?? Infinity;
  }

  push(item: number, key: number): void {
    let place = this.size++;
    this.#set(place, item, key);
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (!this.#isLess(place, parent)) break;
      this.#swap(place, parent);
      place = parent;
    }
  }

  pop(): { item: number; key: number } {
    const first = { item: at(this.#items, 0, 'heap'), key: at(this.#keys, 0, 'heap') };
    this.#swap(0, --this.size);
    let place = 0;
    for (;;) {
      let least = place;
      for (const child of [2 * place + 1, 2 * place + 2])
        if (child < this.size && this.#isLess(child, least)) least = child;
      if (least === place) return first;
      this.#swap(place, least);
      place = least;
    }
  }

  #isLess(a: number, b: number): boolean {
    const difference = at(this.#keys, a, 'heap') - at(this.#keys, b, 'heap');
    return difference < 0 || (difference === 0 && at(this.#items, a, 'heap') < at(this.#items, b, 'heap'));
  }

  #set(place: number, item: number, key: number): void {
    this.#items[place] = item;
    this.#keys[place] = key;
  }

  #swap(a: number, b: number): void {
    const [item, key] = [at(this.#items, a, 'heap'), at(this.#keys, a, 'heap')];
    this.#set(a, at(this.#items, b, 'heap'), at(this.#keys, b, 'heap'));
    this.#set(b, item, key);
  }
}
