/** What threads keep between tasks, by hand: budgets that are just full, and the order of eviction. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { simulate, type Node } from '../src/index.ts';
import type { MonomialCache } from '../src/simulate.ts';
import { node } from './support.ts';

/** Tasks one after the other on one thread, each with its inputs: seconds 1, 2, 4, ... and bytes by name. */
const SECONDS: Readonly<Record<string, number>> = { a: 1, b: 2, c: 4, d: 8 };
const cached = (key: string) => ({ key, seconds: SECONDS[key] as number, bytes: 10 });
const tasks = (kind: 'inputs' | 'monomials', order: string): Node[] =>
  Array.from(order, (key, i) => node('worker', 0, i === 0 ? [] : [i - 1], { [kind]: [cached(key)] }));
const inputs = (order: string, inputBytes: number): number =>
  simulate(tasks('inputs', order), { threads: 1, schedulerThreads: 1, inputBytes }).spent.inputs;
const monomials = (order: string, cache?: MonomialCache): number =>
  simulate(tasks('monomials', order), { threads: 1, schedulerThreads: 1, monomials: cache }).spent.inputs;

it('inputs stay as long as they fit, to the last byte', () => {
  assert.equal(inputs('abab', 20), 3);
  assert.equal(inputs('abab', 19), 6);
  assert.equal(inputs('aaaa', 1), 1, 'the newest stays, whatever it takes');
});

it('the input that was used least recently goes first, and its bytes are free again', () => {
  // c takes the place of b, because a was used after it.
  assert.equal(inputs('abaca', 20), 7);
  assert.equal(inputs('abacb', 20), 9);
  assert.equal(inputs('abcdcd', 20), 15);
  assert.equal(inputs('abcdabcd', 40), 15);
});

it('monomials stay up to the capacity; then the oldest goes, or all of them', () => {
  const oldest = (capacity: number): MonomialCache => ({ capacity, evicts: 'oldest' });
  const all = (capacity: number): MonomialCache => ({ capacity, evicts: 'all' });
  assert.equal(monomials('abcabc'), 7);
  assert.equal(monomials('abcabc', oldest(3)), 7);
  assert.equal(monomials('abcabc', oldest(2)), 14);
  assert.equal(monomials('abaca', oldest(2)), 7, 'a was used after b');
  assert.equal(monomials('abaca', all(2)), 8, 'a has gone with b');
  assert.equal(monomials('abab', all(2)), 3);
});

it('the computer of the owner is as quick as ever, however busy the workers are', () => {
  const graph = [node('owner', 3), node('scheduler', 3, [0]), node('worker', 3, [1])];
  const { makespan, owner, spent } = simulate(graph, { threads: 1, schedulerThreads: 1, contention: 2 });
  assert.deepEqual([owner, makespan, spent.contention], [3, 15, 3]);
});

it('contention makes reading and storing slower, too, and all of it is told', () => {
  const seconds = { compute: 4, store: 2, queue: 1 };
  const graph = [{ ...node('worker', 0, [], { inputs: [cached('d')], monomials: [cached('c')] }), seconds }];
  const { makespan, spent } = simulate(graph, { threads: 1, schedulerThreads: 1, contention: 1.5 });
  assert.deepEqual([spent.compute, spent.store, spent.inputs, spent.queue], [4, 2, 12, 1]);
  assert.deepEqual([spent.contention, makespan], [9, 28]);
});

it('a node waits for earlier ones only', () => {
  const of = (after: number): unknown =>
    simulate([node('worker', 1), node('worker', 1, [after])], { threads: 1, schedulerThreads: 1 });
  of(0);
  for (const after of [1, 2]) assert.throws(() => of(after), /node 1 waits for node \d/);
});
