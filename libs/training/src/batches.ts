/**
 * Mini-batches: which samples an iteration learns from. A batch is a run of consecutive samples (the owner shuffles
 * them before encryption, so that every batch is a fair sample); each epoch visits all batches once, in an order that
 * follows from the public seed.
 */
import { LRUCache } from 'lru-cache';
import { at, seededUint32 } from '@blindfit/base';
import type { Hyperparameters } from './method.ts';

/**
 * Samples of batch number `batch`: from, inclusive, to, exclusive.
 * @param size of a batch; the last one may be smaller
 */
export function batchRange(samples: number, size: number, batch: number): { from: number; to: number } {
  return { from: batch * size, to: Math.min(samples, (batch + 1) * size) };
}

/** The number of the batch that an iteration learns from. @param iteration from 1 */
export function batchOf(batches: number, { batch }: Pick<Hyperparameters, 'batch'>, iteration: number): number {
  if (batch === undefined || batches === 1) return 0;
  const epoch = Math.floor((iteration - 1) / batches);
  const order = orderOf(batches, batch.seed + 0x9e3779b9 * (epoch + 1));
  return at(order, (iteration - 1) % batches, 'batches of an epoch');
}

/** Orders of the epochs asked for last: consecutive iterations share one. */
const orders = new LRUCache<string, readonly number[]>({ max: 2 });

function orderOf(count: number, seed: number): readonly number[] {
  const key = `${count} ${seed}`;
  const order = orders.get(key) ?? permutation(count, seed);
  orders.set(key, order);
  return order;
}

/** 0 ... count - 1 in an order that depends on the seed only (Fisher-Yates on mulberry32). */
export function permutation(count: number, seed: number): number[] {
  const order = Array.from({ length: count }, (_, i) => i);
  const random = seededUint32(seed);
  for (let last = count - 1; last > 0; last--) {
    const other = Math.floor((random() / 2 ** 32) * (last + 1));
    [order[last], order[other]] = [at(order, other, 'order'), at(order, last, 'order')];
  }
  return order;
}
