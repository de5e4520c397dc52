/** The beginning of a training job (shared start scores, a chain for every few pairs of classes) and its end (the packed model). */
import { UnrecoverableError, type Job, type Queue } from 'bullmq';
import { isFinal, type StartTask, type TaskResult } from '@blindfit/protocol';
import { addSegment, TASK_OPTIONS, taskId, type ChainData, type ChainRecord, type JobData } from '@blindfit/queue';
import { batchOf, chainsOf, groups, shardsOfBatch } from '@blindfit/training';
import type { ChainDependencies } from './chain.ts';
import { childResults, type Child } from './children.ts';

export interface JobDependencies extends ChainDependencies {
  readonly chains: Queue<ChainData>;
}

/** BullMQ runs this again after the start scores. From its end on the chains' records tell what is to be done. */
export async function runTrainingJob(dependencies: JobDependencies, job: Job<JobData>, token: string): Promise<void> {
  const { jobs, aggregator } = dependencies;
  const { data } = job;
  const { plan } = await dependencies.manifest(data.manifest);
  const state = await jobs.state(data.job);
  if (state === undefined || isFinal(state)) throw new UnrecoverableError(`the job is ${state ?? 'unknown'}`);
  if (await jobs.isPlanned(data.job)) return;
  if (state === 'queued') {
    await jobs.start(data.job);
    aggregator.prepare(data.job, data.manifest);
  }
  const scores = plan.hyperparameters.initialWeight === 0 ? [] : await startScores(dependencies, job, token);
  await jobs.setPhase(data.job, 'training');
  await jobs.setPlanned(data.job, scores);
  await Promise.all(chainsOf(plan).map((_, chain) => addSegment(dependencies.chains, data, chain, undefined)));
}

/** By shard: s(X v) - 0.5 of the constant start, the same for all classes. */
async function startScores(dependencies: JobDependencies, job: Job<JobData>, token: string): Promise<string[]> {
  const { data } = job;
  const { plan } = await dependencies.manifest(data.manifest);
  await dependencies.jobs.setPhase(data.job, 'start');
  const batch = shardsOfBatch(plan.layout, batchOf(plan.layout.batches, plan.hyperparameters, 1));
  const tasks = groups(batch.length, plan.grouping.shardsPerTask).map((places, group): Child<StartTask> => ({
    id: taskId(data.job, 'start', group),
    data: {
      kind: 'start',
      job: data.job,
      manifest: data.manifest,
      iteration: 1,
      shards: places.map((place) => batch[place] ?? 0),
    },
  }));
  const results = await childResults<StartTask, TaskResult>(job, token, dependencies.tasks, tasks, TASK_OPTIONS);
  return tasks.flatMap((task) => results.get(task.id)?.outputs ?? []);
}

/** All chains are done: packs the model, and V of every iteration where no refresh has shown it to the owner. */
export async function finishTrainingJob(dependencies: ChainDependencies, { data }: Job<JobData>): Promise<void> {
  const { jobs, aggregator, metrics } = dependencies;
  const { plan } = await dependencies.manifest(data.manifest);
  const state = await jobs.state(data.job);
  if (state === undefined || isFinal(state)) return;
  await jobs.setPhase(data.job, 'packing');
  const records = await jobs.chains(data.job);
  const pack = (
    level: number,
    to: number,
    iteration: number,
    of: (record: ChainRecord) => string | undefined,
  ): Promise<string[]> => {
    const chains = records.map((record) => (record === undefined ? undefined : of(record)) ?? '');
    return aggregator.runAll({ kind: 'pack', job: data.job, manifest: data.manifest, chains, level, to }, iteration);
  };
  const iterates: string[][] = [];
  if (plan.segments.length === 1) {
    for (const [index, { gradient }] of plan.iterations.entries())
      iterates.push(await pack(gradient, 0, index + 1, ({ history }) => history[index]));
  }
  const { modelLevel } = plan.schedule;
  const models = await pack(modelLevel, modelLevel, plan.iterations.length + 1, ({ weights }) => weights);
  const created = (await jobs.get(data.job))?.createdAt;
  if (await jobs.succeed(data.job, models, iterates))
    metrics.jobEnded('succeeded', created === undefined ? undefined : (Date.now() - Date.parse(created)) / 1000);
}
