/** Requests to end: the first lets the work clean up, the same again is no other, and another one does not wait. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { BlindfitClient } from '@blindfit/client';
import { temporaryDirectory } from '@blindfit/testkit';
import { withClient } from '../src/connect.ts';
import { auditLogOf, dataDirOf, defaultDataDir } from '../src/data-dir.ts';
import { InterruptedError, reportError } from '../src/errors.ts';
import { withInterrupt } from '../src/interrupt.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

function exitsOf(t: TestContext): number[] {
  const exits: number[] = [];
  t.mock.method(process, 'exit', (status: number) => void exits.push(status));
  return exits;
}

const untilAborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) =>
    signal.addEventListener('abort', () => reject(new Error('it was aborted')), { once: true }),
  );

describe('an interruption', () => {
  it('is none when nothing comes: results and failures pass, and nothing listens afterwards', async () => {
    const before = SIGNALS.map((signal) => process.listenerCount(signal));
    assert.equal(await withInterrupt(() => Promise.resolve(7)), 7);
    await assert.rejects(
      withInterrupt(() => Promise.reject(new TypeError('a bug'))),
      TypeError,
    );
    assert.deepEqual(
      SIGNALS.map((signal) => process.listenerCount(signal)),
      before,
    );
  });

  for (const signal of SIGNALS)
    it(`by ${signal} lets the work end, and is told with its name`, async (t) => {
      const exits = exitsOf(t);
      const work = withInterrupt(untilAborted);
      process.emit(signal, signal);
      // A terminal and a supervisor send the same one.
      process.emit(signal, signal);
      await assert.rejects(work, (error) => error instanceof InterruptedError && error.signal === signal);
      assert.deepEqual(exits, []);
    });

  it('does not take away a result that comes all the same', async () => {
    const work = withInterrupt((signal) => untilAborted(signal).catch(() => 'done'));
    process.emit('SIGINT', 'SIGINT');
    assert.equal(await work, 'done');
  });

  it('is not waited for when another signal comes', async (t) => {
    const exits = exitsOf(t);
    const work = withInterrupt(untilAborted);
    process.emit('SIGINT', 'SIGINT');
    process.emit('SIGTERM', 'SIGTERM');
    await assert.rejects(work, InterruptedError);
    assert.deepEqual(exits, [143]);
  });

  it('is followed by what is left to do, which another request hurries and a third one ends', async (t) => {
    const exits = exitsOf(t);
    const steps: string[] = [];
    const going = Promise.withResolvers<undefined>();
    const work = withInterrupt(untilAborted, async ({ signal }, again) => {
      steps.push(`left by ${signal}`);
      again.addEventListener('abort', () => steps.push('hurried'));
      await going.promise;
      steps.push('left');
    });
    const ended = work.catch(() => steps.push('ended'));
    process.emit('SIGINT', 'SIGINT');
    await new Promise((resolve) => setImmediate(resolve));
    process.emit('SIGTERM', 'SIGTERM');
    assert.deepEqual([steps, exits], [['left by SIGINT', 'hurried'], []]);
    process.emit('SIGHUP', 'SIGHUP');
    assert.deepEqual(exits, [129]);
    going.resolve(undefined);
    await ended;
    assert.deepEqual(steps, ['left by SIGINT', 'hurried', 'left', 'ended']);
  });
});

it('a client is closed after the work, also when it fails', async (t) => {
  const closed = t.mock.method(BlindfitClient.prototype, 'close');
  const flags = { server: 'http://127.0.0.1:1', data: await temporaryDirectory(t) };
  assert.equal(await withClient(flags, () => Promise.resolve(3)), 3);
  await assert.rejects(
    withClient(flags, () => Promise.reject(new Error('no'))),
    /no/,
  );
  assert.equal(closed.mock.callCount(), 2);
});

it('directories follow the XDG specification, which ignores relative ones', () => {
  const home = { HOME: '/home/x' };
  for (const [env, data, audit] of [
    [home, '/home/x/.local/share/blindfit', '/home/x/.local/state/blindfit/audit.log'],
    [{ ...home, XDG_DATA_HOME: '/d', XDG_STATE_HOME: '/s' }, '/d/blindfit', '/s/blindfit/audit.log'],
    [
      { ...home, XDG_DATA_HOME: 'd', XDG_STATE_HOME: 's' },
      '/home/x/.local/share/blindfit',
      '/home/x/.local/state/blindfit/audit.log',
    ],
  ] as const)
    assert.deepEqual([defaultDataDir(env), auditLogOf(undefined, env)], [data, audit]);
  assert.equal(auditLogOf('x', home), join(process.cwd(), 'x/logs/audit.log'));
  assert.deepEqual([dataDirOf('x'), dataDirOf('/y')], [join(process.cwd(), 'x'), '/y']);
});

it('an answer that is not the owner’s ends with status 3, and hints command no terminal', () => {
  const report = (error: unknown): [number, string] => {
    let text = '';
    return [reportError(error, (part) => (text += part), {}), text];
  };
  for (const code of ['ANSWER_NOT_OWN', 'MODEL'])
    assert.equal(report(Object.assign(new Error('no'), { code }))[0], 3, code);
  const [, text] = report(Object.assign(new Error('no'), { code: 'X', hint: 'a\u001b[31mb' }));
  assert.match(text, /^error: no\nhint: a\uFFFD\[31mb\n$/);
});
