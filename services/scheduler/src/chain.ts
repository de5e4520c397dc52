/**
 * One segment of one chain of pairs: from its weights to the next refresh, or to the final weights. Under SLE the pairs
 * never talk to each other, so no chain waits for another one.
 */
import { createHash } from 'node:crypto';
import { UnrecoverableError, type Job, type Queue } from 'bullmq';
import {
  isFinal,
  type BackwardTask,
  type ForwardTask,
  type PlannedManifest,
  type RefreshRequest,
  type TaskResult,
} from '@blindfit/protocol';
import {
  AWAITING,
  DONE,
  JOB_OPTIONS,
  RUNNING,
  TASK_OPTIONS,
  taskId,
  type ChainData,
  type ChainRecord,
  type JobData,
  type JobStore,
} from '@blindfit/queue';
import { batchOf, batchRange, chainsOf, groups, shardsOfBatch, type Plan } from '@blindfit/training';
import type { Aggregator } from './aggregator.ts';
import { childResults, type Child } from './children.ts';
import type { SchedulerMetrics } from './metrics.ts';

export interface ChainDependencies {
  readonly tasks: Queue;
  readonly queue: Queue<JobData>;
  readonly jobs: JobStore;
  readonly aggregator: Aggregator;
  readonly metrics: SchedulerMetrics;
  manifest(digest: string): Promise<PlannedManifest>;
}

/** BullMQ runs this again after every group of children; what is done already is read back, never redone. */
export async function runChain(dependencies: ChainDependencies, job: Job<ChainData>, token: string): Promise<void> {
  const { jobs, aggregator, metrics } = dependencies;
  const { data } = job;
  const state = await jobs.state(data.job);
  if (state === undefined || isFinal(state)) throw new UnrecoverableError(`the job is ${state ?? 'unknown'}`);
  const planned = await dependencies.manifest(data.manifest);
  const { plan } = planned;
  const seen = (await jobs.chains(data.job))[data.chain];
  if (isBehind(data, seen)) return finishJobIfDone(dependencies, data);
  const segment = plan.segments[data.segment];
  if (segment === undefined) throw new UnrecoverableError(`there is no segment ${data.segment}`);
  const { fresh } = data;
  const work = {
    job: data.job,
    manifest: data.manifest,
    chain: data.chain,
    segment: data.segment,
    ...(fresh === undefined ? {} : { fresh }),
  };
  let { history } = data;
  while (history.length < segment.count) {
    const iteration = segment.first + history.length;
    const gradients = await gradientsOf(dependencies, job, token, planned, iteration, history.at(-1) ?? fresh?.weights);
    const step = await aggregator.run({ kind: 'step', ...work, iteration, gradients, history }, iteration);
    history = [...history, step];
    await job.updateData({ ...data, history });
    await jobs.setIteration(data.job, data.chain, iteration, plan.iterations[iteration - 1]?.gradient ?? 0);
    metrics.iteration(chainsOf(plan)[data.chain]?.length ?? 0, samplesOf(plan, iteration));
  }
  const last = segment.first + segment.count - 1;
  if (last < plan.hyperparameters.iterations) {
    const request = await requestFor(dependencies, plan, data, last, history);
    await jobs.setChain(data.job, data.chain, seen, { ...recordOf(data, seen), phase: AWAITING, request });
    return;
  }
  const weights = await aggregator.run({ kind: 'finish', ...work, history }, last);
  await jobs.setChain(data.job, data.chain, seen, { ...recordOf(data, seen), phase: DONE, history, weights });
  await finishJobIfDone(dependencies, data);
}

/** How many samples an iteration learns from. */
function samplesOf({ layout, hyperparameters }: Plan, iteration: number): number {
  const { from, to } = batchRange(
    layout.samples,
    layout.batchSize,
    batchOf(layout.batches, hyperparameters, iteration),
  );
  return to - from;
}

/** Whether a chain's record says that this segment is over: the entry was run a second time. */
function isBehind({ segment }: ChainData, record: ChainRecord | undefined): boolean {
  return record !== undefined && (record.segment > segment || (record.segment === segment && record.phase !== RUNNING));
}

/** What stays of the chain's record when the segment ends. */
function recordOf(
  { segment, fresh }: ChainData,
  seen: ChainRecord | undefined,
): Pick<ChainRecord, 'segment' | 'history' | 'fresh' | 'answer'> {
  return {
    segment,
    history: [],
    ...(fresh === undefined ? {} : { fresh }),
    ...(seen?.answer === undefined ? {} : { answer: seen.answer }),
  };
}

/** V of the last iteration, and of the one before for the momentum, at the last level. */
async function requestFor(
  { aggregator }: ChainDependencies,
  plan: Plan,
  data: ChainData,
  iteration: number,
  history: readonly string[],
): Promise<RefreshRequest> {
  const publish = (digest: string, of: number, level: number): Promise<string> =>
    aggregator.run(
      {
        kind: 'publish',
        job: data.job,
        manifest: data.manifest,
        chain: data.chain,
        iteration: of,
        weights: digest,
        level,
      },
      of,
    );
  const levelOf = (of: number): number => plan.iterations[of - 1]?.gradient ?? 0;
  const weights = await publish(history.at(-1) ?? '', iteration, levelOf(iteration));
  const before = history.at(-2);
  const fresh =
    data.fresh === undefined
      ? undefined
      : { digest: data.fresh.weights, level: plan.iterations[iteration - 1]?.weights ?? 0 };
  const previous =
    before !== undefined
      ? await publish(before, iteration - 1, levelOf(iteration - 1))
      : fresh === undefined
        ? undefined
        : await publish(fresh.digest, iteration - 1, fresh.level);
  const id = createHash('sha256')
    .update([data.job, data.chain, iteration, weights].join(' '))
    .digest('hex')
    .slice(0, 32);
  return {
    id,
    chain: data.chain,
    iteration,
    weights,
    ...(previous === undefined ? {} : { previous }),
    since: new Date().toISOString(),
  };
}

/** Whoever ends the last chain, or finds it ended, has the model packed. */
export async function finishJobIfDone(
  { jobs, queue }: Pick<ChainDependencies, 'jobs' | 'queue'>,
  { job, manifest, traceparent }: JobData,
): Promise<void> {
  const chains = await jobs.chains(job);
  if (chains.length === 0 || !chains.every((record) => record?.phase === DONE)) return;
  await queue.add(
    'finish',
    { job, manifest, ...(traceparent === undefined ? {} : { traceparent }) },
    { ...JOB_OPTIONS, jobId: taskId(job, 'finish') },
  );
}

/** Partial gradients of an iteration: forward tasks first, unless the errors need none. */
async function gradientsOf(
  dependencies: ChainDependencies,
  job: Job<ChainData>,
  token: string,
  { plan }: PlannedManifest,
  iteration: number,
  weights: string | undefined,
): Promise<{ pair: number; digest: string }[]> {
  const { data } = job;
  const { layout, grouping, hyperparameters } = plan;
  const pairs = chainsOf(plan)[data.chain] ?? [];
  const batch = shardsOfBatch(layout, batchOf(layout.batches, hyperparameters, iteration));
  const shardGroups = groups(batch.length, grouping.shardsPerTask).map((places) =>
    places.map((place) => batch[place] ?? 0),
  );
  const blockGroups = groups(layout.blocks, grouping.blocksPerTask);
  const common = { job: data.job, manifest: data.manifest, iteration };
  const cells = pairs.flatMap((pair) => shardGroups.map((shards, group) => ({ pair, shards, group })));
  let inputsOf: (pair: number, group: number) => Pick<BackwardTask, 'errors' | 'scores'> = () => ({});
  if (weights !== undefined) {
    const idOf = (pair: number, group: number): string => taskId(data.job, 'forward', iteration, pair, group);
    const forwards = cells.map(({ pair, shards, group }): Child<ForwardTask> => ({
      id: idOf(pair, group),
      data: { kind: 'forward', ...common, pair, shards, weights },
    }));
    const results = await childResults<ForwardTask, TaskResult>(job, token, dependencies.tasks, forwards, TASK_OPTIONS);
    inputsOf = (pair, group) => ({ errors: results.get(idOf(pair, group))?.outputs ?? [] });
  } else if (hyperparameters.initialWeight !== 0) {
    const scores = await dependencies.jobs.scores(data.job);
    inputsOf = (_pair, group) => ({
      scores: (shardGroups[group] ?? []).map((shard) => scores[batch.indexOf(shard)] ?? ''),
    });
  }
  const backwards = cells.flatMap(({ pair, shards, group }) =>
    blockGroups.map((blocks, part): Child<BackwardTask> => ({
      id: taskId(data.job, 'backward', iteration, pair, group, part),
      data: { kind: 'backward', ...common, pair, shards, blocks, ...inputsOf(pair, group) },
    })),
  );
  const results = await childResults<BackwardTask, TaskResult>(job, token, dependencies.tasks, backwards, TASK_OPTIONS);
  return backwards.map((child) => ({ pair: child.data.pair, digest: results.get(child.id)?.outputs[0] ?? '' }));
}
