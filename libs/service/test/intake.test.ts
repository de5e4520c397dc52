/** When a service takes no work, what it says meanwhile, and how it tries again. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Registry } from 'prom-client';
import { BlindfitError } from '@blindfit/base';
import { until } from '@blindfit/testkit';
import { Intake } from '../src/intake.ts';
import { patiently } from '../src/patience.ts';
import { Readiness } from '../src/readiness.ts';

const FULL = new BlindfitError('FULL', 'the disk is full', { fault: 'host' });
const AWAY = new BlindfitError('AWAY', 'Redis is away', { fault: 'world' });

/** @param first milliseconds until work is tried again; by default for longer than a test lasts */
function setUp(first = 3_600_000) {
  const readiness = new Readiness();
  const registry = new Registry();
  const lines: unknown[][] = [];
  const log = (...line: unknown[]): void => void lines.push(line);
  const waitsMs = { first, longest: 4 * first };
  const intake = new Intake({ readiness, registry, logger: { info: log, warn: log } as never, waitsMs });
  const calls: string[] = [];
  const source = (name: string) => ({
    pause: (doNotWaitActive: boolean) => Promise.resolve(void calls.push(`pause ${name} ${doNotWaitActive}`)),
    resume: () => Promise.resolve(void calls.push(`resume ${name}`)),
  });
  intake.add(source('a'));
  const stopped = async (): Promise<Record<string, number>> => {
    const { values } = (await registry.getSingleMetric('blindfit_intake_stopped')?.get()) ?? { values: [] };
    return Object.fromEntries(values.map(({ labels, value }) => [String(labels['fault']), value]));
  };
  return { readiness, intake, lines, calls, source, stopped };
}

it('a fault of the host or of the world stops all sources, the later ones too, and is told everywhere', async (t) => {
  const { intake, readiness, calls, lines, source, stopped } = setUp();
  t.after(() => intake.close());
  assert.deepEqual(
    [intake.isOpen, await readiness.outcomes(), await stopped()],
    [true, { work: 'ok' }, { host: 0, world: 0 }],
  );
  assert.equal(intake.stopFor(new Error('a bug')), false, 'the fault of a task stops nothing');
  assert.ok(intake.isOpen);
  assert.equal(intake.stopFor(FULL), true);
  assert.equal(intake.stopFor(AWAY), true, 'it is no fault of the task either');
  intake.add(source('b'));
  assert.deepEqual(calls, ['pause a true', 'pause b true']);
  assert.equal(intake.isOpen, false);
  assert.deepEqual(await readiness.outcomes(), { work: 'takes no work: the disk is full' });
  assert.deepEqual(await stopped(), { host: 1, world: 0 });
  assert.deepEqual(lines, [
    [{ fault: 'host', reason: 'the disk is full' }, 'no more work is taken until it can be done again'],
  ]);
});

it('the world that is away is told as such', async (t) => {
  const { intake, stopped } = setUp();
  t.after(() => intake.close());
  intake.stop({ fault: 'world', message: 'away' });
  assert.deepEqual(await stopped(), { host: 0, world: 1 });
});

it('work is taken again after a while, when all other conditions hold', async () => {
  const { intake, readiness, calls, lines } = setUp(1);
  const store = readiness.condition('store');
  store.fail('it is away');
  intake.stopFor(FULL);
  await until(async () => (await readiness.outcomes())['store'] === 'it is away', 'the store is away');
  assert.equal(intake.isOpen, false);
  store.clear();
  await until(() => intake.isOpen, 'work is taken');
  assert.deepEqual(calls, ['pause a true', 'resume a']);
  assert.deepEqual(await readiness.outcomes(), { work: 'ok', store: 'ok' });
  assert.equal(lines.at(-1)?.[1], 'work is taken again');
  assert.ok((lines.at(-1)?.[0] as { seconds: number }).seconds < 60, 'seconds');
});

it('a service that stops says nothing of work any more, and ends what waits', async () => {
  const { intake, readiness, calls, lines } = setUp();
  intake.stopFor(FULL);
  intake.close();
  assert.ok(intake.closing.aborted);
  const other = setUp();
  other.intake.close();
  other.intake.stopFor(FULL);
  assert.deepEqual([other.intake.isOpen, other.calls, other.lines], [true, [], []]);
  assert.deepEqual(await readiness.outcomes(), { work: 'takes no work: the disk is full' });
  assert.deepEqual([calls, lines.length], [['pause a true'], 1]);
});

it('a step is repeated while the world is at fault, taking no work meanwhile', async () => {
  const stops: unknown[] = [];
  const closing = new AbortController();
  const intake = { stop: (standstill: unknown) => void stops.push(standstill), closing: closing.signal };
  let tries = 0;
  const step = (failures: number, error: Error) => () =>
    ++tries > failures ? Promise.resolve('done') : Promise.reject(error);
  assert.equal(await patiently(intake, step(1, AWAY)), 'done');
  assert.deepEqual([tries, stops], [2, [{ fault: 'world', message: 'Redis is away' }]]);
  for (const error of [FULL, new Error('a bug')]) {
    tries = 0;
    await assert.rejects(patiently(intake, step(1, error)), error);
    assert.deepEqual([tries, stops.length], [1, 1]);
  }
  tries = 0;
  const ends = patiently(intake, step(9, AWAY));
  closing.abort();
  await assert.rejects(ends, AWAY);
  assert.ok(tries <= 2, `${tries} tries`);
});
