/** What a tenant may still submit and store. */
import type { Tenants } from '@blindfit/queue';
import { ApiError } from './problems.ts';

const HINT =
  'GET /v1/usage ("blindfit usage") shows what is used and allowed; an operator can allow more: blindfit tenant set';

/** @throws ApiError 403 `QUOTA_JOBS`, `QUOTA_COMPUTE` */
export async function assertMaySubmit(tenants: Pick<Tenants, 'usage'>, tenant: string): Promise<void> {
  const { jobs, computeSeconds } = await tenants.usage(tenant);
  if (jobs.limit !== undefined && jobs.used >= jobs.limit)
    throw new ApiError(
      403,
      'QUOTA_JOBS',
      'Too many jobs',
      `${jobs.used} jobs of the tenant ${tenant} have not ended, and ${jobs.limit} may be there at a time`,
      `wait for the end of some, or cancel some; ${HINT}`,
    );
  if (computeSeconds.limit !== undefined && computeSeconds.used >= computeSeconds.limit)
    throw new ApiError(
      403,
      'QUOTA_COMPUTE',
      'Enough computed for today',
      `the tenant ${tenant} has used ${Math.ceil(computeSeconds.used)} seconds of threads on ${computeSeconds.day} ` +
        `(UTC), and ${computeSeconds.limit} are allowed on a day`,
      `submit tomorrow; ${HINT}`,
    );
}

/** @param bytes of the upload, 0 when they were not announced @throws ApiError 403 `QUOTA_BYTES` */
export async function assertMayStore(
  tenants: Pick<Tenants, 'storedBytes'>,
  tenant: string,
  bytes: number,
): Promise<void> {
  const stored = await tenants.storedBytes(tenant);
  if (stored.limit === undefined || stored.used + bytes <= stored.limit) return;
  throw new ApiError(
    403,
    'QUOTA_BYTES',
    'Too many bytes',
    `the blobs of the tenant ${tenant} have ${stored.used} bytes; with ${bytes} more they would exceed the ` +
      `${stored.limit} that are allowed`,
    `blobs that no job refers to are removed after the retention time; ${HINT}`,
  );
}
