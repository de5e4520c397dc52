import assert from 'node:assert/strict';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import fastify from 'fastify';
import { temporaryDirectory } from '@blindfit/testkit';
import { auditRequests, openAuditLog, type AuditEntry } from '../src/audit.ts';
import { addBearerAuth } from '../src/auth.ts';
import { rootToken } from '../src/principals.ts';
import { useProblems } from '../src/problems.ts';
import { RefusalSample } from '../src/refusals.ts';

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

describe('failed authentications', () => {
  it('are in the log: from where, for what and why, not what was sent', async (t) => {
    const entries: AuditEntry[] = [];
    const app = fastify();
    t.after(() => app.close());
    useProblems(app);
    addBearerAuth(app, { authenticate: rootToken('correct-horse-battery-staple') });
    auditRequests(app, { write: (entry) => void entries.push(entry), close: () => Promise.resolve() });
    app.get('/v1/jobs/:id', () => ({}));
    const ask = async (token: string, url = '/v1/jobs/job-1?token=secret'): Promise<number> =>
      (await app.inject({ url, headers: { authorization: `Bearer ${token}` } })).statusCode;
    assert.equal(await ask('correct-horse-battery-staple'), 200);
    assert.equal(await ask('a-wrong-token'), 401);
    assert.equal(await ask('a-wrong-token', '/nowhere/secret'), 401);
    for (let i = 0; i < 50; i++) assert.equal(await ask('a-wrong-token'), 401);
    assert.deepEqual(
      entries.map(({ time, ...entry }) => ({ ...entry, time: Date.parse(time) > 0 })),
      ['GET /v1/jobs/:id', 'GET (no route)'].map((subject) => ({
        action: 'auth.refuse',
        address: '127.0.0.1',
        subject,
        status: 401,
        code: 'UNAUTHORIZED',
        omitted: 0,
        time: true,
      })),
    );
    assert.doesNotMatch(JSON.stringify(entries), /secret|a-wrong/);
  });

  it('are few lines a minute, whoever sends how many, and the rest is counted', () => {
    const sample = new RefusalSample();
    const all = Array.from({ length: 5 }, () => sample.admit('a', 0));
    assert.deepEqual(all, [0, 0, undefined, undefined, undefined]);
    // Another address still has its lines, and tells of what was left out.
    assert.deepEqual([sample.admit('b', 1), sample.admit('b', 2), sample.admit('b', 3)], [3, 0, undefined]);
    const many = Array.from({ length: 1000 }, (_, i) => sample.admit(`address ${i}`, 4));
    assert.equal(many.filter((omitted) => omitted !== undefined).length, 6, 'ten in all');
    assert.equal(sample.admit('c', 59_999), undefined);
    assert.equal(sample.admit('a', 60_000), 995);
    assert.equal(sample.admit('a', 60_001), 0);
    assert.equal(sample.admit('a', 60_002), undefined);
  });
});
