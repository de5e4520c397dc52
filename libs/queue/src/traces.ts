/**
 * The trace of a job: which spans there are, what they are called and what they tell. One trace a job, from its
 * submission on:
 *
 *     POST /v1/jobs                       the API
 *       job                               from submission to end; recorded by whoever ends it
 *         begin, chain, finish            entries of the queues `jobs` and `chains`; the schedulers
 *           task KIND                     from the queue to the recorded result; the workers
 *             queue, load keys, load inputs, circuit KIND, store result
 *           step, publish, finish, pack   the schedulers' own work, with the same phases
 *         refresh                         from the request to the owner's answer; the API
 *
 * Spans of jobs and entries begin in one process and end in another, so their names follow from what they are about.
 * Attributes are ids, numbers and codes; never a digest, a message or anything of the data.
 */
import type { Job } from 'bullmq';
import {
  checker,
  TaskSchema,
  type RefreshRequest,
  type Task,
  type TaskPhase,
  type TaskResult,
} from '@blindfit/protocol';
import { currentTraceparent, spanOf, typeOf, type Tracing } from '@blindfit/service';
import type { JobStore } from './job-store.ts';
import type { ChainPayload, JobPayload } from './queues.ts';

type Attributes = Readonly<Record<string, string | number>>;

/** What every span about a piece of a job tells, as far as it is known. */
export interface Piece {
  readonly job: string;
  readonly task?: string | undefined;
  readonly kind?: string | undefined;
  readonly iteration?: number | undefined;
  readonly pair?: number | undefined;
  readonly chain?: number | undefined;
  readonly segment?: number | undefined;
}

function attributesOf({ job, task, kind, iteration, pair, chain, segment }: Piece): Attributes {
  const all = {
    'blindfit.job.id': job,
    'blindfit.task.id': task,
    'blindfit.task.kind': kind,
    'blindfit.iteration': iteration,
    'blindfit.pair': pair,
    'blindfit.chain': chain,
    'blindfit.segment': segment,
  };
  return Object.fromEntries(
    Object.entries(all).filter((entry): entry is [string, string | number] => entry[1] !== undefined),
  );
}

/** The span of a whole job. @param submission `traceparent` of the request that submitted it */
function spanOfJob(submission: string | undefined, job: string): string | undefined {
  return spanOf(submission, `job ${job}`);
}

/** The span of an entry of the queues `jobs` and `chains`, however often it runs: parent of what it adds. */
export function spanOfEntry({ id = '', data }: Pick<Job<JobPayload>, 'id' | 'data'>): string | undefined {
  return spanOf(data.traceparent, `entry ${id}`);
}

/** Records the span of every job that this process brings to its end. */
export function traceJobs(tracing: Tracing, jobs: JobStore, ignore: (error: unknown) => void): void {
  if (!tracing.enabled) return;
  const record = async (id: string): Promise<void> => {
    const [view, { traceparent }] = await Promise.all([jobs.get(id), jobs.traceOf(id)]);
    if (view === undefined || traceparent === undefined) return;
    const { kind, state, createdAt, finishedAt, progress, error } = view;
    const attributes = {
      ...attributesOf({ job: id }),
      'blindfit.job.kind': kind,
      'blindfit.job.state': state,
      'blindfit.job.iterations': progress.iteration,
      'blindfit.job.tasks': progress.tasksDone,
    };
    const end = finishedAt === undefined ? Date.now() : Date.parse(finishedAt);
    tracing.record(
      { name: 'job', parent: traceparent, self: spanOfJob(traceparent, id), start: Date.parse(createdAt), attributes },
      end,
      error?.code,
    );
  };
  jobs.onEnd((id) => void record(id).catch(ignore));
}

/** Records the span of an entry that has come to its end, from when it was added. @param error why it failed */
export function traceEntry(tracing: Tracing, entry: Job<JobPayload> | Job<ChainPayload>, error?: Error): void {
  const { id = '', name, data, timestamp } = entry;
  const { traceparent } = data;
  // An attempt that is followed by another one is not the end.
  if (traceparent === undefined || typeof entry.finishedOn !== 'number') return;
  const piece: Piece = {
    job: data.job,
    task: id,
    chain: 'chain' in data ? data.chain : undefined,
    segment: 'chain' in data ? data.segment : undefined,
  };
  const title = 'chain' in data ? 'chain' : name === 'finish' ? 'finish' : 'begin';
  const options = {
    name: title,
    parent: spanOfJob(traceparent, data.job),
    self: spanOfEntry(entry),
    kind: 'consumer',
    start: timestamp,
    attributes: attributesOf(piece),
  } as const;
  tracing.record(options, entry.finishedOn, error === undefined ? undefined : typeOf(error));
}

/** Records that a job waited for its owner, who has answered now. @param submission of the job */
export function traceRefresh(
  tracing: Tracing,
  submission: string | undefined,
  job: string,
  { id, chain, iteration, since }: RefreshRequest,
): void {
  const options = {
    name: 'refresh',
    parent: spanOfJob(submission, job),
    self: spanOf(submission, `refresh ${id}`),
    start: Date.parse(since),
    attributes: attributesOf({ job, chain, iteration }),
    links: [currentTraceparent()],
  };
  tracing.record(options, Date.now());
}

const checkTask = checker('the task is not valid', TaskSchema);

/**
 * Runs a task out of the queue in a span of its own, which begins when it was added. One that is not valid has none.
 */
export function inTask<T>(tracing: Tracing, entry: Job<unknown>, body: () => Promise<T>): Promise<T> {
  if (!tracing.enabled) return body();
  let task: Task;
  try {
    task = checkTask(entry.data);
  } catch {
    return body();
  }
  const { id = '', timestamp, attemptsMade, processedOn = Date.now() } = entry;
  const { kind, iteration, traceparent } = task;
  const piece = { job: task.job, task: id, kind, iteration, pair: 'pair' in task ? task.pair : undefined };
  const attributes = { ...attributesOf(piece), 'blindfit.task.attempt': attemptsMade + 1 };
  // A machine whose clock is behind took it before it was added.
  const start = attemptsMade === 0 ? Math.min(timestamp, processedOn) : processedOn;
  return tracing.span({ name: `task ${kind}`, parent: traceparent, kind: 'consumer', start, attributes }, () => {
    if (attemptsMade === 0)
      tracing.record({ name: 'queue', parent: currentTraceparent(), start, attributes }, processedOn);
    return body();
  });
}

/** Runs a scheduler's own piece of work in a span, below the entry at hand. */
export function inStep<T>(
  tracing: Tracing,
  piece: Piece & { readonly kind: string },
  body: () => Promise<T>,
): Promise<T> {
  return tracing.enabled
    ? tracing.span({ name: piece.kind, parent: currentTraceparent(), attributes: attributesOf(piece) }, body)
    : body();
}

/** Records what a thread did for the task at hand. */
export function tracePhases(
  tracing: Tracing,
  piece: Piece & { readonly kind: string },
  { operations, phases }: Pick<TaskResult, 'operations'> & { readonly phases: readonly TaskPhase[] },
): void {
  const parent = tracing.enabled ? currentTraceparent() : undefined;
  if (parent === undefined) return;
  const attributes = attributesOf(piece);
  const counts = Object.fromEntries(Object.entries(operations).map(([name, count]) => [`blindfit.he.${name}`, count]));
  // Operations are counted for the task as a whole; they are told with the circuit's first stretch.
  const first = phases.findIndex(({ phase }) => phase === 'circuit');
  for (const [index, { phase, start, end }] of phases.entries()) {
    const name = phase === 'circuit' ? `circuit ${piece.kind}` : phase;
    tracing.record(
      { name, parent, start, attributes: index === first ? { ...attributes, ...counts } : attributes },
      end,
    );
  }
}
