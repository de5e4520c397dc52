import type { Queue } from 'bullmq';
import { at, messageWithHint, parseDigest } from '@blindfit/base';
import type { BlobStore } from '@blindfit/blobs';
import { assertFreshlyEncrypted, discard, maxPayloadBytes, unwrap, WireError, type Parameters } from '@blindfit/he';
import {
  checker,
  ContractError,
  isAnswerOf,
  isFinal,
  RefreshAnswerSchema,
  type JobView,
  type RefreshAnswer,
  type RefreshRequest,
} from '@blindfit/protocol';
import { addSegment, RUNNING, traceRefresh, type ChainPayload, type JobStore } from '@blindfit/queue';
import type { Tracing } from '@blindfit/service';
import { expectedRefresh, type PlanCache } from '@blindfit/training';
import { checkPlaces, foreignOf } from './check-blobs.ts';
import type { JobCounters } from './metrics.ts';
import { ApiError } from './problems.ts';

export interface RefreshDependencies {
  readonly store: BlobStore;
  readonly jobs: JobStore;
  /** The queue `chains`. */
  readonly chains: Queue<ChainPayload>;
  readonly plans: PlanCache;
  readonly tracing: Tracing;
  readonly counters?: Pick<JobCounters, 'refreshed'>;
}

const checkAnswer = checker('the answer to a refresh is not valid', RefreshAnswerSchema);

/**
 * Takes the owner's answer to a refresh and lets the chain go on. Safe to repeat, also after a crash half-way: an
 * answer belongs to one request, which names its job, chain and iteration.
 *
 * @param value what came in, unchecked
 * @throws {ApiError} 409 for an answer nobody asked for (any more), 422 for blobs that are missing or do not fit
 */
export async function answerRefresh(
  { store, jobs, chains, plans, tracing, counters }: RefreshDependencies,
  job: JobView,
  value: unknown,
): Promise<JobView> {
  const answer = parse(value);
  if (isFinal(job.state))
    throw new ApiError(
      409,
      'JOB_FINISHED',
      'Job is finished',
      `${job.id} has ended (${job.state}) and needs no refresh any more`,
    );
  const request = job.refreshes.find(({ id }) => id === answer.id);
  // Without a request it may be the repetition of an answer that was taken, which was checked then.
  if (request !== undefined) {
    const { plan, manifest } = await plans.training(job.manifest);
    assertSigned(manifest.signer, job, request, answer);
    const expected = expectedRefresh(plan, request.iteration);
    const places = [
      { digest: answer.weights, place: 'weights', fields: expected.weights },
      { digest: answer.momentum, place: 'momentum', fields: expected.momentum },
    ];
    await checkPlaces(store, plan.parameters, places, await foreignOf(places, jobs.blobs, job.tenant));
    await assertFresh(store, plan.parameters, answer, expected);
  }
  const taken = await jobs.answerRefresh(job.id, answer, (waited) => counters?.refreshed(waited));
  if (taken === undefined) {
    const waiting = job.refreshes.map(({ id, chain, iteration }) => `${id} (chain ${chain}, iteration ${iteration})`);
    throw new ApiError(
      409,
      'REFRESH_NOT_AWAITED',
      'Nobody waits for this refresh',
      `${job.id} does not wait for an answer to the request ${answer.id}: it was answered otherwise ` +
        'before, or belongs to another job or iteration',
      waiting.length === 0
        ? `it waits for none now; GET /v1/jobs/${job.id} shows when it does`
        : `it waits for ${waiting.join(', ')}`,
    );
  }
  const traced = await jobs.traceOf(job.id);
  if (request !== undefined) traceRefresh(tracing, traced.traceparent, job.id, request);
  // Also for one that was taken before: whoever took it may have died before this line. Adding twice adds once.
  if (taken.record.phase === RUNNING)
    await addSegment(chains, jobs.turns, { job: job.id, manifest: job.manifest, ...traced }, taken.chain, taken.record);
  return (await jobs.get(job.id)) ?? job;
}

/** Results of other operations and transparent ciphertexts are no answers, whoever signed them. @throws ApiError 422 */
async function assertFresh(
  store: BlobStore,
  parameters: Parameters,
  answer: RefreshAnswer,
  expected: ReturnType<typeof expectedRefresh>,
): Promise<void> {
  const places = ['weights', 'momentum'] as const;
  const blobs = await Promise.all(places.map((place) => store.get(parseDigest(answer[place]))));
  for (const [position, place] of places.entries()) {
    const expectation = { parameters, fields: expected[place] };
    const blob = at(blobs, position, 'blobs');
    try {
      assertFreshlyEncrypted(unwrap(blob, expectation), maxPayloadBytes(expectation));
      discard(blob);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      const { message, hint } = error;
      throw new ApiError(422, 'BLOBS_INVALID', 'Blobs do not fit their places', `${place}: ${message}`, hint, [
        { place, digest: answer[place], reason: messageWithHint(error) },
      ]);
    }
  }
}

/** @throws ApiError 403 */
function assertSigned(signer: string | undefined, job: JobView, request: RefreshRequest, answer: RefreshAnswer): void {
  if (signer !== undefined && isAnswerOf(signer, job, request, answer)) return;
  throw new ApiError(
    403,
    'NOT_SIGNED_BY_OWNER',
    'Not signed by the owner of the job',
    `the signature of this answer is not one of ${signer ?? 'any owner'} for this request of ${job.id}`,
    'answer with the keys that the job was submitted with',
  );
}

function parse(value: unknown): RefreshAnswer {
  try {
    return checkAnswer(value);
  } catch (error) {
    if (error instanceof ContractError)
      throw new ApiError(
        422,
        'INVALID_REFRESH',
        'Not an answer to a refresh',
        error.message,
        'send {"id", "weights", "momentum", "signature"}: the id of the request, the digests of two uploaded blobs, ' +
          'and the owner’s signature',
      );
    throw error;
  }
}
