import assert from 'node:assert/strict';
import { test } from 'node:test';

import { captureLog } from './support.ts';

test('one JSON line per event, with service, level and time', () => {
  const { logger, lines } = captureLog('info');
  logger.debug('too small');
  logger.child({ job: 'j1' }).warn({ tasks: 3 }, 'hello');
  assert.equal(lines.length, 1);
  const { time, ...line } = lines[0] ?? {};
  assert.deepEqual(line, { level: 'warn', service: 'test', pid: process.pid, job: 'j1', tasks: 3, msg: 'hello' });
  assert.ok(Math.abs(Date.parse(String(time)) - Date.now()) < 60_000);
});

test('credentials are redacted at every depth in use', () => {
  const { logger, lines } = captureLog();
  const secret = 'Bearer hunter2';
  logger.info({ token: secret, authorization: secret, password: secret });
  logger.info({ config: { token: secret, password: secret }, headers: { authorization: secret } });
  logger.info({ req: { headers: { authorization: secret } } });
  assert.doesNotMatch(JSON.stringify(lines), /hunter2/);
  assert.match(JSON.stringify(lines), /"token":"\[redacted\]"/);
});

test('errors keep their message, code and cause', () => {
  const { logger, lines } = captureLog();
  logger.error({ err: Object.assign(new Error('outer', { cause: new Error('inner') }), { code: 'X' }) }, 'failed');
  const err = lines[0]?.['err'] as Record<string, unknown>;
  assert.match(String(err['message']), /outer/);
  assert.equal(err['code'], 'X');
  assert.match(String(err['stack']), /inner/);
});
