import { isCancelledBy, type JobView } from '@blindfit/protocol';
import type { Principal } from './principals.ts';
import { ApiError } from './problems.ts';

/**
 * A job is cancelled by its owner, whose signature says so, or by an operator.
 * @throws ApiError 403
 */
export function assertMayCancel({ scopes }: Principal, job: JobView, signature: string | undefined): void {
  if (
    scopes.has('operate') ||
    (signature !== undefined && job.signer !== undefined && isCancelledBy(job.signer, job, signature))
  )
    return;
  throw new ApiError(
    403,
    'NOT_SIGNED_BY_OWNER',
    'Not signed by the owner of the job',
    signature === undefined
      ? `the cancellation of ${job.id} carries no signature`
      : `the signature is not one of ${job.signer ?? 'any owner'} for the cancellation of ${job.id}`,
    'cancel with the keys that the job was submitted with (blindfit cancel JOB --keys DIR), or ask an operator',
  );
}
