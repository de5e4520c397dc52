import type { Readable } from 'node:stream';
import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { JobStore } from '@blindfit/queue';
import { principalOf } from '../auth.ts';
import { enter } from '../bounds.ts';
import type { Gate } from '../gate.ts';
import { jobEvents } from '../job-events.ts';
import { JobParams, knownJob } from '../known-job.ts';
import { ProblemSchema } from '../problems.ts';
import type { SharedViews } from '../shared-views.ts';
import { tenantEvents } from '../tenant-events.ts';
import type { TokenWatch } from '../token-watch.ts';

export interface JobEventRoutesOptions {
  readonly jobs: JobStore;
  readonly views: SharedViews;
  readonly streams: Gate;
  /** Ends streams with their tokens. */
  readonly tokens: TokenWatch;
  /** Milliseconds between heartbeats. @default 15000 */
  readonly heartbeatMs?: number | undefined;
  /** Told of streams that open (1) and close (-1). */
  readonly onStream?: (delta: 1 | -1) => void;
}

const LastEvent = Type.Object({
  'last-event-id': Type.Optional(Type.String({ description: 'Event numbers go on from here' })),
});
const EVENTS = {
  description: 'Events',
  content: { 'text/event-stream': { schema: Type.Unsafe<Readable>({ type: 'string' }) } },
};

/** `/v1/jobs/:id/events` and `/v1/jobs/events`: what happens to jobs, as it happens. */
export const jobEventRoutes: FastifyPluginAsyncTypebox<JobEventRoutesOptions> = (app, options) => {
  const { jobs, views, streams, tokens, heartbeatMs } = options;
  const closing = new AbortController();
  app.addHook('preClose', (done) => {
    // The server waits for open answers, and event streams end by themselves only with their jobs.
    closing.abort();
    done();
  });

  const send = (
    request: FastifyRequest,
    reply: FastifyReply,
    open: (facts: { lastEventId: number; closing: AbortSignal; heartbeatMs: number | undefined }) => Readable,
  ): FastifyReply => {
    enter(streams, request, reply, 'streams');
    const [lastEventId = '0'] = /^\d{1,15}$/.exec(String(request.headers['last-event-id'])) ?? [];
    const stream = open({
      lastEventId: Number(lastEventId),
      closing: AbortSignal.any([closing.signal, tokens.watch(request, reply)]),
      heartbeatMs,
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
  };

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
        params: JobParams,
        headers: LastEvent,
        response: {
          200: EVENTS,
          401: ProblemSchema,
          404: ProblemSchema,
          429: ProblemSchema,
          503: ProblemSchema,
        },
      },
    },
    async (request, reply) => {
      const first = await knownJob(jobs, request, request.params.id);
      return send(request, reply, (facts) => jobEvents(views, first, facts));
    },
  );

  app.get(
    '/v1/jobs/events',
    {
      exposeHeadRoute: false,
      schema: {
        tags: ['jobs'],
        summary: 'Watch all jobs',
        description:
          'One stream of server-sent events for all jobs of the tenant: "progress" with each job that has not ended, ' +
          'then with every job that changes, "end" with the id and state of a job that is final.',
        headers: LastEvent,
        response: { 200: EVENTS, 401: ProblemSchema, 429: ProblemSchema, 503: ProblemSchema },
      },
    },
    async (request, reply) => {
      const { tenant, scopes } = principalOf(request);
      const whose = scopes.has('operate') ? undefined : tenant;
      return send(request, reply, (facts) => tenantEvents(views, jobs, { ...facts, tenant: whose }));
    },
  );
  return Promise.resolve();
};
