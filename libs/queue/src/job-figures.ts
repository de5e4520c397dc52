/** What metrics of one job are made of: sums and extremes that its record keeps, never its single tasks. */
import type { JobView, Operations } from '@blindfit/protocol';
import type { Connection } from './connection.ts';
import { numberIn } from './job-record.ts';
import { TaskTotals } from './task-totals.ts';

/** Kinds of tasks that are recorded: of workers, then the scheduler's own. */
export const TASK_KINDS = ['start', 'forward', 'backward', 'predict', 'step', 'publish', 'finish', 'pack'] as const;
const OPERATIONS: readonly (keyof Operations)[] = [
  'rotations',
  'relinearisations',
  'multiplications',
  'plainMultiplications',
  'rescales',
];
const PER_KIND = ['count', 'seconds', 'slowest'] as const;

export interface TaskFigures {
  readonly kind: (typeof TASK_KINDS)[number];
  readonly done: number;
  /** From being taken up in a thread to the stored result, in all. */
  readonly seconds: number;
  /** Of the slowest one. */
  readonly slowest: number;
}

export interface JobFigures {
  readonly view: JobView;
  /** Only kinds of which some were done. */
  readonly tasks: readonly TaskFigures[];
  readonly operations: Operations;
  /** Answered ones. */
  readonly refreshes: number;
  /** From each request to its answer, in all. */
  readonly refreshSeconds: number;
  /** How long the oldest open request has waited; 0 when there is none. */
  readonly awaitingSeconds: number;
}

/**
 * Sums and extremes of the recorded tasks, by name. Reads only what it names: the hash also has a mark for every task.
 */
export async function readTotals(redis: Connection, key: string): Promise<TaskTotals> {
  const names = [...OPERATIONS, ...TASK_KINDS.flatMap((kind) => PER_KIND.map((what) => `${what}:${kind}`))];
  const values = await redis.hmget(key, ...names);
  return new TaskTotals(
    names.flatMap((name, i): [string, number][] => (typeof values[i] === 'string' ? [[name, Number(values[i])]] : [])),
  );
}

/** @param fields of the job's record @param totals of its tasks */
export function figuresOf(view: JobView, fields: Readonly<Record<string, string>>, totals: TaskTotals): JobFigures {
  const tasks = TASK_KINDS.map((kind): TaskFigures => ({
    kind,
    done: totals.sum(`count:${kind}`),
    seconds: totals.sum(`seconds:${kind}`),
    slowest: totals.sum(`slowest:${kind}`),
  }));
  const since = view.refreshes.map((request) => Date.parse(request.since));
  return {
    view,
    tasks: tasks.filter(({ done }) => done > 0),
    operations: Object.fromEntries(OPERATIONS.map((name) => [name, totals.sum(name)])) as Operations,
    refreshes: numberIn(fields, 'refreshes'),
    refreshSeconds: numberIn(fields, 'refreshWait'),
    awaitingSeconds: since.length === 0 ? 0 : Math.max(0, (Date.now() - Math.min(...since)) / 1000),
  };
}
