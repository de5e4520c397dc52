import { Type } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import { checker, ContractError, JobViewSchema, type JobView } from '@blindfit/protocol';
import type { JobStore } from '@blindfit/queue';
import { principalOf } from './auth.ts';
import { ApiError } from './problems.ts';

/** Of every route that is about one job. */
export const JobParams = Type.Object({
  id: Type.String({ maxLength: 100, description: 'The id of the job', examples: ['job-0123456789abcdef01234567'] }),
});

const asView = checker('not a job', JobViewSchema);

/** A view that can be sent; the record of one that cannot is wrong. */
export function soundView(jobs: Pick<JobStore, 'wrong'>, view: JobView | undefined): JobView | undefined {
  try {
    return view === undefined ? undefined : asView(view);
  } catch (error) {
    if (!(error instanceof ContractError)) throw error;
    if (view !== undefined) jobs.wrong.add(view.id);
    return undefined;
  }
}

/** A job that the principal may know of; those of other tenants are not there. @throws ApiError 404 */
export async function knownJob(
  jobs: Pick<JobStore, 'get' | 'wrong'>,
  request: FastifyRequest,
  id: string,
): Promise<JobView> {
  const { tenant, scopes } = principalOf(request);
  const job = soundView(jobs, await jobs.get(id));
  if (scopes.has('operate') && jobs.wrong.has(id))
    throw new ApiError(
      409,
      'RECORD_WRONG',
      'The record of the job cannot be read',
      `the record of ${id} is not what this release writes`,
      `delete it: DELETE /v1/jobs/${id}, or "blindfit cancel ${id}"`,
    );
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
