import type { Readable } from 'node:stream';
import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import { parseDigest } from '@blindfit/base';
import {
  isFinal,
  JobStateSchema,
  JobViewSchema,
  TrainingManifestSchema,
  PredictManifestSchema,
  RefreshAnswerSchema,
  type JobView,
} from '@blindfit/protocol';
import type { Connection, JobChanges } from '@blindfit/queue';
import { waitForRedis } from '@blindfit/service';
import { principalOf } from '../auth.ts';
import { assertMayCancel } from '../cancellation.ts';
import { jobEvents } from '../job-events.ts';
import type { JobCounters } from '../metrics.ts';
import { outcomeOf } from '../outcome.ts';
import { ApiError, handleError, ProblemSchema } from '../problems.ts';
import { answerRefresh, type RefreshDependencies } from '../refresh.ts';
import { sendBlob, type BlobTraffic } from '../send-blob.ts';
import { submitJob, type SubmissionDependencies } from '../submit.ts';
import type { TokenWatch } from '../token-watch.ts';

export interface JobRoutesOptions extends SubmissionDependencies, RefreshDependencies {
  redis: Connection;
  changes: JobChanges;
  /** Compute threads to plan jobs for even while fewer are there. @default 0 */
  planThreads?: number | undefined;
  /** Largest manifest accepted, in bytes. @default 64 MiB */
  maxManifestBytes?: number | undefined;
  /** Ends event streams with their tokens. */
  tokens: TokenWatch;
  /** Milliseconds between heartbeats of event streams. @default 15000 */
  heartbeatMs?: number | undefined;
  traffic?: BlobTraffic;
  counters?: JobCounters;
  /** Told of event streams that open (1) and close (-1). */
  onStream?: (delta: 1 | -1) => void;
}

/** How long a request waits for a Redis that is away. Milliseconds. */
const REDIS_PATIENCE_MS = 2_000;

const Params = Type.Object({
  id: Type.String({ maxLength: 100, description: 'The id of the job', examples: ['job-0123456789abcdef01234567'] }),
});
const BINARY = { type: 'string', format: 'binary' };

/** `/v1/jobs` and `/v1/cluster`: submit, list, look at, watch and cancel jobs, and fetch their results. */
export const jobRoutes: FastifyPluginAsyncTypebox<JobRoutesOptions> = (app, options) => {
  const { store, jobs, redis, changes, traffic } = options;
  const closing = new AbortController();
  app.setErrorHandler(handleError);
  app.addHook('preClose', (done) => {
    // The server waits for open answers, and event streams end by themselves only with their jobs.
    closing.abort();
    done();
  });
  // Fastify takes text as well, which no route here can use.
  app.removeContentTypeParser('text/plain');
  // Commands to a Redis that is away wait until it is back; clients shall not.
  app.addHook('onRequest', () => waitForRedis(redis, REDIS_PATIENCE_MS));

  /** A job that the principal may know of; those of other tenants are not there. */
  const known = async (request: FastifyRequest, id: string): Promise<JobView> => {
    const { tenant, scopes } = principalOf(request);
    const job = await jobs.get(id);
    if (job === undefined || (job.tenant !== tenant && !scopes.has('operate')))
      throw new ApiError(
        404,
        'JOB_NOT_FOUND',
        'No such job',
        `there is no job ${JSON.stringify(id)}`,
        'GET /v1/jobs lists the jobs there are',
      );
    return job;
  };

  app.post(
    '/v1/jobs',
    {
      bodyLimit: options.maxManifestBytes ?? 64 * 2 ** 20,
      schema: {
        tags: ['jobs'],
        summary: 'Submit a job',
        description:
          'A training, or a prediction with the model of a training. All blobs of the manifest must have been ' +
          'uploaded. With an Idempotency-Key the request is safe to repeat: the same key and manifest give the ' +
          'same job (200), the same key with another manifest is refused (409).',
        headers: Type.Object({
          'idempotency-key': Type.Optional(
            Type.String({ description: '1 to 200 printable ASCII characters, for example a UUID' }),
          ),
        }),
        body: Type.Union([TrainingManifestSchema, PredictManifestSchema]),
        response: {
          200: JobViewSchema,
          201: JobViewSchema,
          400: ProblemSchema,
          401: ProblemSchema,
          409: ProblemSchema,
          413: ProblemSchema,
          422: ProblemSchema,
          503: ProblemSchema,
        },
      },
      // The schema is for the documentation: Fastify's validator would turn strings into numbers, and a manifest that
      // was changed on its way is not the one that was sent. submitJob checks everything.
      validatorCompiler: () => () => true,
    },
    async (request, reply) => {
      const { created, job } = await submitJob(
        options,
        principalOf(request).tenant,
        request.body,
        request.headers['idempotency-key'],
      );
      if (created) options.counters?.submitted(job.kind);
      request.log.info({ job: job.id, created }, created ? 'job accepted' : 'job submitted again');
      return reply
        .code(created ? 201 : 200)
        .header('location', `/v1/jobs/${job.id}`)
        .send(job);
    },
  );

  app.get(
    '/v1/jobs',
    {
      schema: {
        tags: ['jobs'],
        summary: 'List jobs, newest first',
        description: 'By creation; with a `state` that is final, by when they ended.',
        querystring: Type.Object({
          limit: Type.Integer({ minimum: 1, maximum: 1000, default: 50 }),
          state: Type.Optional(JobStateSchema),
        }),
        response: {
          200: Type.Object({ jobs: Type.Array(JobViewSchema) }),
          400: ProblemSchema,
          401: ProblemSchema,
          503: ProblemSchema,
        },
      },
    },
    async (request) => {
      const { limit, state } = request.query;
      const { tenant, scopes } = principalOf(request);
      const states = state === undefined ? undefined : [state];
      return { jobs: await jobs.list(limit, states, scopes.has('operate') ? undefined : tenant) };
    },
  );

  app.get(
    '/v1/jobs/:id',
    {
      schema: {
        tags: ['jobs'],
        summary: 'Look at a job',
        params: Params,
        response: { 200: JobViewSchema, 401: ProblemSchema, 404: ProblemSchema, 503: ProblemSchema },
      },
    },
    (request) => known(request, request.params.id),
  );

  app.delete(
    '/v1/jobs/:id',
    {
      schema: {
        tags: ['jobs'],
        summary: 'Cancel a job',
        description: 'Its record stays. Tasks that are being computed are given up.',
        params: Params,
        headers: Type.Object({
          'blindfit-signature': Type.Optional(
            Type.String({ description: 'by the owner of the job; operators need none' }),
          ),
        }),
        response: {
          200: JobViewSchema,
          401: ProblemSchema,
          403: ProblemSchema,
          404: ProblemSchema,
          409: ProblemSchema,
          503: ProblemSchema,
        },
      },
    },
    async (request) => {
      const { id } = request.params;
      assertMayCancel(principalOf(request), await known(request, id), request.headers['blindfit-signature']);
      const cancelled = await jobs.cancel(id);
      const job = await known(request, id);
      if (!cancelled)
        throw new ApiError(
          409,
          'JOB_FINISHED',
          'Job is finished',
          `${id} has ${outcomeOf(job)} and cannot be cancelled any more`,
        );
      options.counters?.cancelled();
      request.log.info({ job: id }, 'job cancelled');
      return job;
    },
  );

  app.post(
    '/v1/jobs/:id/refresh',
    {
      schema: {
        tags: ['jobs'],
        summary: 'Answer a refresh',
        description:
          'A job whose levels have run out lists in "refreshes" what it needs: decrypt "weights" (and ' +
          '"previous"), encrypt V and W anew, upload both, and answer with the id of the request. Safe to ' +
          'repeat. An answer to another request, an old one or one of another job is refused (409).',
        params: Params,
        body: RefreshAnswerSchema,
        response: {
          200: JobViewSchema,
          400: ProblemSchema,
          401: ProblemSchema,
          404: ProblemSchema,
          409: ProblemSchema,
          422: ProblemSchema,
          503: ProblemSchema,
        },
      },
      validatorCompiler: () => () => true,
    },
    async (request) => {
      const job = await answerRefresh(options, await known(request, request.params.id), request.body);
      request.log.info({ job: job.id }, 'refresh answered');
      return job;
    },
  );

  app.get(
    '/v1/jobs/:id/events',
    {
      exposeHeadRoute: false,
      schema: {
        tags: ['jobs'],
        summary: 'Watch a job',
        description:
          'Server-sent events: "progress" with the whole job at once and at each change (at most five a ' +
          'second), "end" when it is final. Any event can be the first one: after a broken connection simply ' +
          'connect again.',
        params: Params,
        headers: Type.Object({
          'last-event-id': Type.Optional(Type.String({ description: 'Event numbers go on from here' })),
        }),
        response: {
          200: {
            description: 'Events',
            content: { 'text/event-stream': { schema: Type.Unsafe<Readable>({ type: 'string' }) } },
          },
          401: ProblemSchema,
          404: ProblemSchema,
          503: ProblemSchema,
        },
      },
    },
    async (request, reply) => {
      const first = await known(request, request.params.id);
      const [lastEventId = '0'] = /^\d{1,15}$/.exec(request.headers['last-event-id'] ?? '') ?? [];
      const stream = jobEvents({ jobs, changes }, first, {
        lastEventId: Number(lastEventId),
        closing: AbortSignal.any([closing.signal, options.tokens.watch(request, reply)]),
        heartbeatMs: options.heartbeatMs,
      });
      options.onStream?.(1);
      stream.once('close', () => options.onStream?.(-1));
      return reply
        .code(200)
        .headers({
          'content-type': 'text/event-stream; charset=utf-8',
          'cache-control': 'no-store, no-transform',
          // nginx would collect events until its buffer is full.
          'x-accel-buffering': 'no',
        })
        .send(stream);
    },
  );

  app.get(
    '/v1/jobs/:id/result',
    {
      exposeHeadRoute: false,
      schema: {
        tags: ['jobs'],
        summary: 'Download the encrypted model',
        description:
          'One packed ciphertext in wire format, which only the owner can decrypt. Large models come in ' +
          'several: ask for each by its number.',
        params: Params,
        querystring: Type.Object({
          model: Type.Optional(
            Type.Integer({
              minimum: 0,
              maximum: 1_000_000,
              description: 'Number of the ciphertext, from 0; needed when there are several',
            }),
          ),
        }),
        response: {
          200: {
            description: 'A ciphertext in wire format',
            content: { 'application/octet-stream': { schema: BINARY } },
          },
          304: { type: 'null', description: 'The client has the blob (If-None-Match)' },
          400: ProblemSchema,
          401: ProblemSchema,
          404: ProblemSchema,
          409: ProblemSchema,
          503: ProblemSchema,
        },
      },
    },
    async (request, reply) => {
      const job = await known(request, request.params.id);
      if (job.state !== 'succeeded' || job.result === undefined) {
        const hint = isFinal(job.state) ? 'submit a new job' : `wait for the end: GET /v1/jobs/${job.id}/events`;
        throw new ApiError(
          409,
          'JOB_NOT_SUCCEEDED',
          'Job has no result',
          `${job.id} has no result: it ${isFinal(job.state) ? 'has ' : 'is '}${outcomeOf(job)}`,
          hint,
        );
      }
      if (job.kind === 'predict') {
        throw new ApiError(
          404,
          'MODEL_NOT_FOUND',
          'No model',
          `${job.id} is a prediction: it has scores and no model`,
          'its "result.scores" names them: GET /v1/blobs/DIGEST',
        );
      }
      const { models } = job.result;
      const { model } = request.query;
      if (model === undefined && models.length > 1) {
        throw new ApiError(
          400,
          'MODEL_NUMBER_MISSING',
          'Which part of the model?',
          `the model of ${job.id} has ${models.length} ciphertexts`,
          `ask for each: ?model=0 to ?model=${models.length - 1}`,
        );
      }
      const digest = models[model ?? 0];
      if (digest === undefined) {
        throw new ApiError(
          404,
          'MODEL_NOT_FOUND',
          'No such part of the model',
          `the model of ${job.id} has ${models.length} ciphertext${models.length === 1 ? '' : 's'}, there is ` +
            `no number ${model ?? 0}`,
          `allowed: 0 to ${models.length - 1}`,
        );
      }
      return sendBlob(request, reply, {
        store,
        digest: parseDigest(digest),
        traffic,
        headers: { 'x-blindfit-models': String(models.length) },
      });
    },
  );

  app.get(
    '/v1/cluster',
    {
      schema: {
        tags: ['cluster'],
        summary: 'Workers at hand',
        description:
          'Those seen in the last 30 seconds. Where an autoscaler adds workers to queued tasks, "threads" is ' +
          'what jobs are to be cut for.',
        response: {
          200: Type.Object({ workers: Type.Integer(), threads: Type.Integer() }),
          401: ProblemSchema,
          503: ProblemSchema,
        },
      },
    },
    async () => {
      const { workers, threads } = await jobs.threads();
      return { workers, threads: Math.max(threads, options.planThreads ?? 0) };
    },
  );
  return Promise.resolve();
};
