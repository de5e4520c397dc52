/** What the API shows of a job, from its record. */
import { defined } from '@blindfit/base';
import {
  DEFAULT_TENANT,
  isFinal,
  type JobError,
  type JobResult,
  type JobState,
  type JobView,
} from '@blindfit/protocol';
import { answerOf, requestOf } from './chain-record.ts';
import {
  chainRecords,
  endedChains,
  iterationsOf,
  jobIn,
  numberIn,
  type EndedChains,
  type NewJob,
} from './job-record.ts';
import type { TaskTotals } from './task-totals.ts';

type Fields = Readonly<Record<string, string>>;

/** @returns undefined when there is no such job */
export function viewOf(id: string, fields: Fields): JobView | undefined {
  const job = jobIn(fields);
  const state = fields['state'] as JobState | undefined;
  if (job === undefined || state === undefined) return undefined;
  const chains = chainRecords(fields, job.chains);
  const ended = chainsOf(job, fields);
  return defined<JobView>({
    id,
    kind: job.kind ?? 'train',
    name: job.name,
    priority: job.priority,
    tenant: job.tenant ?? DEFAULT_TENANT,
    state,
    manifest: job.manifest,
    shape: job.shape,
    hyperparameters: job.hyperparameters,
    model: job.model?.job,
    parameters: job.parameters,
    createdAt: new Date(numberIn(fields, 'createdAt')).toISOString(),
    startedAt: timeIn(fields, 'startedAt'),
    finishedAt: timeIn(fields, 'finishedAt'),
    progress: progressOf(job, state, fields, ended),
    signer: job.signer,
    refreshes: isFinal(state) ? [] : chains.flatMap((record) => requestOf(record)),
    answers: [...ended.answers],
    result: fields['result'] === undefined ? undefined : (JSON.parse(fields['result']) as JobResult),
    error: fields['error'] === undefined ? undefined : (JSON.parse(fields['error']) as JobError),
  });
}

/** How far the chains of a job are, and what their owner has answered. */
export function chainsOf(job: Omit<NewJob, 'id'>, fields: Fields): EndedChains {
  const ended = endedChains(fields);
  if (ended !== undefined) return ended;
  const perChain = (name: string, missing: number): number[] =>
    Array.from({ length: job.chains }, (_, chain) => Number(fields[`${name}:${chain}`] ?? missing));
  return {
    iteration: Math.min(...perChain('iteration', 0)),
    levels: Math.max(0, Math.min(...perChain('levels', job.levels))),
    answers: chainRecords(fields, job.chains).flatMap((record) => answerOf(record)),
  };
}

function progressOf(
  job: Omit<NewJob, 'id'>,
  state: JobState,
  fields: Fields,
  { iteration, levels }: EndedChains,
): JobView['progress'] {
  const { phase = 'queued' } = fields;
  const tasksDone = numberIn(fields, 'tasksDone');
  const started = numberIn(fields, 'startedAt');
  const elapsed = started > 0 ? (Date.now() - started) / 1000 - numberIn(fields, 'refreshSeconds') : 0;
  return defined<JobView['progress']>({
    phase: isFinal(state) ? 'done' : state === 'awaiting-refresh' ? state : phase,
    iteration,
    iterations: iterationsOf(job),
    tasksDone,
    tasksTotal: job.tasksTotal,
    levelsLeft: levels,
    classes: classesOf(fields['lastPair'], job.shape.classes),
    etaSeconds:
      state === 'running' && tasksDone > 0
        ? (elapsed / tasksDone) * Math.max(0, job.tasksTotal - tasksDone)
        : undefined,
  });
}

/** The classes of the pair that a task was about; undefined when it was about all. */
function classesOf(lastPair: string | undefined, classes: number): string | undefined {
  if (lastPair === undefined || lastPair === '') return undefined;
  const first = 2 * Number(lastPair);
  return first + 1 < classes ? `${first}, ${first + 1}` : `${first}`;
}

function timeIn(fields: Fields, name: string): string | undefined {
  const milliseconds = fields[name];
  return milliseconds === undefined ? undefined : new Date(Number(milliseconds)).toISOString();
}

export type Outputs = Pick<JobResult, 'models' | 'iterates' | 'scores'>;

/**
 * The result of a job that has succeeded.
 * @param fields the record of the job
 * @param finished milliseconds since the epoch
 */
export function resultOf(outputs: Outputs, fields: Fields, totals: TaskTotals, finished: number): JobResult {
  const job = jobIn(fields);
  const iterations = job === undefined ? 0 : iterationsOf(job);
  // A job without tasks took no time at all.
  const { firstStart = finished } = totals;
  return {
    ...outputs,
    operations: {
      rotations: totals.sum('rotations'),
      relinearisations: totals.sum('relinearisations'),
      multiplications: totals.sum('multiplications'),
      plainMultiplications: totals.sum('plainMultiplications'),
      rescales: totals.sum('rescales'),
    },
    evaluators: totals.evaluators,
    seconds: {
      train: Math.max(0, (finished - firstStart) / 1000 - totals.sum('loadKeys')),
      loadKeys: totals.sum('loadKeys'),
      queued: Math.max(0, (firstStart - numberIn(fields, 'createdAt')) / 1000),
      iterations: Array.from(
        { length: iterations },
        (_, t) => (totals.sum(`end:${t + 1}`) - totals.sum(`start:${t + 1}`)) / 1000,
      ),
      compute: totals.sum('compute'),
      refresh: numberIn(fields, 'refreshSeconds'),
    },
  };
}
