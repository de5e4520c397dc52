/** The limits of a put, at each of them and just beyond. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestOf } from '@blindfit/base';
import { limited, type Limits } from '../src/limits.ts';
import { chunked } from './support.ts';

const DIGEST = digestOf(new Uint8Array());

async function passed(length: number, limits: Partial<Limits>): Promise<number> {
  let size = 0;
  for await (const chunk of limited(chunked(new Uint8Array(length)), DIGEST, {
    declared: undefined,
    maxBytes: Infinity,
    ...limits,
  }))
    size += chunk.length;
  return size;
}

test('what keeps the limits passes whole', async () => {
  assert.equal(await passed(100_000, {}), 100_000);
  assert.equal(await passed(100_000, { declared: 100_000, maxBytes: 100_000 }), 100_000);
  assert.equal(await passed(0, { declared: 0, maxBytes: 0 }), 0);
});

test('a byte more than allowed, or than announced, or fewer, is refused', async () => {
  await assert.rejects(passed(100_001, { maxBytes: 100_000 }), { code: 'BLOB_TOO_LARGE', message: /100000 bytes/ });
  await assert.rejects(passed(100_001, { declared: 100_000 }), {
    code: 'BLOB_SIZE_MISMATCH',
    message: /but more arrived/,
  });
  await assert.rejects(passed(99_999, { declared: 100_000 }), {
    code: 'BLOB_SIZE_MISMATCH',
    message: /announced with 100000 bytes but only 99999 arrived/,
  });
  await assert.rejects(passed(1, { declared: 0 }), { code: 'BLOB_SIZE_MISMATCH' });
});
