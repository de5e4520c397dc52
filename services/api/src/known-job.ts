import { Type } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import type { JobView } from '@blindfit/protocol';
import type { JobStore } from '@blindfit/queue';
import { principalOf } from './auth.ts';
import { ApiError } from './problems.ts';

/** Of every route that is about one job. */
export const JobParams = Type.Object({
  id: Type.String({ maxLength: 100, description: 'The id of the job', examples: ['job-0123456789abcdef01234567'] }),
});

/** A job that the principal may know of; those of other tenants are not there. @throws ApiError 404 */
export async function knownJob(jobs: Pick<JobStore, 'get'>, request: FastifyRequest, id: string): Promise<JobView> {
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
}
