/** A prediction job: tasks that do not depend on each other, for every pair of classes and group of shards. */
import { UnrecoverableError, type Job } from 'bullmq';
import { isFinal, type PredictTask, type TaskResult } from '@blindfit/protocol';
import { TASK_OPTIONS, taskId, type JobData } from '@blindfit/queue';
import { predictionGroups, type PredictionPlan } from '@blindfit/training';
import type { ChainDependencies } from './chain.ts';
import { childResults, type Child } from './children.ts';

/** BullMQ runs this again when all tasks are done. */
export async function runPredictionJob(
  { jobs, tasks: queue, metrics }: Pick<ChainDependencies, 'jobs' | 'tasks' | 'metrics'>,
  job: Job<JobData>,
  token: string,
  plan: PredictionPlan,
): Promise<void> {
  const { data } = job;
  const state = await jobs.state(data.job);
  if (state === undefined || isFinal(state)) throw new UnrecoverableError(`the job is ${state ?? 'unknown'}`);
  if (state === 'queued') await jobs.start(data.job);
  await jobs.setPhase(data.job, 'predicting');
  const { layout } = plan;
  const models = await jobs.modelOf(data.job);
  const cells = Array.from({ length: layout.pairs }, (_, pair) =>
    predictionGroups(plan).map((shards, group): { id: string; pair: number; shards: number[] } => ({
      id: taskId(data.job, 'predict', pair, group),
      pair,
      shards,
    })),
  ).flat();
  const tasks = cells.map(({ id, pair, shards }): Child<PredictTask> => ({
    id,
    data: {
      kind: 'predict',
      job: data.job,
      manifest: data.manifest,
      iteration: 1,
      pair,
      shards,
      model: models[Math.floor(pair / layout.pairsPerModel)] ?? '',
    },
  }));
  const results = await childResults<PredictTask, TaskResult>(job, token, queue, tasks, TASK_OPTIONS);
  const scores = Array.from({ length: layout.shards }, (): string[] => []);
  for (const { id, pair, shards } of cells) {
    for (const [place, shard] of shards.entries()) (scores[shard] ?? [])[pair] = results.get(id)?.outputs[place] ?? '';
  }
  await jobs.setIteration(data.job, 0, 1, 0);
  const created = (await jobs.get(data.job))?.createdAt;
  if (await jobs.succeedPrediction(data.job, scores))
    metrics.jobEnded('succeeded', created === undefined ? undefined : (Date.now() - Date.parse(created)) / 1000);
}
