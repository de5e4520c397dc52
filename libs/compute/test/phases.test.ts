/** Where the time of a task goes. */
import assert from 'node:assert/strict';
import { it, type TestContext } from 'node:test';
import { Phases } from '../src/phases.ts';

function clockOf(t: TestContext): { now: number } {
  const clock = { now: 7_000 };
  t.mock.method(performance, 'now', () => clock.now);
  return clock;
}

it('phases follow each other without gaps, on the clock of the epoch', async (t) => {
  const clock = clockOf(t);
  const phases = new Phases(1_000_000, 'load keys');
  clock.now += 10;
  assert.equal(phases.enter('circuit'), 'load keys');
  clock.now += 5;
  const value = await phases.during('load inputs', () => {
    clock.now += 20;
    return Promise.resolve('loaded');
  });
  assert.equal(value, 'loaded');
  clock.now += 5;
  assert.deepEqual(phases.end(), [
    { phase: 'load keys', start: 1_000_000, end: 1_000_010 },
    { phase: 'circuit', start: 1_000_010, end: 1_000_015 },
    { phase: 'load inputs', start: 1_000_015, end: 1_000_035 },
    { phase: 'circuit', start: 1_000_035, end: 1_000_040 },
  ]);
});

it('a phase that fails ends all the same', async (t) => {
  const clock = clockOf(t);
  const phases = new Phases(0, 'circuit');
  const failing = phases.during('store result', () => {
    clock.now += 3;
    return Promise.reject(new Error('full'));
  });
  await assert.rejects(failing, /full/);
  clock.now += 2;
  assert.deepEqual(phases.end(), [
    { phase: 'store result', start: 0, end: 3 },
    { phase: 'circuit', start: 3, end: 5 },
  ]);
});

it('what takes no time is no phase, and does not part its neighbours', async (t) => {
  const clock = clockOf(t);
  const phases = new Phases(0, 'circuit');
  clock.now += 1;
  await phases.during('load inputs', () => Promise.resolve((clock.now += 2 ** -5)));
  clock.now += 1;
  assert.deepEqual(phases.end(), [{ phase: 'circuit', start: 0, end: 2 + 2 ** -5 }]);
});

it('there are 48 stretches at most', (t) => {
  const clock = clockOf(t);
  const phases = new Phases(0, 'circuit');
  for (let i = 0; i < 30; i++) {
    clock.now += 1;
    phases.enter('load inputs');
    clock.now += 1;
    phases.enter('circuit');
  }
  const stretches = phases.end();
  assert.equal(stretches.length, 48);
  assert.deepEqual(stretches.at(-1), { phase: 'load inputs', start: 47, end: 60 }, 'the last one covers the rest');
});
