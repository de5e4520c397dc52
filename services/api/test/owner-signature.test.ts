/** Acts on a job that its owner signs. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { JobView } from '@blindfit/protocol';
import { assertSignedByOwner } from '../src/owner-signature.ts';
import { ApiError } from '../src/problems.ts';

it('the signature of the owner lets in, operators need none, and a refusal says what is wrong', () => {
  const asked: unknown[] = [];
  const refusal = (job: Partial<JobView>, signature?: string, scopes: string[] = ['write']): string | undefined => {
    const verify = (signer: string, view: JobView, given: string): boolean => {
      asked.push([signer, view.id, given]);
      return given === 'right';
    };
    try {
      const request = { verify, what: 'cancellation', command: 'cancel' };
      assertSignedByOwner({ scopes: new Set(scopes) } as never, { id: 'job-1', ...job } as JobView, signature, request);
      return undefined;
    } catch (error) {
      assert.ok(error instanceof ApiError);
      const { status, code, message, hint } = error;
      assert.deepEqual([status, code], [403, 'NOT_SIGNED_BY_OWNER']);
      assert.match(String(hint), /^cancel with the keys .* \(blindfit cancel JOB --keys DIR\)/);
      return message;
    }
  };
  const signer = 'ed25519:1';
  assert.equal(refusal({ signer }, 'right'), undefined);
  assert.deepEqual(asked, [[signer, 'job-1', 'right']]);
  assert.match(String(refusal({ signer })), /the cancellation of job-1 carries no signature/);
  assert.match(
    String(refusal({ signer }, 'wrong')),
    /the signature is not one of ed25519:1 for the cancellation of job-1/,
  );
  assert.match(String(refusal({}, 'right')), /the signature is not one of any owner for the cancellation of job-1/);
  for (const signature of [undefined, 'wrong']) assert.equal(refusal({ signer }, signature, ['operate']), undefined);
});
