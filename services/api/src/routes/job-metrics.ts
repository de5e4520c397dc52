import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { Connection, JobStore } from '@blindfit/queue';
import { waitForRedis } from '@blindfit/service';
import { jobMetrics } from '../job-metrics.ts';
import { ApiError, handleError, ProblemSchema } from '../problems.ts';

export interface JobMetricsOptions {
  redis: Connection;
  jobs: JobStore;
}

/** Jobs that Prometheus is told about at a time. */
const MAX_TARGETS = 100;
/** How long a job is told about after its end, so that its last values are scraped. Milliseconds. */
const AFTER_END_MS = 10 * 60_000;
/** How long a scrape waits for a Redis that is away. Milliseconds. */
const REDIS_PATIENCE_MS = 2_000;

const Targets = Type.Array(
  Type.Object({
    targets: Type.Array(Type.String({ examples: ['api.internal:8080'] })),
    labels: Type.Record(Type.String(), Type.String()),
  }),
  { description: 'Target groups, one for each job' },
);

/**
 * `/metrics/jobs` tells Prometheus' HTTP service discovery which jobs there are, `/metrics/jobs/:id` has the metrics of
 * one: series of single jobs exist while the jobs are active, and none of the services' own metrics needs an id.
 */
export const jobMetricsRoutes: FastifyPluginAsyncTypebox<JobMetricsOptions> = (app, { redis, jobs }) => {
  app.setErrorHandler(handleError);
  // Scrapes come every few seconds and say nothing while all is well.
  const quiet = { logLevel: 'warn' } as const;
  app.addHook('onRequest', () => waitForRedis(redis, REDIS_PATIENCE_MS));

  app.get(
    '/metrics/jobs',
    {
      ...quiet,
      schema: {
        tags: ['operations'],
        summary: 'Jobs as targets for Prometheus',
        description:
          'For http_sd_configs: a target group for each job that has not ended or ended in the last ' +
          `${AFTER_END_MS / 60_000} minutes, at most ${MAX_TARGETS}, first those that stand for the longest time.`,
        response: { 200: Targets, 401: ProblemSchema, 503: ProblemSchema },
      },
    },
    async (request) => {
      const ids = await jobs.index.recent(Date.now() - AFTER_END_MS, MAX_TARGETS);
      // The address under which Prometheus reaches this API is the one that it has just used.
      return ids.map((id) => ({
        targets: [request.host],
        labels: { __metrics_path__: `/metrics/jobs/${id}`, blindfit_job: id },
      }));
    },
  );

  app.get(
    '/metrics/jobs/:id',
    {
      ...quiet,
      schema: {
        tags: ['operations'],
        summary: 'Metrics of one job for Prometheus',
        params: Type.Object({ id: Type.String({ maxLength: 100, description: 'The id of the job' }) }),
        produces: ['text/plain'],
        response: {
          200: Type.String({ description: 'Prometheus text format' }),
          401: ProblemSchema,
          404: ProblemSchema,
          503: ProblemSchema,
        },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const figures = await jobs.figures(id);
      if (figures === undefined)
        throw new ApiError(
          404,
          'JOB_NOT_FOUND',
          'No such job',
          `there is no job ${JSON.stringify(id)}`,
          'GET /metrics/jobs lists those to scrape',
        );
      const registry = jobMetrics(figures);
      return reply.type(registry.contentType).send(await registry.metrics());
    },
  );
  return Promise.resolve();
};
