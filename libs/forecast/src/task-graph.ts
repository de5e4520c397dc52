/** The tasks of a job as the scheduler makes them (services/scheduler: training-job.ts, chain.ts), with what each waits for. */
import { batchOf, chainsOf, groups, shardsOfBatch, type Plan, type Segment } from '@blindfit/training';
import { QUEUE } from './cluster.ts';
import type { Kept, TaskCost, TaskCosts } from './task-costs.ts';

/** Who does it: a compute thread, a scheduler's thread, the owner (one thing at a time), or nobody: a wait for the queue. */
export type Place = 'worker' | 'scheduler' | 'owner' | 'queue';

export interface Node {
  readonly kind: string;
  readonly place: Place;
  readonly seconds: { readonly compute: number; readonly store: number; readonly queue: number };
  readonly inputs: readonly Kept[];
  readonly monomials: readonly Kept[];
  /** Indices of the nodes that must be done before; all smaller than its own. */
  readonly after: readonly number[];
  /** Undefined for what all chains share. */
  readonly chain?: number;
}

const NOTHING = { inputs: [], monomials: [] } as const;

/** All work of a job in an order in which it may be done, from its first task on. */
export function taskGraph(plan: Plan, costs: TaskCosts): Node[] {
  const builder = new Builder();
  const { hyperparameters, segments, iterations, schedule } = plan;
  const root = builder.wait(0, []);
  let begin = root;
  if (hyperparameters.initialWeight !== 0) {
    const batch = batchShards(plan, 1);
    const starts = groups(batch.length, plan.grouping.shardsPerTask).map((places) =>
      builder.task('start', costs.start(places.map((place) => batch[place] ?? 0)), [root]),
    );
    begin = builder.wait(2 * QUEUE.wake, starts);
  }
  const ends = chainsOf(plan).map((_, chain) => {
    let last = begin;
    for (const segment of segments) last = segmentOf(builder, plan, costs, chain, segment, last);
    return last;
  });
  let last = builder.wait(QUEUE.wake, ends);
  const packed = segments.length === 1 ? iterations.map(({ gradient }) => [gradient, 0] as const) : [];
  for (const [level, to] of [...packed, [schedule.modelLevel, schedule.modelLevel] as const])
    last = builder.work('pack', costs.pack(level, to), [last]);
  builder.wait(QUEUE.step, [last]);
  return builder.nodes;
}

/** @returns the node after which the next segment may begin, or the chain is done */
function segmentOf(
  builder: Builder,
  plan: Plan,
  costs: TaskCosts,
  chain: number,
  segment: Segment,
  begin: number,
): number {
  const { grouping, layout, iterations } = plan;
  const pairs = chainsOf(plan)[chain] ?? [];
  let last = begin;
  const end = segment.first + segment.count - 1;
  for (let iteration = segment.first; iteration <= end; iteration++) {
    const batch = batchShards(plan, iteration);
    const cells = pairs.flatMap((pair) =>
      groups(batch.length, grouping.shardsPerTask).map((places) => ({
        pair,
        shards: places.map((place) => batch[place] ?? 0),
      })),
    );
    if (iterations[iteration - 1]?.weights !== undefined) {
      const added = builder.wait(cells.length * QUEUE.child, [last], chain);
      const forwards = cells.map(({ pair, shards }) =>
        builder.task('forward', costs.forward(iteration, pair, shards), [added], chain),
      );
      last = builder.wait(QUEUE.wake, forwards, chain);
    }
    const parts = groups(layout.blocks, grouping.blocksPerTask);
    const added = builder.wait(cells.length * parts.length * QUEUE.child, [last], chain);
    const backwards = cells.flatMap(({ pair, shards }) =>
      parts.map((blocks) => builder.task('backward', costs.backward(iteration, pair, shards, blocks), [added], chain)),
    );
    const stepped = builder.work(
      'step',
      costs.step(segment, iteration, chain, backwards.length / pairs.length),
      [builder.wait(QUEUE.wake, backwards, chain)],
      chain,
    );
    last = builder.wait(QUEUE.step, [stepped], chain);
  }
  if (end === plan.hyperparameters.iterations)
    return builder.work('finish', costs.finish(segment, chain), [last], chain);
  // V of the last iteration, and of the one before: within the segment, or what the owner sent at its start.
  const before = segment.count > 1 ? iterations[end - 2]?.gradient : iterations[end - 1]?.weights;
  last = builder.work('publish', costs.publish(iterations[end - 1]?.gradient ?? 0), [last], chain);
  if (before !== undefined) last = builder.work('publish', costs.publish(before), [last], chain);
  last = builder.wait(QUEUE.notify, [last], chain);
  const known = end === 1 || segment.count === 1;
  last = builder.add({
    kind: 'refresh',
    place: 'owner',
    seconds: { compute: costs.refresh(end, chain, known), store: 0, queue: 0 },
    ...NOTHING,
    after: [last],
    chain,
  });
  return builder.wait(QUEUE.refresh, [last], chain);
}

function batchShards({ layout, hyperparameters }: Plan, iteration: number): number[] {
  return shardsOfBatch(layout, batchOf(layout.batches, hyperparameters, iteration));
}

class Builder {
  readonly nodes: Node[] = [];

  add(node: Node): number {
    return this.nodes.push(node) - 1;
  }

  wait(queue: number, after: readonly number[], chain?: number): number {
    return this.add({
      kind: 'wait',
      place: 'queue',
      seconds: { compute: 0, store: 0, queue },
      ...NOTHING,
      after,
      ...(chain === undefined ? {} : { chain }),
    });
  }

  /** For a compute thread. */
  task(kind: string, cost: TaskCost, after: readonly number[], chain?: number): number {
    return this.#at('worker', QUEUE.task, kind, cost, after, chain);
  }

  /** For a scheduler's thread. */
  work(kind: string, cost: TaskCost, after: readonly number[], chain?: number): number {
    return this.#at('scheduler', 0, kind, cost, after, chain);
  }

  #at(
    place: Place,
    queue: number,
    kind: string,
    { compute, store, inputs, monomials }: TaskCost,
    after: readonly number[],
    chain?: number,
  ): number {
    return this.add({
      kind,
      place,
      seconds: { compute, store, queue },
      inputs,
      monomials,
      after,
      ...(chain === undefined ? {} : { chain }),
    });
  }
}
