/** Owners whose servers are away: what ends, and what it is called. */
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { it } from 'node:test';
import { at } from '@blindfit/base';
import { ApiProblemError, type BlindfitClient, ServerUnreachableError } from '@blindfit/client';
import { OwnerError, type Keyset } from '@blindfit/owner';
import { forSubmitted } from '../src/flow/give-up.ts';
import { interruptible } from '../src/flow/interruptible.ts';
import { uploadBehind } from '../src/flow/upload-behind.ts';
import { uploadKeys } from '../src/flow/upload-keys.ts';

const problem = (status: number): ApiProblemError =>
  new ApiProblemError({ status, code: 'CODE', title: 'Title', detail: 'detail' });

it('a job whose owner gave up is named', async () => {
  for (const error of [problem(503), problem(507), new ServerUnreachableError('http://x', 5, new Error('x'))]) {
    await assert.rejects(
      forSubmitted('job-1', () => Promise.reject(error)),
      ({ code, message, hint, fault, retryable, cause }: OwnerError) => {
        const told = `${error.message}. job-1 is not lost: it goes on, and waits where it needs your answers`;
        const back = 'come back to job-1 when the servers are back';
        const fields = [code, message, hint, fault, retryable, cause];
        assert.deepEqual(fields, ['GAVE_UP', told, back, 'world', true, error]);
        return true;
      },
    );
  }
});

const GAVE_UP = new OwnerError('it was given up', { code: 'GAVE_UP', fault: 'world' });

it('what is no outage stays as it is', async () => {
  for (const error of [problem(404), problem(500), new OwnerError('failed'), GAVE_UP, new Error('other')])
    await assert.rejects(
      forSubmitted('job-1', () => Promise.reject(error)),
      (thrown) => thrown === error,
    );
  assert.equal(await forSubmitted('job-1', () => Promise.resolve(1)), 1);
});

it('an abort ends a call that waits, and those that come after it', async () => {
  const aborter = new AbortController();
  const calls: string[] = [];
  const client = {
    server: 'http://x',
    job: (id: string) => {
      calls.push(id);
      return new Promise(() => undefined);
    },
  } as unknown as BlindfitClient;
  const wrapped = interruptible(client, aborter.signal);
  assert.equal(wrapped.server, 'http://x');
  const waiting = wrapped.job('job-1');
  aborter.abort(new Error('enough'));
  await assert.rejects(waiting, /enough/);
  assert.throws(() => void wrapped.job('job-2'), /enough/);
  assert.deepEqual(calls, ['job-1']);
  assert.equal(interruptible(client, undefined), client);
});

it('a call that ends leaves nothing on the signal, whether it succeeds or fails', async () => {
  const { signal } = new AbortController();
  const wrapped = interruptible(
    { job: (id: string) => (id === 'bad' ? Promise.reject(new Error(id)) : Promise.resolve(id)) } as never,
    signal,
  );
  for (let i = 0; i < 3; i++) assert.equal(await wrapped.job('a'), 'a');
  await assert.rejects(wrapped.job('bad'), /bad/);
  assert.equal(getEventListeners(signal, 'abort').length, 0);
});

/** A client whose uploads end when they are told to. */
function uploads() {
  const begun: unknown[][] = [];
  const endings: { readonly resolve: () => void; readonly reject: (error: Error) => void }[] = [];
  const putBlob = (...call: unknown[]): Promise<boolean> => {
    begun.push(call);
    return new Promise((resolve, reject) => void endings.push({ resolve: () => resolve(true), reject }));
  };
  return { begun, ending: (index: number) => at(endings, index, 'uploads'), upload: uploadBehind({ putBlob }) };
}

const blobOf = (digest: string): { digest: string; bytes: Uint8Array } => ({ digest, bytes: new Uint8Array(1) });
const settled = (promise: Promise<unknown>): Promise<unknown> =>
  Promise.race([promise.then(() => 'ended'), new Promise((resolve) => setImmediate(resolve, 'waits'))]);

it('one ciphertext is uploaded while the next is made, unasked, and the end waits for the last', async () => {
  const { begun, ending, upload } = uploads();
  await upload.put(blobOf('a'));
  assert.deepEqual(begun, [['a', new Uint8Array(1), { fresh: true }]]);
  const second = upload.put(blobOf('b'));
  assert.deepEqual([await settled(second), begun.length], ['waits', 1]);
  ending(0).resolve();
  await second;
  assert.equal(begun.length, 2);
  const end = upload.end();
  assert.equal(await settled(end), 'waits');
  ending(1).resolve();
  await end;
});

it('an upload that fails behind is told by the next call', async () => {
  for (const next of ['put', 'end'] as const) {
    const { ending, upload } = uploads();
    await upload.put(blobOf('a'));
    ending(0).reject(new Error('cut'));
    await assert.rejects(next === 'put' ? upload.put(blobOf('b')) : upload.end(), /cut/);
  }
});

it('the keys of a keyset are uploaded, all of them, with progress and until an abort', async () => {
  const file = (digest: string, size: number): object => ({ digest, size, read: () => Promise.resolve(digest) });
  const keyset = {
    relinearisationKey: file('r', 5),
    galoisKeys: new Map([0, 4].map((step) => [step, file(`g${step}`, 7)])),
  };
  const calls: unknown[] = [];
  const { signal } = new AbortController();
  const putBlobs: BlindfitClient['putBlobs'] = async (blobs, options) => {
    for await (const { digest, size, bytes } of blobs) calls.push([digest, size, await bytes()]);
    options?.onProgress?.(1, 2, 3);
    assert.equal(options?.signal, signal);
  };
  const states: unknown[] = [];
  const bytes = await uploadKeys({ putBlobs } as unknown as BlindfitClient, keyset as unknown as Keyset, {
    signal,
    onProgress: (state) => void states.push(state),
  });
  assert.equal(bytes, 19);
  assert.deepEqual(calls, [
    ['r', 5, 'r'],
    ['g0', 7, 'g0'],
    ['g4', 7, 'g4'],
  ]);
  assert.deepEqual(states, [{ phase: 'uploading keys', done: 1, total: 2, skipped: 3 }]);
});
