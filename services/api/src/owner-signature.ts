/** Requests that the owner of a job signs, beside the token that they carry. */
import type { JobView } from '@blindfit/protocol';
import type { Principal } from './principals.ts';
import { ApiError } from './problems.ts';

export interface SignedRequest {
  /** Whether the signature is the signer's for this request on the job. */
  readonly verify: (signer: string, job: JobView, signature: string) => boolean;
  /** Noun for messages. */
  readonly what: string;
  /** Command of the CLI that signs. */
  readonly command: string;
}

/** Operators need no signature. @throws ApiError 403 `NOT_SIGNED_BY_OWNER` */
export function assertSignedByOwner(
  { scopes }: Principal,
  job: JobView,
  signature: string | undefined,
  { verify, what, command }: SignedRequest,
): void {
  if (scopes.has('operate')) return;
  if (signature !== undefined && job.signer !== undefined && verify(job.signer, job, signature)) return;
  throw new ApiError(
    403,
    'NOT_SIGNED_BY_OWNER',
    'Not signed by the owner of the job',
    signature === undefined
      ? `the ${what} of ${job.id} carries no signature`
      : `the signature is not one of ${job.signer ?? 'any owner'} for the ${what} of ${job.id}`,
    `${command} with the keys that the job was submitted with (blindfit ${command} JOB --keys DIR), or ask an operator`,
  );
}
