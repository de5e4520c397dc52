/** An owner who follows a training: patience, doubts, other clients and interruptions, without any server. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { at } from '@blindfit/base';
import { ApiProblemError, type BlindfitClient } from '@blindfit/client';
import type { JobView } from '@blindfit/protocol';
import { ModelError, OwnerError } from '../src/errors.ts';
import { followTraining, isBetter, type FollowOptions } from '../src/flow/follow.ts';

const ID = 'job-a';
const SIGNATURE = 'the signature of the cancellation';

const requestOf = (iteration: number) => ({
  id: `r${iteration}`,
  chain: 0,
  iteration,
  weights: 'w',
  previous: 'the one before',
  since: '',
});

function viewOf(iteration: number | undefined, more: Partial<JobView> = {}): JobView {
  const refreshes = iteration === undefined ? [] : [requestOf(iteration)];
  const progress = { phase: 'training', tasksDone: 0, tasksTotal: 1 };
  return { id: ID, manifest: 'm', state: 'running', progress, refreshes, answers: [], ...more } as unknown as JobView;
}

interface Given {
  /** By iteration: accuracy and loss of the weights that its refresh shows. */
  readonly evaluations?: readonly (readonly [number, number])[];
  readonly iterations: number;
  readonly doubt?: ModelError;
  /** What the API answers to the answer after an iteration. @default the view with the next request */
  readonly refresh?: (iteration: number) => Promise<JobView>;
  /** The job as it is read in between. */
  readonly job?: JobView;
  readonly options?: Partial<FollowOptions>;
}

/** Follows a job that asks for a refresh after every iteration. */
async function follow({ evaluations, iterations, doubt, refresh, job, options = {} }: Given) {
  const answered: number[] = [];
  const cancelled: (string | undefined)[] = [];
  const checked: number[] = [];
  const ended = viewOf(undefined, { state: 'succeeded' });
  const next = (iteration: number): JobView => (iteration < iterations ? viewOf(iteration + 1) : ended);
  let current = 0;
  const client = {
    async *events() {
      yield await Promise.resolve(viewOf(1));
      if (cancelled.length === 0) yield ended;
    },
    blob: (digest: string) => Promise.resolve(new Uint8Array(digest === 'w' ? 1 : 7)),
    putBlob: () => Promise.resolve(),
    refresh: (_id: string, { id }: { readonly id: string }) => {
      const iteration = Number(id.slice(1));
      answered.push(iteration);
      return refresh?.(iteration) ?? Promise.resolve(next(iteration));
    },
    job: () => Promise.resolve(job ?? ended),
    cancel: (_id: string, signature: string | undefined) => {
      cancelled.push(signature);
      return Promise.resolve(viewOf(undefined, { state: 'cancelled' }));
    },
  } as unknown as BlindfitClient;
  const session = {
    doubt,
    knowsPrevious: () => true,
    answersFor: () => ({
      checkBefore: (_view: JobView, { iteration }: { readonly iteration: number }) => void checked.push(iteration),
      checkEnd: () => undefined,
      cancellation: () => SIGNATURE,
      signed: (_place: unknown, facts: object) => ({ ...facts, signature: 's' }),
    }),
    answer: ({ iteration }: { readonly iteration: number }) => {
      current = iteration;
      const blob = { digest: 'd', bytes: new Uint8Array(2) };
      return { weights: blob, momentum: blob, model: [Float64Array.of(iteration), Float64Array.of(-iteration)] };
    },
  };
  const judge =
    evaluations &&
    (() => {
      const [accuracy, loss] = at(evaluations, current - 1, 'evaluations');
      return { accuracy, loss };
    });
  const outcome = await followTraining(client, viewOf(undefined), {
    session: session as never,
    judge,
    cancel: false,
    ...options,
  }).catch((error: unknown) => error);
  return { outcome, answered, cancelled, checked };
}

function followed(outcome: unknown): Awaited<ReturnType<typeof followTraining>> {
  assert.ok(typeof outcome === 'object' && outcome !== null && 'history' in outcome, String(outcome));
  return outcome as Awaited<ReturnType<typeof followTraining>>;
}

it('patience runs out after so many evaluations that are no better, and begins again with a better one', async () => {
  const accuracies = [0.5, 0.4, 0.6, 0.6, 0.5, 0.9, 0.9];
  const evaluations = accuracies.map((accuracy) => [accuracy, 1] as const);
  for (const [patience, stop, best] of [
    [1, 2, 1],
    [2, 5, 3],
    [3, undefined, 6],
  ] as const) {
    const { outcome, answered, cancelled } = await follow({ evaluations, iterations: 7, options: { patience } });
    const { stoppedAfter, best: found, job, history } = followed(outcome);
    assert.deepEqual([stoppedAfter, found?.iteration], [stop, best], `patience ${patience}`);
    assert.deepEqual(cancelled, stop === undefined ? [] : [SIGNATURE]);
    assert.equal(job.state, stop === undefined ? 'succeeded' : 'cancelled');
    assert.equal(answered.length, stop ?? 7, 'nothing is answered afterwards');
    assert.deepEqual(
      history.map((weights) => weights?.map((row) => row[0])),
      answered.map((iteration) => [iteration, -iteration]),
    );
  }
});

it('of equals those of the smaller loss are better', () => {
  assert.deepEqual(
    [
      [0.6, 1, 0.5, 0.1],
      [0.5, 1, 0.5, 2],
      [0.5, 1, 0.5, 1],
      [0.5, 2, 0.5, 1],
      [0.4, 0, 0.5, 9],
    ].map(([accuracy = NaN, loss = NaN, other = NaN, otherLoss = NaN]) =>
      isBetter({ accuracy, loss }, { accuracy: other, loss: otherLoss }),
    ),
    [true, true, false, false, false],
  );
});

it('every request is checked before it is answered, and its costs are counted', async () => {
  const { outcome, checked, answered } = await follow({ iterations: 3 });
  assert.deepEqual(
    [checked, answered],
    [
      [1, 2, 3],
      [1, 2, 3],
    ],
  );
  const { refresh, best } = followed(outcome);
  assert.deepEqual([refresh.count, refresh.down, refresh.up, best], [3, 3, 12, undefined]);
});

it('a doubt is told at the end: until then nothing shows it, patience included', async () => {
  const doubt = new ModelError('too far', 'do not use it');
  const evaluations = [0.5, 0.4, 0.3].map((accuracy) => [accuracy, 1] as const);
  const { outcome, answered, cancelled } = await follow({
    evaluations,
    iterations: 3,
    doubt,
    options: { patience: 1 },
  });
  assert.equal(outcome, doubt);
  assert.deepEqual([answered, cancelled], [[1, 2, 3], []]);
});

it('a conflict passes when another client was faster or the job has ended, and is told when it asks on', async () => {
  const conflict = new ApiProblemError({ status: 409, code: 'REFRESH_NOT_AWAITED', title: 'no', detail: 'x' });
  const refresh = (iteration: number): Promise<JobView> =>
    iteration === 1 ? Promise.reject(conflict) : Promise.resolve(viewOf(undefined, { state: 'succeeded' }));
  for (const [job, answers] of [
    [viewOf(2), [1, 2]],
    [viewOf(undefined, { state: 'failed' }), [1]],
  ] as const) {
    const { outcome, answered } = await follow({ iterations: 2, refresh, job });
    followed(outcome);
    assert.deepEqual(answered, answers);
  }
  assert.equal((await follow({ iterations: 2, refresh, job: viewOf(1) })).outcome, conflict);
  const other = new ApiProblemError({ status: 422, code: 'BLOBS_MISSING', title: 'no', detail: 'x' });
  const refused = await follow({ iterations: 2, refresh: () => Promise.reject(other), job: viewOf(2) });
  assert.equal(refused.outcome, other);
});

it('an abort is seen between two refreshes, and cancels the job only where that is wanted', async () => {
  for (const cancel of [true, false]) {
    const aborter = new AbortController();
    const reason = new Error('enough');
    const refresh = (iteration: number): Promise<JobView> => {
      aborter.abort(reason);
      return Promise.resolve(viewOf(iteration + 1));
    };
    const { outcome, answered, cancelled } = await follow({
      iterations: 5,
      refresh,
      options: { cancel, signal: aborter.signal },
    });
    assert.equal(outcome, reason);
    assert.deepEqual([answered, cancelled], [[1], cancel ? [SIGNATURE] : []]);
  }
});

it('an answer that shows another job is not followed', async () => {
  const refresh = (): Promise<JobView> => Promise.resolve(viewOf(2, { manifest: 'another' }));
  const { outcome, answered } = await follow({ iterations: 3, refresh });
  assert.ok(outcome instanceof OwnerError);
  assert.match(outcome.message, /another manifest/);
  assert.deepEqual(answered, [1]);
});

it('weights that are not known are downloaded, and count', async () => {
  const asked: unknown[] = [];
  const blob = { digest: 'd', bytes: new Uint8Array(2) };
  const session = {
    knowsPrevious: ({ iteration }: { readonly iteration: number }) => iteration === 1,
    answersFor: () => ({ checkBefore: () => undefined, checkEnd: () => undefined, signed: () => ({ id: 'r0' }) }),
    answer: (_request: unknown, weights: Uint8Array, previous?: Uint8Array) => {
      asked.push([weights.length, previous?.length]);
      return { weights: blob, momentum: blob, model: [] };
    },
  };
  const refresh = (): Promise<JobView> =>
    Promise.resolve(asked.length < 3 ? viewOf(asked.length + 1) : viewOf(undefined, { state: 'succeeded' }));
  const { outcome } = await follow({ iterations: 3, refresh, options: { session: session as never } });
  assert.deepEqual(asked, [
    [1, undefined],
    [1, 7],
    [1, 7],
  ]);
  assert.equal(followed(outcome).refresh.down, 3 + 2 * 7);
});

it('the weights of all chains together are those of an iteration', async () => {
  const judged: unknown[] = [];
  const blob = { digest: 'd', bytes: new Uint8Array(2) };
  let answers = 0;
  const session = {
    knowsPrevious: () => true,
    answersFor: () => ({ checkBefore: () => undefined, checkEnd: () => undefined, signed: () => ({ id: 'r0' }) }),
    answer: ({ chain }: { readonly chain: number }) => {
      answers++;
      const model = [0, 1, 2].map((label) => (Math.floor(label / 2) === chain ? Float64Array.of(label) : undefined));
      return { weights: blob, momentum: blob, model };
    },
  };
  const of = (chain: number, iteration: number) => ({ ...requestOf(iteration), id: `${chain} ${iteration}`, chain });
  const refreshes = [of(0, 2), of(1, 2), of(1, 4), of(0, 4)];
  const refresh = (): Promise<JobView> =>
    Promise.resolve(
      answers <= refreshes.length
        ? viewOf(undefined, { refreshes: [at(refreshes, answers - 1, 'requests')] as never })
        : viewOf(undefined, { state: 'succeeded' }),
    );
  const { outcome } = await follow({
    iterations: 4,
    refresh: () => refresh(),
    options: {
      session: session as never,
      judge: (weights) => {
        judged.push(weights.map(([value]) => value));
        return { accuracy: 1, loss: 1 };
      },
    },
  });
  // The first request of the helper is of chain 0 and iteration 1, which chain 1 does not show.
  assert.deepEqual(judged, [
    [0, 1, 2],
    [0, 1, 2],
  ]);
  assert.deepEqual(
    followed(outcome).history.map((weights) => weights?.length),
    [undefined, 3, undefined, 3],
  );
});

it('progress tells how good the last weights were that a refresh showed', async () => {
  const states: unknown[] = [];
  const onProgress: FollowOptions['onProgress'] = (state) =>
    void states.push('evaluation' in state ? state.evaluation : undefined);
  const evaluations = [
    [0.5, 1],
    [0.4, 2],
  ] as const;
  followed((await follow({ evaluations, iterations: 2, options: { onProgress } })).outcome);
  assert.deepEqual(states, [undefined, { accuracy: 0.4, loss: 2, iteration: 2 }]);
});

it('the costs of a refresh are told in seconds', async (t) => {
  let now = 0;
  t.mock.method(performance, 'now', () => (now += 1000));
  const { refresh } = followed((await follow({ iterations: 1 })).outcome);
  // Before the download, before and after the answer is computed, and after the upload.
  assert.deepEqual([refresh.computeSeconds, refresh.seconds], [1, 3]);
});
