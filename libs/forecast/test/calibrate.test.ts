import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Parameters } from '@blindfit/he';
import { calibrate, OPERATIONS, secondsOf, type Calibration } from '../src/index.ts';
import { madeUp } from './support.ts';

/** Small and not secure: quick to measure. */
const PARAMETERS = Parameters.of({ ring: 2048, dataBits: [45, 35, 35, 35], specialBits: 45, scaleBits: 35 }, 'none');

test('measures every operation, keeps the figures, and measures again on request or after damage', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'blindfit-simulate-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const steps: (readonly [number, number])[] = [];
  const first = await calibrate(PARAMETERS, { directory, onProgress: (done, total) => steps.push([done, total]) });
  for (const name of OPERATIONS) {
    const from = name === 'rescale' || name === 'rescaleProduct' ? 1 : 0;
    for (let level = from; level <= PARAMETERS.maxLevel; level++) {
      const seconds = secondsOf(first, name, level);
      assert.ok(seconds > 0 && seconds < 1, `${name} at level ${level}: ${seconds} s`);
    }
  }
  assert.ok(secondsOf(first, 'rotate', 3) > secondsOf(first, 'rotate', 0), 'more primes cost more');
  assert.ok(secondsOf(first, 'rotate', 3) > secondsOf(first, 'add', 3), 'a key switch is the costliest operation');
  // The clock of a thread's computing time may not move while so small a context is made.
  assert.ok(first.context >= 0 && first.context < 60, 'context');
  for (const name of ['keyLoad', 'keyMake', 'packBlock'] as const) assert.ok(first[name] > 0 && first[name] < 60, name);
  assert.ok(first.contention >= 1);
  assert.equal(first.machine.threads, availableParallelism());
  assert.match(first.machine.seal, /^\d+\.\d+\.\d+$/);
  assert.deepEqual(steps.at(-1), [steps.at(-1)?.[1], steps.at(-1)?.[1]]);

  const calls = steps.length;
  assert.deepEqual(
    await calibrate(PARAMETERS, { directory, onProgress: () => assert.fail('nothing is measured') }),
    first,
  );
  assert.equal(steps.length, calls);
  const [file = ''] = await readdir(directory);
  assert.match(file, /^[0-9a-f]{32}\.json$/);

  const second = await calibrate(PARAMETERS, { directory, again: true });
  assert.notEqual(second.measuredAt, first.measuredAt);
  assert.deepEqual(await calibrate(PARAMETERS, { directory, again: false }), second);
  assert.deepEqual(await readdir(directory), [file]);

  // An addon that cannot be loaded: whatever would be measured fails.
  const evaluator = { kind: 'native', path: '/nowhere.node', kernel: 'portable', why: 'the test asks for it' } as const;
  const machine = { ...first.machine, evaluator: 'native (portable)' };
  const name = createHash('sha256')
    .update(JSON.stringify([machine, PARAMETERS.fingerprint]))
    .digest('hex')
    .slice(0, 32);
  const read = (value: unknown): Promise<Calibration> =>
    writeFile(join(directory, `${name}.json`), JSON.stringify(value)).then(() =>
      calibrate(PARAMETERS, { directory, evaluator }),
    );
  const whole = { ...first, machine };
  assert.deepEqual(await read(whole), whole);
  for (const damaged of [
    '',
    { format: first.format },
    { ...whole, format: 'blindfit-calibration/2' },
    { ...whole, operations: { ...first.operations, decrypt: [] } },
  ])
    await assert.rejects(read(damaged), /measuring failed/);
});

test('costs between measured levels follow the model of the operation', () => {
  const even = madeUp(PARAMETERS, { rotate: 1 });
  const calibration = {
    ...even,
    operations: {
      ...even.operations,
      rotate: [
        { level: 0, seconds: 7 },
        { level: 2, seconds: 23 },
      ],
      add: [{ level: 1, seconds: 4 }],
    },
  };
  // k^2 + 4 k + 2 on k primes: 7, 14, 23, 34.
  assert.deepEqual(
    [0, 1, 2, 3].map((level) => secondsOf(calibration, 'rotate', level)),
    [7, 14, 23, 34],
  );
  assert.deepEqual(
    [0, 1, 3].map((level) => secondsOf(calibration, 'add', level)),
    [2, 4, 8],
  );
});
