/** A prediction job: tasks that do not depend on each other, for every pair of classes and group of shards. */
import { at } from '@blindfit/base';
import type { JobStore } from '@blindfit/queue';
import { bind, predictionSteps, range, type PredictionPlan } from '@blindfit/training';
import { assertNotEnded, type ChainDependencies } from './chain.ts';
import { runChildren, type Parent } from './children.ts';
import { Results } from './results.ts';

export interface PredictionDependencies extends Pick<ChainDependencies, 'tasks' | 'metrics'> {
  readonly jobs: Pick<
    JobStore,
    'get' | 'modelOf' | 'setIteration' | 'setPhase' | 'start' | 'state' | 'succeedPrediction'
  >;
}

/** BullMQ runs this again when all tasks are done. */
export async function runPredictionJob(
  { jobs, tasks, metrics }: PredictionDependencies,
  entry: Parent,
  token: string,
  plan: PredictionPlan,
): Promise<void> {
  const { job } = entry.data;
  const state = await assertNotEnded(jobs, job);
  if (state === 'queued') await jobs.start(job);
  await jobs.setPhase(job, 'predicting');
  const results = new Results();
  results.set('model', await jobs.modelOf(job));
  const steps = predictionSteps(plan);
  const children = steps.map((step) => ({ step: step.id, work: bind(step, results.outputsOf) }));
  await runChildren(entry, token, tasks, children, results);
  const scores = range(plan.layout.shards).map((): string[] => []);
  for (const { id, pair, shards } of steps)
    for (const [output, shard] of shards.entries())
      at(scores, shard, 'shards')[pair] = at(results.outputsOf(id), output, id);
  await jobs.setIteration(job, 0, 1, 0);
  const created = (await jobs.get(job))?.createdAt;
  if (await jobs.succeedPrediction(job, scores))
    metrics.jobEnded('succeeded', created === undefined ? undefined : (Date.now() - Date.parse(created)) / 1000);
}
