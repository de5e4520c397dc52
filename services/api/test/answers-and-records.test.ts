/** Small rules of the API by themselves: who may know of a job, what is logged, how manifests are read. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FastifyInstance } from 'fastify';
import { knownJob } from '../src/known-job.ts';
import { logAnswers } from '../src/log-answers.ts';
import { ManifestReader } from '../src/manifests/reader.ts';
import { ApiError } from '../src/problems.ts';

const requestBy = (tenant: string, ...scopes: string[]): never =>
  ({ principal: { name: 'n', tenant, scopes: new Set(scopes) } }) as never;

test('a tenant learns nothing of the jobs of others, not even that their records are wrong', async () => {
  const jobs = { get: () => Promise.resolve(undefined), wrong: new Set(['job-wrong']) } as never;
  const code = async (tenant: string, id: string, ...scopes: string[]): Promise<string> => {
    const error: unknown = await knownJob(jobs, requestBy(tenant, ...scopes), id).catch((thrown: unknown) => thrown);
    return error instanceof ApiError ? `${error.status} ${error.code}` : String(error);
  };
  assert.equal(await code('a', 'job-wrong', 'read'), '404 JOB_NOT_FOUND');
  assert.equal(await code('a', 'job-wrong', 'operate'), '409 RECORD_WRONG');
  assert.equal(await code('a', 'job-none', 'operate'), '404 JOB_NOT_FOUND');
});

test('answers to tenants are logged, those to strangers in samples, and none with its query', () => {
  let hook: (request: unknown, reply: unknown, done: () => void) => void = () => undefined;
  logAnswers({ addHook: (_name: string, added: typeof hook) => (hook = added) } as unknown as FastifyInstance);
  const lines: unknown[][] = [];
  const answer = (more: object, ip = '1'): void => {
    const log = {
      info: (facts: object) => lines.push(['info', facts]),
      debug: (facts: object) => lines.push(['debug', facts]),
    };
    const request = { method: 'GET', url: '/v1/jobs?token=secret', ip, log, ...more };
    let done = 0;
    hook(request, { statusCode: 200, elapsedTime: 1.6 }, () => done++);
    assert.equal(done, 1);
  };
  const levels = (): unknown[] => lines.splice(0).map(([level]) => level);
  const facts = { method: 'GET', url: '/v1/jobs', status: 200, milliseconds: 2 };
  answer({ principal: {} });
  assert.deepEqual(lines.splice(0), [['info', facts]]);
  for (let i = 0; i < 4; i++) answer({ principal: {} });
  assert.deepEqual(levels(), Array(4).fill('info'));
  for (let i = 0; i < 3; i++) answer({});
  assert.deepEqual(levels(), ['info', 'info', 'debug'], 'open routes');
  for (let i = 0; i < 3; i++) answer({ refusal: 'X', principal: {} }, '2');
  assert.deepEqual(levels(), ['info', 'info', 'debug'], 'refusals');
  answer({}, '3');
  assert.deepEqual(lines.splice(0), [['info', { ...facts, omitted: 1 }]]);
});

test('a large body is read in a thread, which takes no memory that others use', async (t) => {
  const reader = new ManifestReader();
  t.after(() => reader.close());
  const text = `{"format":"none","x":"${'x'.repeat(200_000)}"}`;
  const pooled = new Uint8Array(300_000);
  const part = pooled.subarray(1000, 1000 + text.length);
  new TextEncoder().encodeInto(text, part);
  const refused = { status: 422, code: 'INVALID_MANIFEST' };
  await assert.rejects(reader.read(part), refused);
  assert.equal(part.length, text.length, 'what is in front of it is not taken away');
  const own = new TextEncoder().encode(text).slice();
  await assert.rejects(reader.read(own), refused);
  await assert.rejects(reader.read(new TextEncoder().encode('['.repeat(140_000))), { status: 422 });
  const broken = new TextEncoder().encode(text.slice(0, -1));
  await assert.rejects(reader.read(broken), { status: 400, code: 'INVALID_REQUEST' });
});
