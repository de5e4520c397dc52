/**
 * One segment of one chain of pairs: from its weights to the next refresh, or to the final weights. Under SLE the pairs
 * never talk to each other, so no chain waits for another one.
 */
import { createHash } from 'node:crypto';
import { UnrecoverableError, type Job, type Queue } from 'bullmq';
import { at, defined, required } from '@blindfit/base';
import { isAnswerOf, type RefreshRequest } from '@blindfit/protocol';
import {
  AWAITING,
  DONE,
  FIRST_PRIORITY,
  JOB_OPTIONS,
  RUNNING,
  taskId,
  type ChainPayload,
  type ChainRecord,
  type JobPayload,
  type JobStore,
} from '@blindfit/queue';
import {
  batchOf,
  batchRange,
  bind,
  chainsOf,
  refreshId,
  segmentStages,
  startStage,
  updateId,
  type Plan,
  type RefreshWork,
} from '@blindfit/training';
import type { Aggregator } from './aggregator.ts';
import { runChildren, type Child, type ChildDependencies, type Parent } from './children.ts';
import type { SchedulerMetrics } from './metrics.ts';
import { assertNotEnded } from './not-ended.ts';
import { Results } from './results.ts';

export interface ChainDependencies extends ChildDependencies {
  readonly queue: Pick<Queue<JobPayload>, 'add'>;
  readonly jobs: Pick<
    JobStore,
    | 'chains'
    | 'get'
    | 'isPlanned'
    | 'scores'
    | 'setChain'
    | 'setIteration'
    | 'setPhase'
    | 'setPlanned'
    | 'start'
    | 'state'
    | 'succeed'
  > &
    ChildDependencies['jobs'];
  readonly aggregator: Pick<Aggregator, 'prepare' | 'run'>;
  readonly metrics: Pick<SchedulerMetrics, 'iteration' | 'jobEnded'>;
  /** The plan of a training. @param digest of its manifest */
  planOf(digest: string): Promise<Plan>;
  /** Whose signatures the answers to a training's refreshes carry. @param digest of its manifest */
  signerOf(digest: string): Promise<string | undefined>;
}

/** The parts of the BullMQ entry of a segment that running it needs. */
export type ChainEntry = Omit<Parent, 'data'> & Pick<Job<ChainPayload>, 'data' | 'updateData'>;

/** BullMQ runs this again after every stage of tasks. What is done already is read back, never redone. */
export async function runChain(dependencies: ChainDependencies, entry: ChainEntry, token: string): Promise<void> {
  const { jobs, aggregator, metrics } = dependencies;
  const { data } = entry;
  const { job, chain } = data;
  await assertNotEnded(jobs, job);
  const plan = await dependencies.planOf(data.manifest);
  const record = (await jobs.chains(job))[chain];
  if (isBehind(data, record)) return finishJobIfDone(dependencies, data);
  const segment = plan.segments[data.segment];
  if (segment === undefined) throw new UnrecoverableError(`there is no segment ${data.segment}`);
  if (data.segment > 0) assertOwnAnswer(await dependencies.signerOf(data.manifest), plan, data, record);
  const results = await earlierResults(jobs, plan, data);
  const { segment: number, fresh } = data;
  const next = { segment: number, fresh, answer: record?.answer };
  let { history } = data;
  for (const stage of segmentStages(plan, chain, number)) {
    const children: Child[] = [];
    for (const step of stage) {
      // Done before the entry was run again.
      if (
        step.iteration < segment.first + history.length &&
        step.kind !== 'publish' &&
        step.kind !== 'refresh' &&
        step.kind !== 'finish'
      )
        continue;
      const work = bind(step, results.outputsOf);
      switch (work.kind) {
        case 'start':
        case 'forward':
        case 'backward':
          children.push({ step: step.id, work });
          break;
        case 'refresh':
          await jobs.setChain(job, chain, record, {
            ...next,
            phase: AWAITING,
            history: [],
            request: requestOf(data, work),
          });
          break;
        default: {
          const outputs = await aggregator.run(data, step.id, work);
          results.set(step.id, outputs);
          const output = at(outputs, 0, `results of ${step.id}`);
          if (work.kind === 'step') {
            history = [...history, output];
            await entry.updateData({ ...data, history });
            await jobs.setIteration(
              job,
              chain,
              work.iteration,
              at(plan.iterations, work.iteration - 1, 'iterations').gradient,
            );
            metrics.iteration(at(chainsOf(plan), chain, 'chains').length, samplesOf(plan, work.iteration));
          } else if (work.kind === 'finish') {
            await jobs.setChain(job, chain, record, { ...next, phase: DONE, history, weights: output });
            await finishJobIfDone(dependencies, data);
          }
        }
      }
    }
    if (children.length > 0) await runChildren(dependencies, entry, token, children, results, chainsOf(plan).length);
  }
}

/**
 * The API has checked the answer already. Whoever can write to Redis but has no key of the owner gets no further.
 * @throws UnrecoverableError when the weights that the segment starts from are not those of an answer that the owner of
 *   the job signed for this chain and iteration
 */
function assertOwnAnswer(
  signer: string | undefined,
  plan: Plan,
  data: ChainPayload,
  record: ChainRecord | undefined,
): void {
  const { job, manifest, chain, segment, fresh } = data;
  const iteration = at(plan.segments, segment, 'segments').first - 1;
  const answer = record?.answer;
  if (
    signer !== undefined &&
    answer !== undefined &&
    answer.weights === fresh?.weights &&
    answer.momentum === fresh.momentum &&
    isAnswerOf(signer, { id: job, manifest }, { chain, iteration }, answer)
  )
    return;
  throw new UnrecoverableError(
    `NOT_SIGNED_BY_OWNER: the owner has not signed the answer for chain ${chain} after iteration ${iteration}`,
  );
}

/** The number of samples that an iteration learns from. */
function samplesOf({ layout, hyperparameters }: Plan, iteration: number): number {
  const { from, to } = batchRange(
    layout.samples,
    layout.batchSize,
    batchOf(layout.batches, hyperparameters, iteration),
  );
  return to - from;
}

/** Whether a chain's record says that this segment is over: the entry runs a second time. */
function isBehind({ segment }: ChainPayload, record: ChainRecord | undefined): boolean {
  return record !== undefined && (record.segment > segment || (record.segment === segment && record.phase !== RUNNING));
}

/** Results that a segment begins with: the start scores, the owner's last answer, V of the iterations done. */
async function earlierResults(
  jobs: Pick<JobStore, 'scores'>,
  plan: Plan,
  { job, chain, segment, fresh, history }: ChainPayload,
): Promise<Results> {
  const results = new Results();
  if (segment === 0) {
    const steps = startStage(plan);
    const scores = steps.length === 0 ? [] : await jobs.scores(job);
    let from = 0;
    for (const { id, shards } of steps) results.set(id, scores.slice(from, (from += shards.length)));
  } else {
    const { weights, momentum } = required(fresh, `the answer before segment ${segment}`);
    results.set(refreshId(plan, segment - 1, chain), [weights, momentum]);
  }
  const { first } = at(plan.segments, segment, 'segments');
  for (const [position, digest] of history.entries()) results.set(updateId(first + position, chain), [digest]);
  return results;
}

function requestOf(
  { job, chain }: ChainPayload,
  { iteration, weights, previous }: RefreshWork<string>,
): RefreshRequest {
  const id = createHash('sha256').update([job, chain, iteration, weights].join(' ')).digest('hex').slice(0, 32);
  return defined<RefreshRequest>({ id, chain, iteration, weights, previous, since: new Date().toISOString() });
}

/** Has the model packed when all chains are done. Safe to repeat. */
export async function finishJobIfDone(
  { jobs, queue }: { readonly jobs: Pick<JobStore, 'chains'>; readonly queue: Pick<Queue<JobPayload>, 'add'> },
  { job, manifest, traceparent }: JobPayload,
): Promise<void> {
  const chains = await jobs.chains(job);
  if (chains.length === 0 || !chains.every((record) => record?.phase === DONE)) return;
  await queue.add(
    'finish',
    { job, manifest, traceparent },
    { ...JOB_OPTIONS, jobId: taskId(job, 'finish'), priority: FIRST_PRIORITY },
  );
}
