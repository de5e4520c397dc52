import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { messageOf } from '@blindfit/base';
import type { CollectableBlobStore } from '@blindfit/blobs';
import {
  JobStateSchema,
  JobViewSchema,
  TrainingManifestSchema,
  PredictManifestSchema,
  PRIORITIES,
  PrioritySchema,
  RefreshAnswerSchema,
  scanJson,
  type Priority,
} from '@blindfit/protocol';
import type { Connection } from '@blindfit/queue';
import { principalOf } from '../auth.ts';
import { enter, limitBodyTime, mayBeLarge, type Bounds } from '../bounds.ts';
import { assertMayCancel } from '../cancellation.ts';
import type { Gate } from '../gate.ts';
import { JobParams, knownJob, soundView } from '../known-job.ts';
import type { ManifestReader } from '../manifests/reader.ts';
import type { JobCounters } from '../metrics.ts';
import { outcomeOf } from '../outcome.ts';
import { ApiError, ProblemSchema } from '../problems.ts';
import { assertMayPurge, purgeJob } from '../purge.ts';
import { answerRefresh, type RefreshDependencies } from '../refresh.ts';
import { retryJob } from '../retry.ts';
import { submitJob, type SubmissionDependencies } from '../submit.ts';

export interface JobRoutesOptions extends SubmissionDependencies, RefreshDependencies {
  readonly redis: Connection;
  readonly store: CollectableBlobStore;
  readonly manifests: ManifestReader;
  /** Uploads and submissions under way. */
  readonly uploads: Gate;
  /** Large submissions whose bodies are held in memory. */
  readonly largeBodies: Gate;
  readonly bounds: Pick<Bounds, 'bodyMs'>;
  /** Largest manifest accepted, in bytes. @default 16 MiB */
  maxManifestBytes?: number | undefined;
  counters?: JobCounters;
}

/** `/v1/jobs`: submit, list, look at and cancel jobs, and answer their refreshes. */
export const jobRoutes: FastifyPluginAsyncTypebox<JobRoutesOptions> = (app, options) => {
  const { jobs, manifests, uploads, largeBodies, bounds } = options;
  // Fastify takes text as well, which no route here can use.
  app.removeContentTypeParser('text/plain');
  // Bodies stay bytes until their form is known: what is nested deeply takes long to parse.
  app.removeContentTypeParser('application/json');
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.addHook('onRequest', (request, reply, done) => {
    if (request.method === 'POST') limitBodyTime(request, reply, bounds);
    done();
  });

  app.post(
    '/v1/jobs',
    {
      bodyLimit: options.maxManifestBytes ?? 16 * 2 ** 20,
      onRequest: (request, reply, done) => {
        enter(uploads, request, reply, 'uploads');
        if (mayBeLarge(request)) enter(largeBodies, request, reply, 'large submissions');
        done();
      },
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
        querystring: Type.Object({ priority: Type.Optional(PrioritySchema) }),
        body: Type.Union([TrainingManifestSchema, PredictManifestSchema]),
        response: {
          200: JobViewSchema,
          201: JobViewSchema,
          400: ProblemSchema,
          401: ProblemSchema,
          403: ProblemSchema,
          409: ProblemSchema,
          413: ProblemSchema,
          422: ProblemSchema,
          503: ProblemSchema,
          507: ProblemSchema,
        },
      },
      // The schema is for the documentation: Fastify's validator would turn strings into numbers, and a manifest that
      // was changed on its way is not the one that was sent. submitJob checks everything.
      validatorCompiler: () => () => true,
    },
    async (request, reply) => {
      const checked = await manifests.read(bytesOf(request.body));
      const { created, job } = await submitJob(
        options,
        {
          tenant: principalOf(request).tenant,
          key: request.headers['idempotency-key'],
          priority: priorityIn(request.query),
        },
        checked,
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
      const views = await jobs.list(limit, states, scopes.has('operate') ? undefined : tenant);
      return { jobs: views.filter((view) => soundView(jobs, view) !== undefined) };
    },
  );

  app.get(
    '/v1/jobs/:id',
    {
      schema: {
        tags: ['jobs'],
        summary: 'Look at a job',
        params: JobParams,
        response: { 200: JobViewSchema, 401: ProblemSchema, 404: ProblemSchema, 503: ProblemSchema },
      },
    },
    (request) => knownJob(jobs, request, request.params.id),
  );

  app.delete(
    '/v1/jobs/:id',
    {
      schema: {
        tags: ['jobs'],
        summary: 'Cancel a job, or remove a finished one with its data',
        description:
          'Without `purge` its record stays, and tasks that are being computed are given up; for operators a record ' +
          'that cannot be read is deleted. With `purge=true` a job that has ended goes with all that no other job ' +
          'names: record, results, model, inputs and keys; the answer shows it a last time.',
        params: JobParams,
        querystring: Type.Object({ purge: Type.Optional(Type.Boolean()) }),
        headers: Type.Object({
          'blindfit-signature': Type.Optional(
            Type.String({ description: 'by the owner of the job; operators need none' }),
          ),
        }),
        response: {
          200: JobViewSchema,
          204: Type.Null({ description: 'The record was wrong and is gone' }),
          401: ProblemSchema,
          403: ProblemSchema,
          404: ProblemSchema,
          409: ProblemSchema,
          503: ProblemSchema,
        },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      if (principalOf(request).scopes.has('operate')) {
        soundView(jobs, await jobs.get(id));
        if (jobs.wrong.has(id)) {
          await jobs.wrong.delete(id);
          request.log.info({ job: id }, 'wrong record deleted');
          return reply.code(204).send(null);
        }
      }
      if (request.query.purge === true) {
        const job = await knownJob(jobs, request, id);
        assertMayPurge(principalOf(request), job, request.headers['blindfit-signature']);
        request.log.info({ job: id, ...(await purgeJob({ ...options, logger: request.log }, job)) }, 'job purged');
        return job;
      }
      assertMayCancel(principalOf(request), await knownJob(jobs, request, id), request.headers['blindfit-signature']);
      const cancelled = await jobs.cancel(id);
      const job = await knownJob(jobs, request, id);
      if (!cancelled)
        throw new ApiError(
          409,
          'JOB_FINISHED',
          'Job is finished',
          `${id} has ${outcomeOf(job)} and cannot be cancelled any more`,
        );
      options.counters?.cancelled();
      return job;
    },
  );

  app.post(
    '/v1/jobs/:id/retry',
    {
      schema: {
        tags: ['jobs'],
        summary: 'Retry a failed job',
        description:
          'It goes on from its last finished step and computes the same bytes: what it has finished stays, and ' +
          'results that the store has lost are computed again.',
        params: JobParams,
        response: {
          200: JobViewSchema,
          401: ProblemSchema,
          403: ProblemSchema,
          404: ProblemSchema,
          409: ProblemSchema,
          422: ProblemSchema,
          503: ProblemSchema,
        },
      },
    },
    async (request) => {
      const job = await retryJob(options, await knownJob(jobs, request, request.params.id));
      request.log.info({ job: job.id }, 'job retried');
      return job;
    },
  );

  app.post(
    '/v1/jobs/:id/refresh',
    {
      bodyLimit: 16 * 1024,
      schema: {
        tags: ['jobs'],
        summary: 'Answer a refresh',
        description:
          'A job whose levels have run out lists in "refreshes" what it needs: decrypt "weights" (and ' +
          '"previous"), encrypt V and W anew, upload both, and answer with the id of the request. Safe to ' +
          'repeat. An answer to another request, an old one or one of another job is refused (409).',
        params: JobParams,
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
      const job = await answerRefresh(
        options,
        await knownJob(jobs, request, request.params.id),
        parseAnswer(bytesOf(request.body)),
      );
      request.log.info({ job: job.id }, 'refresh answered');
      return job;
    },
  );

  return Promise.resolve();
};

function bytesOf(body: unknown): Uint8Array {
  return body instanceof Uint8Array ? body : new Uint8Array();
}

/** @throws ApiError 400 for what is no JSON */
function parseAnswer(body: Uint8Array): unknown {
  try {
    scanJson(body, 'the answer is not valid', { depth: 4, items: 100 });
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch (error) {
    throw new ApiError(400, 'INVALID_REQUEST', 'Invalid request', messageOf(error));
  }
}

/** The route's schema is for the documentation only. @throws ApiError 400 */
function priorityIn({ priority }: { readonly priority?: unknown }): Priority | undefined {
  if (priority === undefined || (typeof priority === 'string' && priority in PRIORITIES)) return priority as Priority;
  throw new ApiError(
    400,
    'INVALID_REQUEST',
    'Invalid request',
    `priority is ${JSON.stringify(priority)}; allowed: ${Object.keys(PRIORITIES).join(', ')}`,
  );
}
