/** The state machine of a training job: shared start scores, one chain per pair of classes, the packed model. */
import { UnrecoverableError, type Job, type Queue } from 'bullmq';
import { isFinal, type StartTask, type TaskResult } from '@blindfit/contracts';
import { groups } from '@blindfit/he';
import { CHAIN_OPTIONS, TASK_OPTIONS, taskId, type ChainData, type JobData } from '@blindfit/jobs';
import type { ChainDependencies, ChainResult } from './chain.ts';
import { childResults, type Child } from './children.ts';

export interface JobDependencies extends ChainDependencies {
  readonly chains: Queue;
}

/** BullMQ runs this again after the start scores and after the chains. */
export async function runTrainingJob(dependencies: JobDependencies, job: Job<JobData>, token: string): Promise<void> {
  const { jobs, aggregator, metrics } = dependencies;
  const { data } = job;
  const { plan } = await dependencies.manifest(data.manifest);
  const state = await jobs.state(data.job);
  if (state === undefined || isFinal(state)) throw new UnrecoverableError(`the job is ${state ?? 'unknown'}`);
  if (state === 'queued') {
    await jobs.start(data.job);
    aggregator.prepare(data.job, data.manifest);
  }
  const scores = plan.hyperparameters.initialWeight === 0 ? undefined : await startScores(dependencies, job, token);
  await jobs.setPhase(data.job, 'training');
  const chains: Child<ChainData>[] = Array.from({ length: plan.layout.pairs }, (_, pair) => ({
    id: taskId(data.job, 'chain', pair),
    data: { ...data, pair, history: [], ...(scores === undefined ? {} : { scores }) },
  }));
  const results = await childResults<ChainData, ChainResult>(job, token, dependencies.chains, chains, CHAIN_OPTIONS);
  await jobs.setPhase(data.job, 'packing');
  const pack = (level: number, iteration: number, of: (chain: ChainResult) => string | undefined): Promise<string[]> => {
    const pairs = chains.map((chain) => {
      const result = results.get(chain.id);
      return (result === undefined ? undefined : of(result)) ?? '';
    });
    return aggregator.runAll({ kind: 'pack', job: data.job, manifest: data.manifest, pairs, level }, iteration);
  };
  const iterates: string[][] = [];
  for (const [index, { gradient }] of plan.iterations.entries()) iterates.push(await pack(gradient, index + 1, ({ history }) => history[index]));
  const models = await pack(0, plan.iterations.length + 1, ({ weights }) => weights);
  if (await jobs.succeed(data.job, models, iterates)) metrics.jobEnded('succeeded', (Date.now() - job.timestamp) / 1000);
}

/** By shard: s(X v) - 0.5 of the constant start, the same for all classes. */
async function startScores(dependencies: JobDependencies, job: Job<JobData>, token: string): Promise<string[]> {
  const { data } = job;
  const { plan } = await dependencies.manifest(data.manifest);
  await dependencies.jobs.setPhase(data.job, 'start');
  const shardGroups = groups(plan.layout.shards, plan.grouping.shardsPerTask);
  const tasks: Child<StartTask>[] = shardGroups.map((shards, group) => ({
    id: taskId(data.job, 'start', group),
    data: { kind: 'start', job: data.job, manifest: data.manifest, iteration: 1, shards },
  }));
  const results = await childResults<StartTask, TaskResult>(job, token, dependencies.tasks, tasks, TASK_OPTIONS);
  return tasks.flatMap((task) => results.get(task.id)?.outputs ?? []);
}
