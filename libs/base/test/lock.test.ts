import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { InvalidLockError, LockedError, processInfo, takeLock, type LockHolder } from '@blindfit/base/node';
import { temporaryDirectory, until } from '@blindfit/testkit';
import { required } from '../src/index.ts';

const CHILD = fileURLToPath(new URL('./lock-child.ts', import.meta.url));
const own: LockHolder = {
  token: 'other',
  host: hostname(),
  pid: process.pid,
  started: required(processInfo(process.pid), 'this process').started,
};

async function lockPath(t: TestContext): Promise<string> {
  return join(await temporaryDirectory(t), 'lock');
}

async function backdate(path: string, ms: number): Promise<void> {
  const time = new Date(Date.now() - ms);
  await utimes(path, time, time);
}

async function startHolder(t: TestContext, path: string, ...args: string[]): Promise<ReturnType<typeof spawn>> {
  const child = spawn(process.execPath, [CHILD, path, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return child;
}

describe('a lock', () => {
  it('names its holder, for the user only, and is gone after its scope', async (t) => {
    const path = await lockPath(t);
    {
      using lock = await takeLock(path);
      assert.equal((await stat(path)).mode & 0o777, 0o600);
      const holder = JSON.parse(await readFile(path, 'utf8')) as LockHolder;
      assert.deepEqual({ ...holder, token: 'other' }, own);
      await backdate(path, 100_000);
      await lock.refresh();
      assert.ok(Date.now() - (await stat(path)).mtimeMs < 50_000);
      assert.deepEqual(await readdir(join(path, '..')), ['lock'], 'no part is left');
    }
    await assert.rejects(stat(path), { code: 'ENOENT' });
  });

  it('is refused at once while a process, this one included, holds it', async (t) => {
    const path = await lockPath(t);
    using lock = await takeLock(path);
    await assert.rejects(takeLock(path), (error) => {
      assert.ok(error instanceof LockedError && error.retryable && error.code === 'LOCKED');
      assert.equal(error.holder.pid, process.pid);
      assert.match(error.message, /lock is held by process \d+ on /);
      return true;
    });
    assert.ok(lock);
  });

  it('is waited for, by one waiter after the other', async (t) => {
    const path = await lockPath(t);
    let holders = 0;
    const work = async (): Promise<void> => {
      using lock = await takeLock(path, { waitMs: 60_000 });
      assert.equal(++holders, 1);
      await lock.refresh();
      holders--;
    };
    await Promise.all([work(), work(), work()]);
  });

  it('is refused after the time to wait', async (t) => {
    const path = await lockPath(t);
    using lock = await takeLock(path);
    const start = performance.now();
    await assert.rejects(takeLock(path, { waitMs: 250 }), LockedError);
    assert.ok(performance.now() - start >= 250);
    assert.ok(lock);
  });

  it('of a killed process is taken over; of one that exits it is released', async (t) => {
    const path = await lockPath(t);
    const killed = await startHolder(t, path);
    await assert.rejects(takeLock(path), LockedError);
    killed.kill('SIGKILL');
    await until(() => killed.signalCode ?? undefined, 'it is dead');
    assert.ok((await stat(path)).isFile());
    (await takeLock(path)).release();

    const ended = await startHolder(t, path, 'exit');
    await until(() => ended.exitCode ?? undefined, 'it has ended');
    await assert.rejects(stat(path), { code: 'ENOENT' });
  });

  it('of an earlier process with the same id is taken over', async (t) => {
    const path = await lockPath(t);
    await writeFile(path, JSON.stringify({ ...own, started: '1' }));
    using lock = await takeLock(path);
    assert.notEqual((JSON.parse(await readFile(path, 'utf8')) as LockHolder).token, 'other');
    assert.ok(lock);
  });

  it('of an earlier release, without token and host, counts while its process lives', async (t) => {
    const path = await lockPath(t);
    await writeFile(path, JSON.stringify({ pid: own.pid, started: own.started }));
    await assert.rejects(takeLock(path), LockedError);
    await writeFile(path, JSON.stringify({ pid: own.pid, started: '1' }));
    (await takeLock(path)).release();
  });

  it('without content, as a power failure leaves it, is taken over', async (t) => {
    const path = await lockPath(t);
    for (const text of ['', '\0\0\0']) {
      await writeFile(path, text);
      (await takeLock(path)).release();
    }
  });

  it('of another host is taken over after silence only', async (t) => {
    const path = await lockPath(t);
    await writeFile(path, JSON.stringify({ ...own, host: 'elsewhere', started: '1' }));
    await backdate(path, 290_000);
    await assert.rejects(takeLock(path), /on elsewhere/);
    await backdate(path, 301_000);
    (await takeLock(path)).release();
  });

  it('of a living process of this host is taken over after silence only on demand', async (t) => {
    const path = await lockPath(t);
    await writeFile(path, JSON.stringify(own));
    await backdate(path, 31_000);
    await assert.rejects(takeLock(path, { silenceMs: 30_000 }), LockedError);
    await assert.rejects(takeLock(path, { silenceMs: 40_000, silenceCounts: true }), LockedError);
    (await takeLock(path, { silenceMs: 30_000, silenceCounts: true })).release();
  });

  it('is not released by a holder that lost it', async (t) => {
    const path = await lockPath(t);
    const lock = await takeLock(path);
    await writeFile(path, JSON.stringify(own));
    lock.release();
    assert.equal(await readFile(path, 'utf8'), JSON.stringify(own));
    await writeFile(path, 'something else');
    lock.release();
    assert.equal(await readFile(path, 'utf8'), 'something else');
  });

  it('that is something else is left alone', async (t) => {
    const path = await lockPath(t);
    for (const text of ['mine', 'null', '{"pid":"1","started":"1"}', '{"pid":1}', '[]']) {
      await writeFile(path, text);
      await assert.rejects(takeLock(path, { waitMs: 1000 }), (error) => {
        assert.ok(error instanceof InvalidLockError && error.hint === 'delete it', text);
        return true;
      });
      assert.equal(await readFile(path, 'utf8'), text);
    }
  });

  it('needs its directory', async (t) => {
    await assert.rejects(takeLock(join(await temporaryDirectory(t), 'none', 'lock'), { waitMs: 50 }), {
      code: 'ENOENT',
    });
  });
});

it('that is stale is taken over although the process that was about to remove it is dead', async (t) => {
  const path = await lockPath(t);
  const stale = { ...own, token: 'stale', started: '1' };
  const claim = `${path}.${createHash('sha256').update('stale').digest('hex').slice(0, 16)}`;
  await writeFile(path, JSON.stringify(stale));
  await writeFile(claim, JSON.stringify({ ...own, started: '1' }));
  const lock = await takeLock(path);
  assert.deepEqual(await readdir(dirname(path)), ['lock'], 'no claim is left');
  lock.release();
});

it('that is stale waits for the process that is about to remove it', async (t) => {
  const path = await lockPath(t);
  const claim = `${path}.${createHash('sha256').update('stale').digest('hex').slice(0, 16)}`;
  await writeFile(path, JSON.stringify({ ...own, token: 'stale', started: '1' }));
  using claimed = await takeLock(claim);
  const taken = takeLock(path);
  assert.equal(await Promise.race([taken, sleep(100, 'waits')]), 'waits');
  claimed.release();
  (await taken).release();
});

it('of many that find a stale lock exactly one gets it', async (t) => {
  for (let round = 0; round < 20; round++) {
    const path = await lockPath(t);
    await writeFile(path, JSON.stringify({ ...own, started: '1' }));
    const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => takeLock(path)));
    assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1);
  }
});
