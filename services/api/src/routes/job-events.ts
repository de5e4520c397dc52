import type { Readable } from 'node:stream';
import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { JobChanges, JobStore } from '@blindfit/queue';
import { jobEvents } from '../job-events.ts';
import { JobParams, knownJob } from '../known-job.ts';
import { ProblemSchema } from '../problems.ts';
import type { TokenWatch } from '../token-watch.ts';

export interface JobEventRoutesOptions {
  readonly jobs: JobStore;
  readonly changes: JobChanges;
  /** Ends streams with their tokens. */
  readonly tokens: TokenWatch;
  /** Milliseconds between heartbeats. @default 15000 */
  readonly heartbeatMs?: number | undefined;
  /** Told of streams that open (1) and close (-1). */
  readonly onStream?: (delta: 1 | -1) => void;
}

/** `/v1/jobs/:id/events`: what happens to jobs, as it happens. */
export const jobEventRoutes: FastifyPluginAsyncTypebox<JobEventRoutesOptions> = (app, options) => {
  const { jobs, changes } = options;
  const closing = new AbortController();
  app.addHook('preClose', (done) => {
    // The server waits for open answers, and event streams end by themselves only with their jobs.
    closing.abort();
    done();
  });

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
      const first = await knownJob(jobs, request, request.params.id);
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

  return Promise.resolve();
};
