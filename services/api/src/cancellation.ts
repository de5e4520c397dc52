import { isCancelledBy, type JobView } from '@blindfit/protocol';
import { assertSignedByOwner } from './owner-signature.ts';
import type { Principal } from './principals.ts';

/**
 * A job is cancelled by its owner, whose signature says so, or by an operator.
 * @throws ApiError 403
 */
export function assertMayCancel(principal: Principal, job: JobView, signature: string | undefined): void {
  assertSignedByOwner(principal, job, signature, { verify: isCancelledBy, what: 'cancellation', command: 'cancel' });
}
