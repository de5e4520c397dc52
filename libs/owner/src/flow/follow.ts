/** Watches a job to its end and answers the refreshes that it asks for: each shows the owner the weights so far. */
import { ApiProblemError, type BlindfitClient } from '@blindfit/client';
import { isFinal, type JobView, type RefreshRequest } from '@blindfit/protocol';
import type { OwnAnswers } from '../own-answers.ts';
import type { RefreshSession } from '../refresh.ts';
import { interruptible } from './interruptible.ts';
import { sameJob } from './same-job.ts';
import { jobState, type FlowOptions } from './states.ts';
import type { Evaluation } from './training-data.ts';

export interface FollowOptions extends FlowOptions {
  readonly session: RefreshSession;
  /** Judges weights on held-out data, in the clear, on this machine. */
  readonly judge?: Judge | undefined;
  /** Ends the training when so many evaluations in a row are no better than the best one before. */
  readonly patience?: number | undefined;
  /** Whether an abort cancels the job. */
  readonly cancel: boolean;
}

export type Judge = (weights: readonly Float64Array[]) => Evaluation;

/** The best weights by accuracy on the held-out data; among equals, those of the smaller loss. */
export interface Best {
  readonly iteration: number;
  readonly weights: readonly Float64Array[];
  readonly evaluation: Evaluation;
}

export interface Followed {
  /** As it ended. */
  readonly job: JobView;
  /** W_t by iteration, where a refresh showed it; index 0 is iteration 1. */
  readonly history: readonly (readonly Float64Array[] | undefined)[];
  /** Undefined without held-out data or refreshes. */
  readonly best: Best | undefined;
  /** The iteration after which patience ran out. */
  readonly stoppedAfter: number | undefined;
  readonly refresh: RefreshCosts;
}

/** What the owner spent on refreshes. */
export interface RefreshCosts {
  readonly count: number;
  /** Downloads, computing and uploads. */
  readonly seconds: number;
  readonly computeSeconds: number;
  readonly down: number;
  readonly up: number;
}

/**
 * @throws OwnerError when the server shows another job; ForeignAnswerError when the job goes on from an answer that is
 *   not the owner's; ModelError, when the job has ended, for weights that could not be right; the signal's reason;
 *   whatever the API throws
 */
export async function followTraining(
  client: BlindfitClient,
  submitted: JobView,
  options: FollowOptions,
): Promise<Followed> {
  const { session, signal, onProgress, onLog } = options;
  const answers = session.answersFor(submitted);
  const follower = new Follower(interruptible(client, signal), answers, submitted.id, options);
  let last = submitted;
  try {
    for await (const job of client.events(submitted.id, signal === undefined ? {} : { signal })) {
      last = sameJob(job, submitted.manifest);
      onProgress?.(jobState(job, 'training', follower.latest));
      last = await follower.answerAll(job);
      if (follower.stoppedAfter !== undefined && !isFinal(last.state)) {
        onLog?.(
          `stopping after iteration ${follower.stoppedAfter}: ${options.patience} evaluations were no better ` +
            `than that of iteration ${follower.best?.iteration}`,
        );
        last = sameJob(await client.cancel(submitted.id, answers.cancellation()), submitted.manifest);
      }
    }
    answers.checkEnd(last);
    if (session.doubt !== undefined) throw session.doubt;
    const { history, best, stoppedAfter, costs } = follower;
    return { job: last, history, best, stoppedAfter, refresh: { ...costs } };
  } catch (error) {
    // An abandoned run has no reader of its result: cancelling it frees the workers.
    if (options.cancel && signal?.aborted === true && !isFinal(last.state))
      await client.cancel(submitted.id, answers.cancellation()).catch(() => undefined);
    throw error;
  }
}

class Follower {
  readonly history: (readonly Float64Array[] | undefined)[] = [];
  readonly costs = { count: 0, seconds: 0, computeSeconds: 0, down: 0, up: 0 };
  best: Best | undefined;
  latest: (Evaluation & { readonly iteration: number }) | undefined;
  stoppedAfter: number | undefined;
  readonly #client: BlindfitClient;
  readonly #answers: OwnAnswers;
  readonly #job: string;
  readonly #options: FollowOptions;
  /** By iteration: the rows of the classes that refreshes have shown. */
  readonly #partial = new Map<number, (Float64Array | undefined)[]>();
  readonly #answered = new Set<string>();
  #withoutGain = 0;

  constructor(client: BlindfitClient, answers: OwnAnswers, job: string, options: FollowOptions) {
    this.#client = client;
    this.#answers = answers;
    this.#job = job;
    this.#options = options;
  }

  /** Answers the requests of a view, and those that come up meanwhile. @returns the job as it is then */
  async answerAll(job: JobView): Promise<JobView> {
    let view = job;
    for (;;) {
      const request = view.refreshes.find(({ id }) => !this.#answered.has(id));
      if (request === undefined || this.stoppedAfter !== undefined) return view;
      this.#options.signal?.throwIfAborted();
      view = await this.#answer(view, request);
    }
  }

  async #answer(view: JobView, request: RefreshRequest): Promise<JobView> {
    const { session } = this.#options;
    const answers = this.#answers;
    answers.checkBefore(view, request);
    const client = this.#client;
    const started = performance.now();
    const weights = await client.blob(request.weights);
    const previous =
      session.knowsPrevious(request) || request.previous === undefined
        ? undefined
        : await client.blob(request.previous);
    const computing = performance.now();
    const answer = session.answer(request, weights, previous);
    const computed = performance.now();
    this.#take(request.iteration, answer.model);
    await Promise.all(
      [answer.weights, answer.momentum].map(({ digest, bytes }) => client.putBlob(digest, bytes, { fresh: true })),
    );
    const facts = { id: request.id, weights: answer.weights.digest, momentum: answer.momentum.digest };
    const answered = await this.#post(request, answers.signed(request, facts));
    sameJob(answered, view.manifest);
    this.#answered.add(request.id);
    this.costs.count++;
    this.costs.computeSeconds += (computed - computing) / 1000;
    this.costs.seconds += (performance.now() - started) / 1000;
    this.costs.down += weights.length + (previous === undefined ? 0 : previous.length);
    this.costs.up += answer.weights.bytes.length + answer.momentum.bytes.length;
    return answered;
  }

  async #post(request: RefreshRequest, answer: Parameters<BlindfitClient['refresh']>[1]): Promise<JobView> {
    try {
      return await this.#client.refresh(this.#job, answer);
    } catch (error) {
      if (!(error instanceof ApiProblemError) || error.status !== 409) throw error;
      // Another client with the same keys was faster, or the job has ended. Its answer is checked before the next one.
      const view = await this.#client.job(this.#job);
      if (!isFinal(view.state) && view.refreshes.some(({ id }) => id === request.id)) throw error;
      return view;
    }
  }

  /** Keeps W_t of a chain. When all chains are known, their weights are judged. */
  #take(iteration: number, model: readonly (Float64Array | undefined)[]): void {
    const rows = this.#partial.get(iteration) ?? model.map(() => undefined);
    model.forEach((row, label) => (rows[label] = row ?? rows[label]));
    this.#partial.set(iteration, rows);
    const weights = rows.filter((row) => row !== undefined);
    if (weights.length < rows.length) return;
    this.#partial.delete(iteration);
    while (this.history.length < iteration - 1) this.history.push(undefined);
    this.history[iteration - 1] = weights;
    this.#judge(iteration, weights);
  }

  #judge(iteration: number, weights: readonly Float64Array[]): void {
    const { judge, patience } = this.#options;
    if (judge === undefined) return;
    const evaluation = judge(weights);
    this.latest = { ...evaluation, iteration };
    if (this.best === undefined || isBetter(evaluation, this.best.evaluation)) {
      this.best = { iteration, weights, evaluation };
      this.#withoutGain = 0;
      return;
    }
    this.#withoutGain++;
    // In doubt the training runs to its end: what the owner does must not depend on weights that others have chosen.
    if (patience !== undefined && this.#options.session.doubt === undefined && this.#withoutGain >= patience)
      this.stoppedAfter = iteration;
  }
}

export function isBetter(a: Evaluation, b: Evaluation): boolean {
  return a.accuracy > b.accuracy || (a.accuracy === b.accuracy && a.loss < b.loss);
}
