/** A prediction job: tasks that do not depend on each other, for every pair of classes and group of shards. */
import { at } from '@blindfit/base';
import type { JobStore } from '@blindfit/queue';
import { bind, predictionSteps, range, type PredictionPlan } from '@blindfit/training';
import type { Admission, Applicant } from './admission.ts';
import { runChildren, type ChildDependencies, type Parent } from './children.ts';
import type { SchedulerMetrics } from './metrics.ts';
import { assertNotEnded } from './not-ended.ts';
import { Results } from './results.ts';

export interface PredictionDependencies extends ChildDependencies {
  readonly jobs: Pick<JobStore, 'get' | 'modelOf' | 'setIteration' | 'setPhase' | 'state' | 'succeedPrediction'> &
    ChildDependencies['jobs'];
  readonly metrics: Pick<SchedulerMetrics, 'jobEnded'>;
  readonly admission: Pick<Admission, 'start'>;
}

/** BullMQ runs this again when all tasks are done. */
export async function runPredictionJob(
  dependencies: PredictionDependencies,
  entry: Parent & Applicant,
  token: string,
  plan: PredictionPlan,
): Promise<void> {
  const { jobs, metrics, admission } = dependencies;
  const { job } = entry.data;
  const state = await assertNotEnded(jobs, job);
  if (state === 'queued') await admission.start(entry, token);
  await jobs.setPhase(job, 'predicting');
  const results = new Results();
  results.set('model', await jobs.modelOf(job));
  const steps = predictionSteps(plan);
  const children = steps.map((step) => ({ step: step.id, work: bind(step, results.outputsOf) }));
  await runChildren(dependencies, entry, token, children, results);
  const scores = range(plan.layout.shards).map((): string[] => []);
  for (const { id, pair, shards } of steps)
    for (const [output, shard] of shards.entries())
      at(scores, shard, 'shards')[pair] = at(results.outputsOf(id), output, id);
  await jobs.setIteration(job, 0, 1, 0);
  const created = (await jobs.get(job))?.createdAt;
  if (await jobs.succeedPrediction(job, scores))
    metrics.jobEnded('succeeded', created === undefined ? undefined : (Date.now() - Date.parse(created)) / 1000);
}
