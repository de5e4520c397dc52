import type { Parameters } from '@blindfit/he';
import { OPERATIONS, type Calibration, type Measured, type Node, type Operation } from '../src/index.ts';

/** Costs that no machine has: those given, at every level alike, and nothing for the rest. */
export function madeUp(
  { fingerprint, maxLevel }: Parameters,
  seconds: Partial<Record<Operation, number>>,
  more: Partial<Calibration> = {},
): Calibration {
  const measured = (cost: number): Measured[] =>
    Array.from({ length: maxLevel + 1 }, (_, level) => ({ level, seconds: cost }));
  return {
    format: 'blindfit-calibration/1',
    machine: { cpu: 'none', threads: 2, seal: '0', node: '0', evaluator: 'none' },
    fingerprint,
    measuredAt: '2026-01-01T00:00:00.000Z',
    operations: Object.fromEntries(
      OPERATIONS.map((name) => {
        const { [name]: cost = 0 } = seconds;
        return [name, measured(cost)];
      }),
    ) as Record<Operation, Measured[]>,
    context: 0,
    keyLoad: 0,
    keyMake: 0,
    packBlock: 0,
    keyBytes: 0,
    contention: 1,
    ...more,
  };
}

export function node(
  actor: Node['actor'],
  seconds: number,
  after: readonly number[] = [],
  more: Partial<Node> = {},
): Node {
  const own = actor === 'queue' ? { compute: 0, store: 0, queue: seconds } : { compute: seconds, store: 0, queue: 0 };
  return { kind: 'test', actor, seconds: own, inputs: [], monomials: [], after, ...more };
}

/** Numbers in [0, 1) that are the same every time. */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return (state >>> 0) / 2 ** 32;
  };
}
