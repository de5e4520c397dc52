import { InvalidArgumentError, Option, type Command } from 'commander';
import { faultOf } from '@blindfit/base';
import { JOB_STATES, type JobState, type JobView } from '@blindfit/protocol';
import { addServerFlags, withClient, type ServerFlags } from '../connect.ts';
import { CliError, UsageError } from '../errors.ts';
import { formatAge, formatCount, formatEta, formatSeconds } from '../format.ts';
import { leftInOutage, patienceOf, patienceOption, type PatienceFlags } from '../give-up-after.ts';
import { withInterrupt } from '../interrupt.ts';
import { Progress } from '../progress.ts';
import { formatPairs, formatTable, type Column } from '../table.ts';

interface JobsFlags extends ServerFlags, PatienceFlags {
  readonly state?: JobState;
  readonly limit: number;
  readonly json?: true;
  readonly follow?: true;
  readonly all?: true;
}

export function register(program: Command): void {
  const command = program
    .command('jobs')
    .summary('list jobs, or show one')
    .description(
      'Lists the newest jobs, or shows one of them with its progress, timings and the reason of its failure.\n' +
        'Jobs in state awaiting-refresh wait for their owner: "blindfit attach".',
    )
    .argument('[job]', 'id of a job')
    .addOption(new Option('--state <state>', 'only jobs in this state').choices(JOB_STATES))
    .addOption(new Option('--limit <n>', 'at most this many, 1 to 1000').argParser(limitOf).default(20))
    .option('--all', 'the whole history (at most 1,000 jobs), with timings')
    .option('--follow', 'show the progress of the job until it ends; the exit status is 1 if it does not succeed')
    .addOption(patienceOption())
    .option('--json', 'print JSON as the API gives it; with --follow one line for each change');
  addServerFlags(command)
    .addHelpText(
      'after',
      `
Examples:
  blindfit jobs
  blindfit jobs --all
  blindfit jobs --state running --json | jq -r '.[].id'
  blindfit jobs job-3k9x2m4c8v1z --follow`,
    )
    .action(async (id: string | undefined, flags: JobsFlags) => {
      if (id !== undefined && flags.all === true)
        throw new UsageError('--all is for the list of jobs', 'leave out the id, or --all');
      if (id === undefined && flags.follow === true)
        throw new UsageError('--follow needs the id of a job', 'blindfit jobs lists them');
      if (flags.follow !== true && flags.giveUpAfter !== undefined)
        throw new UsageError('--give-up-after goes with --follow', 'leave it out, or add --follow');
      if (id !== undefined && flags.follow === true) return followToEnd(id, flags);
      await withClient(flags, async (client) => {
        if (id === undefined) {
          const jobs = await client.jobs({
            limit: flags.all === true ? 1000 : flags.limit,
            state: flags.state,
          });
          print(flags.json === true ? json(jobs) : flags.all === true ? history(jobs) : listing(jobs));
          return;
        }
        const job = await client.job(id);
        print(flags.json === true ? json(job) : details(job));
      });
    });
}

async function followToEnd(id: string, flags: JobsFlags): Promise<void> {
  const asJson = flags.json === true;
  const progress = new Progress({ mode: asJson ? 'silent' : 'auto' });
  const seen: { last?: JobView } = {};
  try {
    await withClient(
      flags,
      (client) =>
        withInterrupt(async (signal) => {
          for await (const job of client.events(id, { signal })) {
            seen.last = job;
            show(job, progress, asJson);
          }
        }).finally(() => progress.finish()),
      patienceOf(flags, progress),
    );
  } catch (error) {
    if (seen.last === undefined || faultOf(error) !== 'world') throw error;
    throw leftInOutage(error, id, `blindfit jobs ${id} --follow`);
  }
  const { last } = seen;
  if (last === undefined) return;
  if (!asJson) print(details(last));
  if (last.state !== 'succeeded')
    throw new CliError(`${id} ${last.state}${last.error === undefined ? '' : `: ${last.error.message}`}`);
}

function show(job: JobView, progress: Progress, asJson: boolean): void {
  if (asJson) print(JSON.stringify(job));
  const { phase, tasksDone, tasksTotal, iteration, iterations, etaSeconds } = job.progress;
  progress.update({
    phase,
    done: tasksDone,
    total: tasksTotal,
    text: `iteration ${iteration} of ${iterations}`,
    etaSeconds,
  });
}

const COLUMNS: readonly Column[] = [
  { title: 'JOB' },
  { title: 'STATE' },
  { title: 'ITERATION', align: 'right' },
  { title: 'TASKS', align: 'right' },
  { title: 'SAMPLES', align: 'right' },
  { title: 'CLASSES', align: 'right' },
  { title: 'SUBMITTED' },
  { title: 'TIME' },
  { title: 'NAME' },
];

function listing(jobs: readonly JobView[]): string {
  if (jobs.length === 0) return 'There are no jobs.';
  const rows = jobs.map((job) => [
    job.id,
    job.state,
    `${job.progress.iteration}/${job.progress.iterations}`,
    `${job.progress.tasksDone}/${job.progress.tasksTotal}`,
    formatCount(job.shape.samples),
    String(job.shape.classes),
    formatAge(job.createdAt),
    timeOf(job),
    job.name ?? '',
  ]);
  return formatTable(COLUMNS, rows);
}

const HISTORY: readonly Column[] = [
  { title: 'JOB' },
  { title: 'STATE' },
  { title: 'SUBMITTED' },
  { title: 'QUEUED', align: 'right' },
  { title: 'KEYS', align: 'right' },
  { title: 'TRAINING', align: 'right' },
  { title: 'OF IT WAITING', align: 'right' },
  { title: 'COMPUTING', align: 'right' },
  { title: 'ROTATIONS', align: 'right' },
  { title: 'ITERATIONS', align: 'right' },
  { title: 'DATA' },
  { title: 'NAME' },
];

/** Every job with what it took; times of a job that did not succeed end with it. */
function history(jobs: readonly JobView[]): string {
  if (jobs.length === 0) return 'There are no jobs.';
  const rows = jobs.map((job) => {
    const { result, shape, progress } = job;
    const took = (value: number | undefined): string => (value === undefined ? '' : formatSeconds(value));
    return [
      job.id,
      job.state,
      job.createdAt.slice(0, 19).replace('T', ' '),
      took(result?.seconds.queued),
      took(result?.seconds.loadKeys),
      result === undefined ? timeOf(job) : took(result.seconds.train),
      took(result?.seconds.refresh),
      took(result?.seconds.compute),
      result === undefined ? '' : formatCount(result.operations.rotations),
      `${progress.iteration}/${progress.iterations}`,
      `${formatCount(shape.samples)} x ${shape.features} x ${shape.classes}`,
      job.name ?? '',
    ];
  });
  return formatTable(HISTORY, rows);
}

function details(job: JobView): string {
  const { progress, shape, hyperparameters: hyper, result, error } = job;
  const predicts = job.kind === 'predict';
  const pairs: [string, string][] = [];
  const add = (name: string, text: string): void => void pairs.push([name, text]);
  add('job', job.id);
  if (job.name !== undefined) add('name', job.name);
  add('state', job.state);
  const tasks = `${formatCount(progress.tasksDone)} of ${formatCount(progress.tasksTotal)} tasks (${progress.phase})`;
  add('progress', predicts ? tasks : `iteration ${progress.iteration} of ${progress.iterations}, ${tasks}`);
  add('data', `${formatCount(shape.samples)} samples, ${shape.features} features, ${shape.classes} classes`);
  if (predicts) add('prediction', `with the model of ${job.model ?? 'another job'}, which nobody decrypts`);
  add(
    predicts ? 'its training' : 'training',
    `${hyper.iterations} iterations, learning rate ${hyper.learningRate}, sigmoid of degree ${hyper.sigmoid.degree}`,
  );
  add('parameters', job.parameters);
  add('submitted', `${job.createdAt} (${formatAge(job.createdAt)})`);
  if (job.refreshes.length > 0) {
    const after = [...new Set(job.refreshes.map(({ iteration }) => iteration))].join(', ');
    add('waits for its owner', `to refresh the weights after iteration ${after}: blindfit attach ${job.id}`);
  }
  const time = timeOf(job);
  if (time !== '') add('time', time);
  if (result !== undefined) {
    const { operations } = result;
    const { train, compute, queued, refresh, loadKeys } = result.seconds;
    add(
      predicts ? 'prediction took' : 'training took',
      `${formatSeconds(train)} (${formatSeconds(compute)} of computing; waited ${formatSeconds(queued)} in the queue ` +
        `and ${formatSeconds(refresh)} for its owner; keys loaded in ${formatSeconds(loadKeys)})`,
    );
    add(
      'operations',
      `${formatCount(operations.rotations)} rotations, ${formatCount(operations.relinearisations)} relinearisations`,
    );
  }
  if (error !== undefined) {
    add('error', `${error.message} [${error.code}]`);
    add('to go on', `blindfit retry ${job.id}`);
  }
  return formatPairs(pairs);
}

/** How long a job ran, or will still run. */
function timeOf({ startedAt, finishedAt, progress }: JobView): string {
  if (startedAt !== undefined && finishedAt !== undefined)
    return formatSeconds((Date.parse(finishedAt) - Date.parse(startedAt)) / 1000);
  return progress.etaSeconds === undefined ? '' : `${formatEta(progress.etaSeconds)} left`;
}

function limitOf(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || value > 1000)
    throw new InvalidArgumentError('Allowed are whole numbers from 1 to 1000.');
  return value;
}

function json(value: unknown): string {
  return JSON.stringify(value, undefined, 2);
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
