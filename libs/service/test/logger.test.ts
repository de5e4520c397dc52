import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
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

test('a log that cannot be written does not end the program', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'blindfit-runtime-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const log = join(directory, 'log');
  const child = fileURLToPath(new URL('./logger-child.ts', import.meta.url));
  // Blocks of 512 bytes in sh: what lies beyond is refused as on a full disk.
  const command = 'ulimit -S -f 8; exec "$0" "$1" 2> "$2"';
  const { status, stdout } = spawnSync('sh', ['-c', command, process.execPath, child, log], { encoding: 'utf8' });
  assert.equal(stdout, 'done\n');
  assert.equal(status, 0);
  const { length } = await readFile(log);
  assert.ok(length > 1000 && length <= 8192, `${length} bytes were written`);
});
