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

const requestOf = (iteration: number) => ({ id: `r${iteration}`, chain: 0, iteration, weights: 'w', since: '' });

function viewOf(iteration: number | undefined, more: Partial<JobView> = {}): JobView {
  const refreshes = iteration === undefined ? [] : [requestOf(iteration)];
  return { id: ID, manifest: 'm', state: 'running', refreshes, answers: [], ...more } as unknown as JobView;
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
    },
    blob: () => Promise.resolve(new Uint8Array(1)),
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
