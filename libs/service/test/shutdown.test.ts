import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createShutdown, endRequests } from '@blindfit/service';
import { captureLog } from './support.ts';

test('steps run one after another, last registered first, and the signal is aborted before', async () => {
  const exits: number[] = [];
  const shutdown = createShutdown({ logger: captureLog().logger, signals: [], exit: (code) => exits.push(code) });
  const order: string[] = [];
  for (const name of ['redis', 'worker', 'server']) {
    shutdown.onShutdown(name, async () => {
      order.push(`${name} begins, aborted: ${shutdown.signal.aborted}`);
      await sleep(5);
      order.push(`${name} ends`);
    });
  }
  const [first, second] = await Promise.all([shutdown.trigger('test'), shutdown.trigger('again')]);
  assert.deepEqual([first, second], [0, 0]);
  assert.deepEqual(exits, [0]);
  assert.deepEqual(
    order,
    ['server', 'worker', 'redis'].flatMap((name) => [`${name} begins, aborted: true`, `${name} ends`]),
  );
  assert.equal(shutdown.signal.reason, 'test');
});

test('a failing step does not keep the others from running', async () => {
  const { logger, lines } = captureLog();
  const shutdown = createShutdown({ logger, signals: [], exit: () => undefined });
  let stopped = false;
  shutdown.onShutdown('last', () => {
    stopped = true;
  });
  shutdown.onShutdown('bad', () => Promise.reject(new Error('no')));
  assert.equal(await shutdown.trigger('test'), 1);
  assert.ok(stopped);
  assert.equal(lines.find((line) => line['level'] === 'error')?.['step'], 'bad');
});

test('a step that hangs is given up at the deadline', async () => {
  const { logger, lines } = captureLog();
  const shutdown = createShutdown({ logger, signals: [], exit: () => undefined, deadlineMs: 50 });
  shutdown.onShutdown('stuck', () => new Promise(() => undefined));
  assert.equal(await shutdown.trigger('test'), 1);
  assert.equal(lines.find((line) => line['level'] === 'error')?.['step'], 'stuck');
});

test('dispose removes the signal listeners', () => {
  const before = process.listenerCount('SIGTERM');
  const shutdown = createShutdown({ logger: captureLog().logger, exit: () => undefined });
  assert.equal(process.listenerCount('SIGTERM'), before + 1);
  shutdown.dispose();
  assert.equal(process.listenerCount('SIGTERM'), before);
});

for (const [name, signals, expected, output] of [
  ['SIGTERM ends in order with 0', ['SIGTERM'], 0, 'up stopping stopped'],
  ['SIGINT ends in order with 0', ['SIGINT'], 0, 'up stopping stopped'],
  ['a second signal exits at once', ['SIGTERM', 'SIGINT'], 130, 'up stopping'],
  [
    'the same signal from a supervisor and from a parent is one request',
    ['SIGTERM', 'SIGTERM'],
    0,
    'up stopping stopped',
  ],
] as const) {
  test(`in a real process: ${name}`, async () => {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'shutdown-child.ts')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exited = once(child, 'exit');
    let text = '';
    for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
      text += chunk.toString();
      if (text === 'up ') child.kill(signals[0]);
      if (text === 'up stopping ' && signals.length > 1) child.kill(signals[1]);
    }
    assert.deepEqual(await exited, [expected, null]);
    assert.equal(text.trim(), output);
  });
}

test('a signal again is the same request at first, and one more later', () => {
  let now = 0;
  const requests = endRequests(() => now);
  assert.equal(requests('SIGINT'), 'first');
  assert.equal(requests('SIGINT'), 'same');
  assert.equal(requests('SIGTERM'), 'another');
  now = 999;
  assert.equal(requests('SIGINT'), 'same');
  now = 1000;
  assert.equal(requests('SIGINT'), 'another');
});
