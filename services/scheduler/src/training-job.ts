/** The beginning of a training job (start scores, a chain for every few pairs of classes) and its end (the model). */
import type { Job, Queue } from 'bullmq';
import { required } from '@blindfit/base';
import { isFinal } from '@blindfit/protocol';
import { addSegment, type ChainPayload, type JobPayload } from '@blindfit/queue';
import { bind, chainsOf, finishId, packStage, startStage, updateId } from '@blindfit/training';
import type { Admission, Applicant } from './admission.ts';
import type { ChainDependencies } from './chain.ts';
import { runChildren, type Parent } from './children.ts';
import { assertNotEnded } from './not-ended.ts';
import { Results } from './results.ts';

export interface JobDependencies extends ChainDependencies {
  readonly chains: Pick<Queue<ChainPayload>, 'add'>;
  readonly admission: Pick<Admission, 'start'>;
}

/** BullMQ runs this again after the start scores. From its end on the chains' records say what is to be done. */
export async function runTrainingJob(
  dependencies: JobDependencies,
  entry: Parent & Applicant,
  token: string,
): Promise<void> {
  const { jobs, aggregator, admission, chains } = dependencies;
  const { data } = entry;
  const plan = await dependencies.planOf(data.manifest);
  const state = await assertNotEnded(jobs, data.job);
  if (await jobs.isPlanned(data.job)) return;
  if (state === 'queued') {
    await admission.start(entry, token);
    aggregator.prepare(data);
  }
  const results = new Results();
  const steps = startStage(plan);
  if (steps.length > 0) {
    await jobs.setPhase(data.job, 'start');
    const children = steps.map((step) => ({ step: step.id, work: bind(step, results.outputsOf) }));
    await runChildren(dependencies, entry, token, children, results);
  }
  await jobs.setPhase(data.job, 'training');
  await jobs.setPlanned(
    data.job,
    steps.flatMap(({ id }) => results.outputsOf(id)),
  );
  await Promise.all(chainsOf(plan).map((_, chain) => addSegment(chains, jobs.turns, data, chain, undefined)));
}

/** All chains are done: packs the model, and V of every iteration where no refresh has shown it to the owner. */
export async function finishTrainingJob(
  dependencies: ChainDependencies,
  { data }: Pick<Job<JobPayload>, 'data'>,
): Promise<void> {
  const { jobs, aggregator, metrics } = dependencies;
  const state = await jobs.state(data.job);
  if (state === undefined || isFinal(state)) return;
  const plan = await dependencies.planOf(data.manifest);
  await jobs.setPhase(data.job, 'packing');
  const results = new Results();
  for (const [chain, record] of (await jobs.chains(data.job)).entries()) {
    const { history, weights } = required(record, `the record of chain ${chain}`);
    results.set(finishId(plan, chain), [required(weights, `the weights of chain ${chain}`)]);
    if (plan.segments.length > 1) continue;
    for (const [index, digest] of history.entries()) results.set(updateId(index + 1, chain), [digest]);
  }
  const packed: string[][] = [];
  for (const step of packStage(plan)) packed.push(await aggregator.run(data, step.id, bind(step, results.outputsOf)));
  const models = required(packed.pop(), 'the packed model');
  const created = (await jobs.get(data.job))?.createdAt;
  if (await jobs.succeed(data.job, models, packed))
    metrics.jobEnded('succeeded', created === undefined ? undefined : (Date.now() - Date.parse(created)) / 1000);
}
