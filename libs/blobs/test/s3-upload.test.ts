/** Uploads in parts against a bucket whose answers the test gives. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { CompleteMultipartUploadCommand, CreateMultipartUploadCommand, UploadPartCommand } from '@aws-sdk/client-s3';
import { at } from '@blindfit/base';
import type { S3Bucket } from '../src/s3-bucket.ts';
import { MultipartUpload } from '../src/s3-upload.ts';

interface Part {
  readonly number: number | undefined;
  readonly answer: PromiseWithResolvers<{ ETag: string }>;
}

async function start(partsAtOnce: number): Promise<{ upload: MultipartUpload; parts: Part[]; completed: unknown[] }> {
  const parts: Part[] = [];
  const completed: unknown[] = [];
  const send = (command: unknown): Promise<unknown> => {
    if (command instanceof CreateMultipartUploadCommand) return Promise.resolve({ UploadId: 'upload' });
    if (command instanceof CompleteMultipartUploadCommand) completed.push(command.input.MultipartUpload?.Parts);
    if (!(command instanceof UploadPartCommand)) return Promise.resolve({});
    const answer = Promise.withResolvers<{ ETag: string }>();
    parts.push({ number: command.input.PartNumber, answer });
    return answer.promise;
  };
  const bucket = {
    name: 'bucket',
    client: { send },
    call: <T>(body: () => Promise<T>) => body(),
    conditional: async (body: (condition: object) => Promise<unknown>) => (await body({}), true),
  } as unknown as S3Bucket;
  return { upload: await MultipartUpload.start(bucket, 'key', partsAtOnce), parts, completed };
}

it('no more parts than allowed are under way, and they are put together in their order', async () => {
  const { upload, parts, completed } = await start(2);
  const adding = (async () => {
    for (let part = 0; part < 4; part++) await upload.add(new Uint8Array(1));
  })();
  await turn();
  assert.deepEqual(
    parts.map(({ number }) => number),
    [1, 2],
  );
  at(parts, 1, 'parts').answer.resolve({ ETag: 'b' });
  await turn();
  assert.equal(parts.length, 3, 'one that is done makes room for one');
  at(parts, 2, 'parts').answer.resolve({ ETag: 'c' });
  at(parts, 0, 'parts').answer.resolve({ ETag: 'a' });
  await adding;
  at(parts, 3, 'parts').answer.resolve({ ETag: 'd' });
  assert.equal(await upload.complete(), true);
  assert.deepEqual(completed, [['a', 'b', 'c', 'd'].map((ETag, index) => ({ PartNumber: index + 1, ETag }))]);
});

it('the failure of a part comes out of the next one', async () => {
  const { upload, parts } = await start(1);
  await upload.add(new Uint8Array(1));
  const next = upload.add(new Uint8Array(1));
  at(parts, 0, 'parts').answer.reject(new Error('the bucket is gone'));
  await assert.rejects(next, { message: 'the bucket is gone' });
  await assert.rejects(upload.complete(), { message: 'the bucket is gone' });
  assert.equal(parts.length, 1);
});
