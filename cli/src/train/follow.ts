/** Watches a job to its end, and answers the refreshes it asks for on the way: each is a look at the weights so far. */
import { ApiProblemError, type BlindfitClient } from '@blindfit/client';
import { ModelError, type RefreshSession } from '@blindfit/owner';
import { isFinal, type JobView, type RefreshRequest } from '@blindfit/protocol';
import type { Plan } from '@blindfit/training';
import type { Progress } from '../progress.ts';
import type { Evaluation } from './data.ts';

export interface FollowOptions {
  readonly plan: Plan;
  readonly session: RefreshSession;
  /** On held-out data, in the clear, on this machine. */
  readonly evaluate?: (weights: readonly Float64Array[]) => Evaluation;
  /** Ends the training when so many evaluations in a row are no better than the best one before. */
  readonly patience?: number;
  /** Whether an abort, and weights that cannot be right, cancel the job. */
  readonly cancel: boolean;
}

/** The best weights by accuracy on the held-out data; of equals, those of the smaller loss. */
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

export async function followTraining(
  client: BlindfitClient,
  submitted: JobView,
  options: FollowOptions,
  progress: Progress,
  signal: AbortSignal,
): Promise<Followed> {
  const follower = new Follower(client, submitted.id, options);
  let last = submitted;
  try {
    for await (const job of client.events(submitted.id, { signal })) {
      last = job;
      progress.update(progressOf(job, follower.latest));
      last = await follower.answerAll(job, signal);
      if (follower.stoppedAfter !== undefined && !isFinal(last.state)) {
        progress.log(
          `stopping after iteration ${follower.stoppedAfter}: ${options.patience ?? 0} evaluations were no better than that of iteration ${follower.best?.iteration ?? 0}`,
        );
        last = await client.cancel(submitted.id);
      }
    }
    return {
      job: last,
      history: follower.history,
      best: follower.best,
      stoppedAfter: follower.stoppedAfter,
      refresh: { ...follower.costs },
    };
  } catch (error) {
    // Nobody could fetch the result of an abandoned run: free the workers.
    if (options.cancel && (signal.aborted || error instanceof ModelError) && !isFinal(last.state))
      await client.cancel(submitted.id).catch(() => undefined);
    throw error;
  }
}

function progressOf(
  job: JobView,
  latest: (Evaluation & { readonly iteration: number }) | undefined,
): Parameters<Progress['update']>[0] {
  const { phase, tasksDone, tasksTotal, iteration, iterations, classes, levelsLeft, etaSeconds } = job.progress;
  const refreshed = job.refreshes.length > 0 ? ', refreshing' : '';
  const seen =
    latest === undefined
      ? ''
      : `, held out ${(100 * latest.accuracy).toFixed(2)} %, loss ${latest.loss.toFixed(3)} after ${latest.iteration}`;
  return {
    phase: phase === 'queued' ? 'waiting for a worker' : 'training',
    done: tasksDone,
    total: tasksTotal,
    text: `task ${tasksDone}/${tasksTotal}, iteration ${Math.min(iteration + 1, iterations)}/${iterations}, ${levelsLeft} levels left${classes === undefined ? '' : `, class ${classes}`}${refreshed}${seen}`,
    ...(etaSeconds === undefined ? {} : { etaSeconds }),
  };
}

class Follower {
  readonly history: (readonly Float64Array[] | undefined)[] = [];
  readonly costs = { count: 0, seconds: 0, computeSeconds: 0, down: 0, up: 0 };
  best: Best | undefined;
  latest: (Evaluation & { readonly iteration: number }) | undefined;
  stoppedAfter: number | undefined;
  readonly #client: BlindfitClient;
  readonly #job: string;
  readonly #options: FollowOptions;
  /** By iteration: rows of the classes seen so far. */
  readonly #partial = new Map<number, (Float64Array | undefined)[]>();
  readonly #answered = new Set<string>();
  #withoutGain = 0;

  constructor(client: BlindfitClient, job: string, options: FollowOptions) {
    this.#client = client;
    this.#job = job;
    this.#options = options;
  }

  /** Answers what is asked for, and what is asked for meanwhile. @returns the job as it is then */
  async answerAll(job: JobView, signal: AbortSignal): Promise<JobView> {
    let view = job;
    for (;;) {
      const request = view.refreshes.find(({ id }) => !this.#answered.has(id));
      if (request === undefined || this.stoppedAfter !== undefined) return view;
      signal.throwIfAborted();
      view = await this.#answer(request);
    }
  }

  async #answer(request: RefreshRequest): Promise<JobView> {
    const { session } = this.#options;
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
    await Promise.all([answer.weights, answer.momentum].map(({ digest, bytes }) => client.putBlob(digest, bytes)));
    const view = await this.#post(request, {
      id: request.id,
      weights: answer.weights.digest,
      momentum: answer.momentum.digest,
    });
    this.#answered.add(request.id);
    this.costs.count++;
    this.costs.computeSeconds += (computed - computing) / 1000;
    this.costs.seconds += (performance.now() - started) / 1000;
    this.costs.down += weights.length + (previous?.length ?? 0);
    this.costs.up += answer.weights.bytes.length + answer.momentum.bytes.length;
    return view;
  }

  async #post(request: RefreshRequest, answer: Parameters<BlindfitClient['refresh']>[1]): Promise<JobView> {
    try {
      return await this.#client.refresh(this.#job, answer);
    } catch (error) {
      if (!(error instanceof ApiProblemError) || error.status !== 409) throw error;
      // Another client of the same owner was faster, or the job has ended.
      const view = await this.#client.job(this.#job);
      if (!isFinal(view.state) && view.refreshes.some(({ id }) => id === request.id)) throw error;
      return view;
    }
  }

  /** Keeps W_t of a chain; when all chains are there, looks at how good they are. */
  #take(iteration: number, model: readonly (Float64Array | undefined)[]): void {
    const rows = this.#partial.get(iteration) ?? model.map(() => undefined);
    model.forEach((row, k) => (rows[k] = row ?? rows[k]));
    this.#partial.set(iteration, rows);
    const weights = rows.filter((row) => row !== undefined);
    if (weights.length < rows.length) return;
    this.#partial.delete(iteration);
    while (this.history.length < iteration - 1) this.history.push(undefined);
    this.history[iteration - 1] = weights;
    this.#judge(iteration, weights);
  }

  #judge(iteration: number, weights: readonly Float64Array[]): void {
    const { evaluate, patience } = this.#options;
    if (evaluate === undefined) return;
    const evaluation = evaluate(weights);
    this.latest = { ...evaluation, iteration };
    if (this.best === undefined || isBetter(evaluation, this.best.evaluation)) {
      this.best = { iteration, weights, evaluation };
      this.#withoutGain = 0;
      return;
    }
    this.#withoutGain++;
    if (patience !== undefined && this.#withoutGain >= patience) this.stoppedAfter = iteration;
  }
}

export function isBetter(a: Evaluation, b: Evaluation): boolean {
  return a.accuracy > b.accuracy || (a.accuracy === b.accuracy && a.loss < b.loss);
}
