/** What clients are told of errors from below the API: status and code by the error, word by word. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fastify from 'fastify';
import { BlindfitError } from '@blindfit/base';
import { logAnswers } from '../src/log-answers.ts';
import { ApiError, problemOf, useProblems } from '../src/problems.ts';

for (const [code, status] of [
  ['INVALID_DIGEST', 400],
  ['BLOB_SIZE_MISMATCH', 400],
  ['BLOB_NOT_FOUND', 404],
  ['BLOB_TOO_LARGE', 413],
  ['DIGEST_MISMATCH', 422],
  ['BLOB_CORRUPT', 500],
  ['STORE_UNAVAILABLE', 503],
  ['REDIS_UNAVAILABLE', 503],
  ['STORAGE_FULL', 507],
] as const) {
  test(`${code} is ${status}, with message and hint`, () => {
    const { title, ...told } = problemOf(new BlindfitError(code, 'the message', { hint: 'the hint' }));
    assert.ok(title.length > 5);
    assert.deepEqual(told, {
      type: `urn:blindfit:problem:${code.toLowerCase().replaceAll('_', '-')}`,
      status,
      code,
      detail: 'the message',
      // Clients can do nothing about an outage; its hint is the operator's.
      hint: status === 503 ? 'try again; submissions with an Idempotency-Key are safe to repeat' : 'the hint',
    });
  });
}

test('errors of the framework: those of the client are told, those of the server are not', () => {
  const failing = (statusCode: number): unknown => Object.assign(new Error('the reason'), { statusCode });
  const told = (error: unknown): unknown[] => {
    const { status, code, detail } = problemOf(error);
    return [status, code, detail];
  };
  assert.deepEqual(told(failing(400)), [400, 'INVALID_REQUEST', 'the reason']);
  assert.deepEqual(told(failing(404)), [404, 'NOT_FOUND', 'the reason']);
  assert.deepEqual(told(failing(413)), [413, 'BODY_TOO_LARGE', 'the reason']);
  assert.deepEqual(told(failing(415)), [415, 'UNSUPPORTED_MEDIA_TYPE', 'the reason']);
  assert.deepEqual(told(failing(499)), [499, 'INVALID_REQUEST', 'the reason']);
  const hidden = [500, 'INTERNAL', 'The server ran into an error that it did not foresee.'];
  for (const error of [failing(399), failing(500), failing(503), new BlindfitError('ELSEWHERE', 'secret'), 'text'])
    assert.deepEqual(told(error), hidden);
  assert.deepEqual(told(Object.assign(new Error('body must be'), { validation: [] })), [
    400,
    'INVALID_REQUEST',
    'body must be',
  ]);
  assert.deepEqual(told(new Error('Command timed out')), [503, 'REDIS_UNAVAILABLE', 'Redis did not answer in time']);
  for (const code of ['READONLY', 'OOM', 'MISCONF', 'NOREPLICAS', 'LOADING', 'CLUSTERDOWN', 'MASTERDOWN', 'TRYAGAIN'])
    assert.deepEqual(told(new Error(`${code} the reply`)), [
      503,
      'REDIS_UNAVAILABLE',
      `Redis cannot serve now: it answers ${code}`,
    ]);
});

test('errors of the server are logged as errors, those of clients are not', async (t) => {
  const lines: (Record<string, unknown> & { readonly msg: string })[] = [];
  const app = fastify({
    logger: { stream: { write: (line: string) => void lines.push(JSON.parse(line) as (typeof lines)[number]) } },
  });
  t.after(() => app.close());
  useProblems(app);
  logAnswers(app);
  app.decorateRequest('principal', undefined);
  app.addHook('onRequest', (request, _reply, done) => {
    // Lines about strangers are sampled elsewhere.
    if (request.url !== '/stranger') request.principal = { name: 'root', tenant: 'default', scopes: new Set() };
    done();
  });
  app.get('/bug', () => Promise.reject(new TypeError('a bug')));
  app.get('/full', () => Promise.reject(new BlindfitError('STORAGE_FULL', 'no space')));
  app.get('/oom', () => Promise.reject(new Error('OOM command not allowed')));
  app.get('/none', () => Promise.reject(new BlindfitError('BLOB_NOT_FOUND', 'not here')));
  for (const url of ['/bug', '/full', '/none', '/nowhere', '/stranger']) {
    const { headers } = await app.inject(url);
    assert.equal(headers['retry-after'], undefined);
  }
  const { statusCode, headers } = await app.inject('/oom');
  assert.deepEqual([statusCode, headers['retry-after']], [503, '5']);
  assert.deepEqual(
    lines
      .filter(({ msg }) => !/^(incoming request|request completed|answered)$/.test(msg))
      .map(({ level, msg }) => [level, msg]),
    [
      [50, 'Internal error'],
      [50, 'Blob store is full'],
      [40, 'Redis is unavailable'],
    ],
  );
  const answers = lines.filter(({ msg, url }) => msg === 'answered' && url === '/none');
  assert.deepEqual(
    answers.map(({ level, status, code, detail }) => [level, status, code, detail]),
    [[30, 404, 'BLOB_NOT_FOUND', 'not here']],
    'one line tells the answer and why',
  );
});

test('an error on purpose is told as it is, with its blobs', () => {
  const blobs = [{ place: 'blobs.labels[0]', digest: `sha256:${'0'.repeat(64)}`, reason: 'missing' }];
  assert.deepEqual(problemOf(new ApiError(409, 'A_CODE', 'A title', 'the detail', undefined, blobs)), {
    type: 'urn:blindfit:problem:a-code',
    title: 'A title',
    status: 409,
    code: 'A_CODE',
    detail: 'the detail',
    blobs,
  });
});
