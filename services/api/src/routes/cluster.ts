import { Type, type FastifyPluginAsyncTypebox, type Static } from '@fastify/type-provider-typebox';
import { defined } from '@blindfit/base';
import { MaintenanceSchema } from '@blindfit/protocol';
import { clusterOf, type JobStore } from '@blindfit/queue';
import { principalOf } from '../auth.ts';
import { ProblemSchema } from '../problems.ts';

export interface ClusterRoutesOptions {
  readonly jobs: Pick<JobStore, 'maintenance' | 'workers'>;
  /** Compute threads to plan jobs for even while fewer are there. @default 0 */
  readonly planThreads?: number | undefined;
}

const text = Type.Optional(Type.String());

const WorkerSchema = Type.Object({
  id: Type.String(),
  host: text,
  version: text,
  revision: text,
  protocol: Type.Integer(),
  evaluator: text,
  threads: Type.Integer(),
  store: Type.Optional(Type.String({ description: 'The identity of its store' })),
});

const ClusterSchema = Type.Object({
  workers: Type.Integer(),
  threads: Type.Integer(),
  protocol: Type.Integer({ description: 'The newest that all workers read' }),
  maintenance: Type.Optional(MaintenanceSchema),
  members: Type.Optional(Type.Array(WorkerSchema, { description: 'The workers; for operators' })),
});

/** `/v1/cluster`: what computes. */
export const clusterRoutes: FastifyPluginAsyncTypebox<ClusterRoutesOptions> = (app, { jobs, planThreads = 0 }) => {
  app.get(
    '/v1/cluster',
    {
      schema: {
        tags: ['cluster'],
        summary: 'Workers that live',
        description:
          'Those seen in the last 30 seconds. Where an autoscaler adds workers to queued tasks, "threads" is ' +
          'what jobs are to be cut for.',
        response: { 200: ClusterSchema, 401: ProblemSchema, 503: ProblemSchema },
      },
    },
    async (request) => {
      const [alive, maintenance] = await Promise.all([jobs.workers.alive(), jobs.maintenance.current()]);
      const { workers, threads, protocol } = clusterOf(alive);
      // Names of hosts are nothing that tenants need.
      const members = principalOf(request).scopes.has('operate') ? alive.map(defined) : undefined;
      return defined<Static<typeof ClusterSchema>>({
        workers,
        threads: Math.max(threads, planThreads),
        protocol,
        maintenance,
        members,
      });
    },
  );
  return Promise.resolve();
};
