/** Owners whose servers are away: what ends, and what it is called. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { ApiProblemError, type BlindfitClient, ServerUnreachableError } from '@blindfit/client';
import { OwnerError } from '@blindfit/owner';
import { forSubmitted } from '../src/flow/give-up.ts';
import { interruptible } from '../src/flow/interruptible.ts';

const problem = (status: number): ApiProblemError =>
  new ApiProblemError({ status, code: 'CODE', title: 'Title', detail: 'detail' });

it('a job whose owner gave up is named', async () => {
  for (const error of [problem(503), problem(507), new ServerUnreachableError('http://x', 5, new Error('x'))]) {
    await assert.rejects(
      forSubmitted('job-1', () => Promise.reject(error)),
      ({ code, message, fault, cause }: OwnerError) =>
        code === 'GAVE_UP' && message.includes('job-1 is not lost') && fault === 'world' && cause === error,
    );
  }
});

it('what is no outage stays as it is', async () => {
  for (const error of [problem(404), problem(500), new OwnerError('failed'), new Error('other')])
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
