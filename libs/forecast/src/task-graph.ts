/** The program of a job with what each step takes, who does it, and what it waits for. */
import { at, valueOf } from '@blindfit/base';
import {
  answerBefore,
  bind,
  chainsOf,
  packStage,
  segmentStages,
  startStage,
  type Plan,
  type Shade,
  type Step,
} from '@blindfit/training';
import { QUEUE } from './cluster.ts';
import type { Cached, StepCost, StepCosts } from './step-costs.ts';

/** A compute thread, a scheduler's thread, the owner (one thing at a time), or none: a wait for the queue. */
export type Actor = 'worker' | 'scheduler' | 'owner' | 'queue';

export interface Node {
  readonly kind: string;
  readonly actor: Actor;
  readonly seconds: { readonly compute: number; readonly store: number; readonly queue: number };
  readonly inputs: readonly Cached[];
  readonly monomials: readonly Cached[];
  /** Indices of the nodes that must be done before; all smaller than its own. */
  readonly after: readonly number[];
  /** Undefined for what all chains share. */
  readonly chain?: number | undefined;
}

/** All work of a job in an order in which it can be done, from its first task on. */
export function taskGraph(plan: Plan, costs: StepCosts): Node[] {
  const graph = new Graph(plan, costs);
  const root = graph.wait(0, []);
  const starts = startStage(plan).map((step) => graph.run(step, [root]));
  const begin = starts.length === 0 ? root : graph.wait(2 * QUEUE.wake, starts);
  const ends = chainsOf(plan).map((_, chain) => {
    let last = begin;
    for (const segment of plan.segments.keys())
      for (const stage of segmentStages(plan, chain, segment)) last = graph.stage(stage, last, chain, segment);
    return last;
  });
  let last = graph.wait(QUEUE.wake, ends);
  for (const step of packStage(plan)) last = graph.run(step, [last]);
  graph.wait(QUEUE.step, [last]);
  return graph.nodes;
}

class Graph {
  readonly nodes: Node[] = [];
  readonly #plan: Plan;
  readonly #costs: StepCosts;
  readonly #shades = new Map<string, readonly Shade[]>();

  constructor(plan: Plan, costs: StepCosts) {
    this.#plan = plan;
    this.#costs = costs;
  }

  /** @returns the node after which the next stage can begin */
  stage(steps: readonly Step[], last: number, chain: number, segment: number): number {
    switch (at(steps, 0, 'steps of a stage').kind) {
      case 'forward':
      case 'backward': {
        const added = this.wait(steps.length * QUEUE.child, [last], chain);
        const tasks = steps.map((step) => this.run(step, [added], chain));
        return this.wait(QUEUE.wake, tasks, chain);
      }
      case 'step':
        return this.wait(QUEUE.step, [this.#inTurn(steps, last, chain)], chain);
      case 'refresh':
        return this.#refresh(steps, this.wait(QUEUE.notify, [last], chain), chain, segment);
      default:
        return this.#inTurn(steps, last, chain);
    }
  }

  wait(queue: number, after: readonly number[], chain?: number): number {
    const seconds = { compute: 0, store: 0, queue };
    return this.#add({ kind: 'wait', actor: 'queue', seconds, inputs: [], monomials: [], after, chain });
  }

  /** A step that a thread runs. */
  run(step: Step, after: readonly number[], chain?: number): number {
    const work = bind(step, (id) => valueOf(this.#shades, id, 'results'));
    if (work.kind === 'refresh') throw new RangeError('no thread runs a refresh');
    const { compute, store, inputs, monomials, results }: StepCost = this.#costs.of(work);
    this.#shades.set(step.id, results);
    const isTask = work.kind === 'start' || work.kind === 'forward' || work.kind === 'backward';
    const seconds = { compute, store, queue: isTask ? QUEUE.task : 0 };
    return this.#add({
      kind: work.kind,
      actor: isTask ? 'worker' : 'scheduler',
      seconds,
      inputs,
      monomials,
      after,
      chain,
    });
  }

  #inTurn(steps: readonly Step[], last: number, chain: number): number {
    return steps.reduce((before, step) => this.run(step, [before], chain), last);
  }

  #refresh(steps: readonly Step[], last: number, chain: number, segment: number): number {
    for (const step of steps) {
      if (step.kind !== 'refresh') continue;
      this.#shades.set(step.id, answerBefore(this.#plan, segment + 1));
      // With one iteration a segment the owner has sent V of the iteration before.
      const seen = step.previous === undefined || at(this.#plan.segments, segment, 'segments').count === 1;
      const seconds = { compute: this.#costs.refresh(step, seen), store: 0, queue: 0 };
      last = this.#add({ kind: 'refresh', actor: 'owner', seconds, inputs: [], monomials: [], after: [last], chain });
    }
    return this.wait(QUEUE.refresh, [last], chain);
  }

  #add(node: Node): number {
    return this.nodes.push(node) - 1;
  }
}
