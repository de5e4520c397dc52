/** Sums and extremes over the recorded tasks of a job. */
import type { TaskKind } from '@blindfit/protocol';
import type { Connection } from './connection.ts';
import type { TaskRecord } from './job-record.ts';

/** Totals by name. One that is missing counts as 0: no task contributed to it. */
export class TaskTotals {
  readonly #byName: ReadonlyMap<string, number>;

  constructor(entries: Iterable<readonly [string, number]>) {
    this.#byName = new Map(entries);
  }

  sum(name: string): number {
    const total = this.#byName.get(name);
    return total === undefined ? 0 : total;
  }

  /** The earliest start of a task, in milliseconds since the epoch; undefined when there was no task. */
  get firstStart(): number | undefined {
    return this.#byName.get('start');
  }

  /** Tasks by the evaluator that computed them. */
  get evaluators(): Record<string, number> {
    return Object.fromEntries(
      [...this.#byName].flatMap(([name, tasks]) =>
        name.startsWith(EVALUATOR) ? [[name.slice(EVALUATOR.length), tasks]] : [],
      ),
    );
  }
}

/** Before the name of an evaluator. */
const EVALUATOR = 'evaluator:';

/** Kinds that progress counts; the scheduler's own steps are quick and in between. */
const WORKER_KINDS: ReadonlySet<string> = new Set<TaskKind>(['start', 'forward', 'backward', 'predict']);

export function countsForProgress(kind: string): boolean {
  return WORKER_KINDS.has(kind);
}

export type Fact = readonly [operator: 'sum' | 'min' | 'max', name: string, value: number];

/** What one task contributes. */
export function factsOf(record: TaskRecord): Fact[] {
  const { startedAt, finishedAt, loadKeysSeconds, operations, evaluator, iteration, kind } = record;
  const loaded = startedAt + 1000 * loadKeysSeconds;
  const facts: Fact[] = [
    ['min', 'start', startedAt],
    ['max', 'loadKeys', loadKeysSeconds],
    ['sum', 'compute', (finishedAt - loaded) / 1000],
    ['sum', `count:${kind}`, 1],
    ['sum', `seconds:${kind}`, (finishedAt - startedAt) / 1000],
    ['max', `slowest:${kind}`, (finishedAt - startedAt) / 1000],
    ...Object.entries(operations).map(([name, count]): Fact => ['sum', name, count]),
  ];
  if (evaluator !== undefined) facts.push(['sum', `${EVALUATOR}${evaluator}`, 1]);
  // Packing and publishing come after the iteration that they are about, whichever it is.
  if (kind !== 'pack' && kind !== 'publish')
    facts.push(['min', `start:${iteration}`, loaded], ['max', `end:${iteration}`, finishedAt]);
  return facts;
}

/** Reads all totals. The hash also has a mark for every task, so this is for the end of a job. */
export async function readAllTotals(redis: Connection, key: string): Promise<TaskTotals> {
  const entries: [string, number][] = [];
  let cursor = '0';
  do {
    const [next, flat] = await redis.hscan(key, cursor, 'COUNT', 1000);
    flat.forEach((name, at) => {
      if (at % 2 === 0 && !name.startsWith('t:')) entries.push([name, Number(flat[at + 1])]);
    });
    cursor = next;
  } while (cursor !== '0');
  return new TaskTotals(entries);
}
