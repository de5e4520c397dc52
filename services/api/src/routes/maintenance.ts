import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { Queue } from 'bullmq';
import { MaintenanceSchema, NewMaintenanceSchema } from '@blindfit/protocol';
import type { MaintenanceMode } from '@blindfit/queue';
import { ProblemSchema } from '../problems.ts';

export interface MaintenanceRoutesOptions {
  readonly maintenance: MaintenanceMode;
  /** All of the cluster. */
  readonly queues: readonly Pick<Queue, 'pause' | 'resume'>[];
}

const refusals = { 401: ProblemSchema, 403: ProblemSchema, 503: ProblemSchema };

/** `/v1/maintenance`: operators have the cluster accept no new jobs, and its queues stand still. */
export const maintenanceRoutes: FastifyPluginAsyncTypebox<MaintenanceRoutesOptions> = (
  app,
  { maintenance, queues },
) => {
  app.get(
    '/v1/maintenance',
    {
      schema: {
        tags: ['operations'],
        summary: 'Whether new jobs are refused',
        response: { 200: MaintenanceSchema, ...refusals },
      },
    },
    () => maintenance.current(),
  );

  app.put(
    '/v1/maintenance',
    {
      bodyLimit: 16 * 1024,
      schema: {
        tags: ['operations'],
        summary: 'Refuse new jobs, or accept them again',
        description:
          'While it is on, submissions are answered with 503 MAINTENANCE. Jobs that were accepted wait where they ' +
          'are, or go on with "drain".',
        body: NewMaintenanceSchema,
        response: { 200: MaintenanceSchema, 400: ProblemSchema, ...refusals },
      },
    },
    async (request) => {
      const state = await maintenance.switch(request.body, queues);
      request.log.warn({ ...state }, state.on ? 'maintenance: no new jobs are accepted' : 'maintenance is over');
      return state;
    },
  );
  return Promise.resolve();
};
