/** What an owner signs when it cancels or purges a job, and what it does without the keys. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { digestOf } from '@blindfit/base';
import type { BlindfitClient } from '@blindfit/client';
import { Parameters } from '@blindfit/he';
import { isCancelledBy, isPurgedBy, type JobView } from '@blindfit/protocol';
import { cancelJob, keysetName, MemoryKeys, openKeyset, purgeJob } from '../src/index.ts';

const SMALL = { ring: 2048, dataBits: [28], specialBits: 25, scaleBits: 20 } as const;

it('the signature is that of the owner for the very act, job and manifest; others act without one', async () => {
  const parameters = Parameters.of(SMALL);
  const keys = new MemoryKeys();
  // A keyset that is not complete comes first, and hides none of the others.
  keys.keyset(`${parameters.name}-00000000`);
  using keyset = await openKeyset({ keys, plan: { parameters, steps: [] }, create: true });
  assert.deepEqual(await keys.list(), [`${parameters.name}-00000000`, keysetName(parameters)]);
  const { name } = keyset.secret.signer;
  const job = {
    id: 'job-0123456789ab',
    manifest: digestOf(Uint8Array.of(1)),
    parameters: parameters.name,
    signer: name,
  };
  const act = async (view: object, store = keys): Promise<(string | undefined)[]> => {
    const signatures: (string | undefined)[] = [];
    const take = (what: string) => (id: string, signature?: string) => {
      signatures.push(signature);
      return Promise.resolve(`${what} ${id}`);
    };
    const client = { job: () => Promise.resolve(view), cancel: take('cancelled'), purge: take('purged') };
    const cancelled = await cancelJob(client as unknown as BlindfitClient, store, job.id);
    assert.equal(cancelled, `cancelled ${job.id}`, 'the job afterwards');
    await purgeJob(client as unknown as BlindfitClient, store, job.id);
    return signatures;
  };
  for (const state of ['running', 'failed', 'succeeded']) {
    const [cancelled = '', purged = ''] = await act({ ...job, state });
    const view = job as unknown as JobView;
    assert.ok(isCancelledBy(name, view, cancelled) && !isCancelledBy(name, view, purged), state);
    assert.ok(isPurgedBy(name, view, purged) && !isPurgedBy(name, view, cancelled), state);
    assert.ok(!isCancelledBy(name, { ...view, manifest: digestOf(Uint8Array.of(2)) }, cancelled));
  }
  const none = [undefined, undefined];
  assert.deepEqual(await act({ ...job, signer: undefined }), none, 'a job of an earlier release');
  assert.deepEqual(await act({ ...job, signer: `ed25519:${'0'.repeat(64)}` }), none, 'another owner');
  assert.deepEqual(await act({ ...job, parameters: `${parameters.name}0` }), none, 'keys of other parameters');
  assert.deepEqual(await act(job, new MemoryKeys()), none, 'no keys');
});
