/** The owner comes back to a job: follows it, answers its refreshes, decrypts its model. */
import { at } from '@blindfit/base';
import type { BlindfitClient } from '@blindfit/client';
import type { Model } from '@blindfit/data';
import type { JobView } from '@blindfit/protocol';
import type { KeyStore } from '../key-store.ts';
import { openKeyset } from '../keyset.ts';
import { RefreshSession } from '../refresh.ts';
import { followTraining, type Judge, type RefreshCosts } from './follow.ts';
import { forSubmitted } from './give-up.ts';
import { interruptible } from './interruptible.ts';
import { modelOf } from './model.ts';
import { outcomeOf } from './outcome.ts';
import type { FlowOptions } from './states.ts';
import { submittedPlan } from './submitted-plan.ts';
import type { Ticket } from './ticket.ts';
import { evaluate, type Scorable } from './training-data.ts';
import { checkAgainstTwin } from './twin.ts';

export interface AttachRequest extends FlowOptions {
  readonly ticket: Ticket;
  /** The keys that the job was submitted with. */
  readonly keys: KeyStore;
  /** Held-out data. */
  readonly validation?: Scorable | undefined;
  /** Stops the job when so many evaluations in a row are no better than the best; its weights are the model. */
  readonly patience?: number | undefined;
}

export interface AttachReport {
  /** As it ended. */
  readonly job: JobView;
  readonly model: Model;
  /** Classes x (features + 1), decrypted. */
  readonly weights: readonly Float64Array[];
  /** The iteration whose weights these are. */
  readonly iteration: number;
  /** The iteration after which patience ran out. */
  readonly stoppedAfter: number | undefined;
  readonly refresh: RefreshCosts;
  /** Part of 1; undefined without held-out data. */
  readonly accuracy: number | undefined;
}

/**
 * An abort ends this call and not the job.
 * @throws OwnerError when the job fails, is cancelled, or is not the one of the ticket; KeysetError;
 *   ForeignAnswerError; ModelError, also when the model is further from the clear twin than the plan allows; what the
 *   API throws
 */
export async function attach(server: BlindfitClient, request: AttachRequest): Promise<AttachReport> {
  const client = interruptible(server, request.signal);
  const { ticket, validation, patience, signal, onProgress, onLog } = request;
  const { job, plan } = await submittedPlan(client, ticket);
  using keyset = await openKeyset({ keys: request.keys, plan, create: false });
  const judge: Judge | undefined =
    validation === undefined ? undefined : (weights) => evaluate(weights, validation, ticket.classes.length);
  const followed = await forSubmitted(job.id, () =>
    followTraining(server, job, {
      session: new RefreshSession(keyset, plan, ticket.stepBound),
      judge,
      patience,
      cancel: false,
      signal,
      onProgress,
      onLog,
    }),
  );
  const { weights, iteration } = await forSubmitted(job.id, () =>
    outcomeOf(client, keyset, plan, followed, patience === undefined ? undefined : judge),
  );
  // Tickets of earlier releases know no twin, and none knows it of earlier iterations, which patience may choose.
  if (ticket.twin !== undefined && iteration === plan.hyperparameters.iterations)
    checkAgainstTwin(weights, ticket.twin.weights, ticket.twin.precision);
  else onLog?.(`the weights of iteration ${iteration} were not compared with the clear twin: it is not in the ticket`);
  const { classes, input, preprocessing, backbone, temperatures } = ticket;
  const temperature = temperatures && at(temperatures, iteration - 1, 'temperatures of the ticket');
  return {
    job: followed.job,
    model: modelOf(plan, { job: job.id, classes, input, preprocessing, backbone, temperature, weights, iteration }),
    weights,
    iteration,
    stoppedAfter: followed.stoppedAfter,
    refresh: followed.refresh,
    accuracy: judge?.(weights).accuracy,
  };
}
