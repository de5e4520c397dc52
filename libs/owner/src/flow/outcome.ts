/** The trained model of a job that has ended, or that was stopped. */
import type { BlindfitClient } from '@blindfit/client';
import type { JobResult, JobView } from '@blindfit/protocol';
import type { Plan } from '@blindfit/training';
import { decryptIterates, decryptModel } from '../decrypt-model.ts';
import { ModelError, OwnerError } from '../errors.ts';
import type { Keyset } from '../keyset.ts';
import { isBetter, type Followed, type Judge } from './follow.ts';

export interface Outcome {
  readonly weights: readonly Float64Array[];
  /** The iteration whose weights these are. */
  readonly iteration: number;
  /** W_t by iteration, where the owner saw it. */
  readonly history: readonly (readonly Float64Array[] | undefined)[];
  /** Undefined when the owner stopped the job. */
  readonly result: JobResult | undefined;
  readonly modelBytes: number;
}

/**
 * Downloads and decrypts the model.
 * @param judge when given, the best weights of the run are the model
 * @throws OwnerError when the job has failed, or another client cancelled it; ModelError for a result of another size
 */
export async function outcomeOf(
  client: BlindfitClient,
  keyset: Keyset,
  plan: Plan,
  followed: Followed,
  judge: Judge | undefined,
): Promise<Outcome> {
  const { job, best, stoppedAfter } = followed;
  if (stoppedAfter !== undefined && best !== undefined && job.state === 'cancelled')
    return { ...best, history: followed.history, result: undefined, modelBytes: 0 };
  const result = resultOf(job);
  checkCounts(result, plan);
  const models = await client.result(job.id, result.models);
  const last = decryptModel(keyset, plan, models);
  const iterates = await Promise.all(
    result.iterates.map((row) => Promise.all(row.map((digest) => client.blob(digest)))),
  );
  const { iterations } = plan.hyperparameters;
  const history =
    iterates.length > 0
      ? decryptIterates(keyset, plan, iterates)
      : Array.from({ length: iterations }, (_, index) => (index === iterations - 1 ? last : followed.history[index]));
  const bestIsModel = judge !== undefined && best !== undefined && !isBetter(judge(last), best.evaluation);
  const { weights, iteration } = bestIsModel ? best : { weights: last, iteration: iterations };
  return { weights, iteration, history, result, modelBytes: models.reduce((sum, model) => sum + model.length, 0) };
}

/** Before anything is downloaded: a list of any length would be. @throws ModelError */
function checkCounts({ models, iterates }: JobResult, { layout, hyperparameters }: Plan): void {
  const { iterations } = hyperparameters;
  const wrong = [models, ...iterates].find((row) => row.length !== layout.models);
  if (wrong !== undefined)
    throw new ModelError(
      `a model of ${wrong.length} ciphertexts`,
      `${layout.models} are needed for ${layout.classes} classes of ${layout.features} features`,
    );
  if (iterates.length > 0 && iterates.length !== iterations)
    throw new ModelError(
      `weights of ${iterates.length} iterations`,
      `the job has ${iterations}: the server returned something else than its result`,
    );
}

/** @throws OwnerError for a job that has failed or was cancelled, with the reason */
export function resultOf(job: JobView): JobResult {
  if (job.state === 'succeeded' && job.result !== undefined) return job.result;
  if (job.state === 'cancelled') throw new OwnerError(`${job.id} was cancelled`);
  const { message = 'no reason given', task } = job.error ?? {};
  throw new OwnerError(`${job.id} ${job.state}: ${message}`, {
    hint:
      job.state === 'failed'
        ? (task === undefined ? '' : `it happened in task ${task}; the worker's log says more; `) +
          `to go on from the last finished step when the cause is mended: blindfit retry ${job.id}`
        : undefined,
  });
}
