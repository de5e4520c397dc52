/** What a thread reports of what was thrown, and whether the task is tried again. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { digestOf } from '@blindfit/base';
import {
  BlobNotFoundError,
  CorruptBlobError,
  DigestMismatchError,
  StorageFullError,
  StoreRefusedError,
  StoreUnavailableError,
} from '@blindfit/blobs';
import { HeError, MissingKeyError, ParameterError, SealCrashError, SealError, WireError } from '@blindfit/he';
import { ContractError } from '@blindfit/protocol';
import { describeError, isFatal, named, TaskCancelledError, TaskError } from '../src/errors.ts';

const DIGEST = digestOf(new Uint8Array());

function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: no luck`), { code, errno: -1, syscall: 'open' });
}

const CASES: readonly (readonly [unknown, string, retryable: boolean, fatal?: true])[] = [
  [new StoreUnavailableError('http://store', 5, new Error('away')), 'STORE_UNAVAILABLE', true],
  [new StorageFullError('/store', 0), 'STORAGE_FULL', true],
  [new CorruptBlobError(DIGEST, DIGEST, '/store'), 'BLOB_CORRUPT', true],
  [new DigestMismatchError(DIGEST, DIGEST), 'DIGEST_MISMATCH', true],
  [new SealCrashError('rotate', 'unreachable'), 'HE_SEAL_CRASHED', true, true],
  [new BlobNotFoundError(DIGEST, '/store'), 'BLOB_NOT_FOUND', false],
  [new StoreRefusedError('http://store', 401, 'who are you?'), 'STORE_REFUSED', false],
  [new WireError('bad magic'), 'HE_WIRE', false],
  [new SealError('rotate', 'no key'), 'HE_SEAL', false],
  [new ParameterError('too small', 'larger'), 'HE_PARAMETERS', false],
  [new MissingKeyError('Galois key for step 3', 'steps 1 and 2'), 'HE_MISSING_KEY', false],
  [new ContractError('the manifest is not valid', ['it is not JSON']), 'CONTRACT', false],
  [new TaskCancelledError(), 'TASK_CANCELLED', false],
  [new TaskError('POOL_CLOSED', 'closing', true), 'POOL_CLOSED', true],
  [systemError('ENOTDIR'), 'ENOTDIR', true],
  [new RangeError('a bug'), 'TASK_FAILED', true],
  [Object.assign(new TypeError('a bug of Node'), { code: 'ERR_INVALID_ARG_TYPE' }), 'ERR_INVALID_ARG_TYPE', true],
  ['a string', 'TASK_FAILED', true],
];

for (const [error, code, retryable, fatal = false] of CASES) {
  it(`${code}${error instanceof Error ? ` (${error.name})` : ''}: ${retryable ? 'tried again' : 'permanent'}`, () => {
    const described = describeError(error);
    assert.deepEqual([described.code, described.retryable, isFatal(error)], [code, retryable, fatal]);
    assert.ok(described.message.includes(error instanceof Error ? error.message : 'a string'));
  });
}

it('the hint is part of the message, once', () => {
  const { message } = describeError(new BlobNotFoundError(DIGEST, '/store'));
  assert.equal(message, `${DIGEST} is not in /store; upload it with PUT before a job refers to it`);
  assert.equal(describeError(new ParameterError('too small', 'take 4096')).message, 'too small; take 4096');
});

it('an error about the content of a blob names the blob and keeps its code; others stay as they are', async () => {
  const wire = await named('blobs.labels[0][1]', DIGEST, () => Promise.reject(new WireError('bad magic', 'v1'))).catch(
    (error: unknown) => error,
  );
  assert.ok(wire instanceof HeError);
  const message = `blobs.labels[0][1] (${DIGEST}): bad magic`;
  assert.deepEqual([wire.message, wire.hint], [message, 'v1']);
  assert.deepEqual(describeError(wire), {
    code: 'HE_WIRE',
    message: `${message}; v1`,
    retryable: false,
    fault: 'task',
  });
  const crash = new SealCrashError('load', 'unreachable');
  for (const thrown of [crash, new StorageFullError('/store', 0), new TaskCancelledError()])
    await assert.rejects(
      named('a key', DIGEST, () => Promise.reject(thrown)),
      (error) => error === thrown,
    );
  assert.equal(await named('a key', DIGEST, () => Promise.resolve(5)), 5);
});
