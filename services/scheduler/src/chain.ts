/**
 * One pair of classes, from its first gradient to its final weights. Under SLE the pairs never talk to each other, so
 * each is a chain of its own and no iteration waits for the slowest pair.
 */
import { UnrecoverableError, type Job, type Queue } from 'bullmq';
import { isFinal, type BackwardTask, type ForwardTask, type PlannedManifest, type TaskResult } from '@blindfit/contracts';
import { groups } from '@blindfit/he';
import { TASK_OPTIONS, taskId, type ChainData } from '@blindfit/jobs';
import { childResults, type Child } from './children.ts';
import type { Aggregator } from './aggregator.ts';
import type { SchedulerMetrics } from './metrics.ts';
import type { JobStore } from '@blindfit/jobs';

export interface ChainDependencies {
  readonly tasks: Queue;
  readonly jobs: JobStore;
  readonly aggregator: Aggregator;
  readonly metrics: SchedulerMetrics;
  manifest(digest: string): Promise<PlannedManifest>;
}

export interface ChainResult {
  /** Packed W_T of the pair, at level 0. */
  readonly weights: string;
  /** Packed V_1 ... V_T of the pair. */
  readonly history: readonly string[];
}

/** BullMQ runs this again after every group of children; what is done already is read back, never redone. */
export async function runChain(dependencies: ChainDependencies, job: Job<ChainData, ChainResult>, token: string): Promise<ChainResult> {
  const { jobs, aggregator, metrics } = dependencies;
  const { data } = job;
  const state = await jobs.state(data.job);
  if (state === undefined || isFinal(state)) throw new UnrecoverableError(`the job is ${state ?? 'unknown'}`);
  const planned = await dependencies.manifest(data.manifest);
  const { plan } = planned;
  let history = data.history;
  while (history.length < plan.hyperparameters.iterations) {
    const iteration = history.length + 1;
    const gradients = await gradientsOf(dependencies, job, token, planned, history);
    const step = await aggregator.run({ kind: 'step', job: data.job, manifest: data.manifest, iteration, pair: data.pair, gradients, history }, iteration);
    history = [...history, step];
    await job.updateData({ ...data, history });
    await jobs.setIteration(data.job, data.pair, iteration, plan.iterations[iteration - 1]?.gradient ?? 0);
    metrics.iteration();
  }
  const weights = await aggregator.run({ kind: 'finish', job: data.job, manifest: data.manifest, pair: data.pair, history }, history.length);
  return { weights, history };
}

/** Partial gradients of the next iteration: forward tasks first, unless the errors need none. */
async function gradientsOf(
  dependencies: ChainDependencies,
  job: Job<ChainData, ChainResult>,
  token: string,
  { plan }: PlannedManifest,
  history: readonly string[],
): Promise<string[]> {
  const { data } = job;
  const { layout, grouping } = plan;
  const shardGroups = groups(layout.shards, grouping.shardsPerTask);
  const blockGroups = groups(layout.blocks, grouping.blocksPerTask);
  const iteration = history.length + 1;
  const common = { job: data.job, manifest: data.manifest, iteration, pair: data.pair };
  const weights = history.at(-1);
  let errorsOf: (shards: readonly number[], group: number) => Pick<BackwardTask, 'errors' | 'scores'> = (shards) =>
    data.scores === undefined ? {} : { scores: shards.map((shard) => data.scores?.[shard] ?? '') };
  if (weights !== undefined) {
    const forwards: Child<ForwardTask>[] = shardGroups.map((shards, group) => ({
      id: taskId(data.job, 'forward', iteration, data.pair, group),
      data: { kind: 'forward', ...common, shards, weights },
    }));
    const results = await childResults<ForwardTask, TaskResult>(job, token, dependencies.tasks, forwards, TASK_OPTIONS);
    errorsOf = (_shards, group) => ({ errors: results.get(forwards[group]?.id ?? '')?.outputs ?? [] });
  }
  const backwards: Child<BackwardTask>[] = shardGroups.flatMap((shards, group) =>
    blockGroups.map((blocks, part) => ({
      id: taskId(data.job, 'backward', iteration, data.pair, group, part),
      data: { kind: 'backward', ...common, shards, blocks, ...errorsOf(shards, group) },
    })));
  const results = await childResults<BackwardTask, TaskResult>(job, token, dependencies.tasks, backwards, TASK_OPTIONS);
  return backwards.map((child) => results.get(child.id)?.outputs[0] ?? '');
}
