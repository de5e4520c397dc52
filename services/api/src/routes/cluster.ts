import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { JobStore } from '@blindfit/queue';
import { ProblemSchema } from '../problems.ts';

export interface ClusterRoutesOptions {
  readonly jobs: Pick<JobStore, 'workers'>;
  /** Compute threads to plan jobs for even while fewer are there. @default 0 */
  readonly planThreads?: number | undefined;
}

/** `/v1/cluster`: what computes. */
export const clusterRoutes: FastifyPluginAsyncTypebox<ClusterRoutesOptions> = (app, { jobs, planThreads = 0 }) => {
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
      const { workers, threads } = await jobs.workers.threads();
      return { workers, threads: Math.max(threads, planThreads) };
    },
  );
  return Promise.resolve();
};
