import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { uptime } from 'node:os';
import { it } from 'node:test';
import { processExists, processInfo } from '@blindfit/base/node';
import { asOrdinaryUser, until } from '@blindfit/testkit';

it('a running process is described, an ended one is not', { skip: process.platform !== 'linux' }, async () => {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => 1, 1000) // (odd) name'], { stdio: 'ignore' });
  const { pid = 0 } = child;
  const info = await until(() => processInfo(pid), 'it runs');
  assert.equal(info.parent, process.pid);
  assert.match(info.started, /^\d+$/);
  // Linux counts a hundred ticks a second; this process has been running for a known time.
  const own = Number(processInfo(process.pid)?.started) / 100;
  assert.ok(Math.abs(uptime() - process.uptime() - own) < 5, `started ${own} s after boot`);
  assert.ok(Number(info.started) >= own * 100);
  await until(() => processInfo(pid)?.command.includes('setInterval(() => 1, 1000) // (odd) name'), 'it is Node');
  assert.ok(processExists(pid));
  child.kill('SIGKILL');
  await until(() => !processExists(pid), 'it is collected');
  assert.equal(processInfo(pid), undefined);
});

it('a process of another user exists', async (t) => {
  const others = process.getuid?.() === 0 ? spawn('sleep', ['60'], { uid: 65_533, stdio: 'ignore' }) : undefined;
  t.after(() => others?.kill('SIGKILL'));
  // Root may signal all, and other users only their own.
  const { pid = 1 } = others ?? {};
  assert.ok(await asOrdinaryUser(() => Promise.resolve(processExists(pid))));
  assert.ok(!processExists(2 ** 22 + 1));
});

it('a zombie exists and is not described', { skip: process.platform !== 'linux' }, async (t) => {
  // The shell does not wait for its child before it becomes `sleep`, which never does.
  const parent = spawn('/bin/sh', ['-c', 'sleep 0 & echo $!; exec sleep 60'], { stdio: ['ignore', 'pipe', 'ignore'] });
  t.after(() => parent.kill('SIGKILL'));
  let text = '';
  parent.stdout.on('data', (data: Buffer) => (text += data.toString()));
  const pid = await until(() => Number(text) || undefined, 'its id is printed');
  await until(() => processInfo(pid) === undefined, 'it has ended');
  assert.ok(processExists(pid));
});
