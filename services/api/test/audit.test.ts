import assert from 'node:assert/strict';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { temporaryDirectory } from '@blindfit/testkit';
import { openAuditLog, type AuditEntry } from '../src/audit.ts';

const entry = (number: number): AuditEntry => ({
  time: '2026-01-02T03:04:05.678Z',
  action: 'job.submit',
  principal: 'root',
  tenant: 'default',
  address: '127.0.0.1',
  subject: `job-${number}`,
  status: 201,
});

describe('the audit log', () => {
  it('is appended to, and only its user can read it', async (t) => {
    const directory = await temporaryDirectory(t);
    const path = join(directory, 'audit.log');
    for (const number of [1, 2]) {
      const log = openAuditLog(path, assert.ifError);
      log.write(entry(number));
      await log.close();
    }
    const lines = (await readFile(path, 'utf8')).trimEnd().split('\n');
    assert.deepEqual(
      lines.map((line) => JSON.parse(line) as unknown),
      [entry(1), entry(2)],
    );
    assert.equal((await stat(path)).mode & 0o777, 0o600);
  });

  it('is rotated, and old files go', async (t) => {
    const directory = await temporaryDirectory(t);
    const log = openAuditLog(join(directory, 'audit.log'), assert.ifError, '1K');
    for (let number = 0; number < 200; number++) {
      log.write(entry(number));
      // Rotation happens between writes.
      if (number % 4 === 3) await new Promise((resolve) => setImmediate(resolve));
    }
    await log.close();
    const names = (await readdir(directory)).sort();
    assert.ok(names.includes('audit.log') && names.includes('audit.log.1'), names.join(' '));
    assert.ok(names.length <= 11, names.join(' '));
    for (const name of names) assert.equal((await stat(join(directory, name))).mode & 0o777, 0o600, name);
  });
});
