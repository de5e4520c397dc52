/** Threads share tables and mapped keys only: ending one in the middle of an operation harms no other. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { buildNative } from '../native/build.mjs';
import { loadAddon, NativeBench, Random } from './native-bench.ts';
import type { WorkerTask } from './native-worker.ts';

const addon = await loadAddon();
const directory = realpathSync(mkdtempSync(join(tmpdir(), 'blindfit-native-')));
after(() => rmSync(directory, { recursive: true, force: true }));

function mappings(path: string): number {
  return readFileSync('/proc/self/maps', 'utf8')
    .split('\n')
    .filter((line) => line.endsWith(path)).length;
}

describe('threads with the native addon', { skip: typeof addon === 'string' ? addon : false }, () => {
  it('go on computing right while others are ended in the middle, and share one mapping of a key', async () => {
    assert.ok(typeof addon !== 'string');
    const built = await buildNative();
    assert.ok('path' in built);
    using bench = await NativeBench.open(
      addon,
      { ring: 4096, dataBits: [50, 45, 45, 45], specialBits: 50, scaleBits: 30 },
      'none',
    );
    const level = bench.maxLevel;
    const ring = bench.createRing();
    const keyPath = join(directory, 'key');
    writeFileSync(keyPath, ring.packKey(bench.keyBytes(bench.galoisKey(1)), (bench.element(1) - 1) / 2));
    const operand = bench.values(new Random(1), 'random', 2, level);
    const expected = new BigUint64Array(operand.length);
    const key = ring.openKey(keyPath);
    ring.rotate([expected], [operand], level, bench.element(1), key);
    const task = (reopen: boolean): WorkerTask => ({
      addonPath: built.path,
      ring: bench.ring,
      primes: BigUint64Array.from(bench.moduli),
      ...bench.parmsIds(),
      keyPath,
      element: bench.element(1),
      level,
      operand,
      expected,
      reopen,
    });
    const start = (reopen: boolean): { worker: Worker; right: () => number } => {
      const worker = new Worker(new URL('./native-worker.ts', import.meta.url), { workerData: task(reopen) });
      let right = 0;
      worker.on('message', (verdict) => {
        assert.equal(verdict, 'right');
        right++;
      });
      return { worker, right: () => right };
    };
    const untilRight = async ({ right }: { right: () => number }, more: number): Promise<void> => {
      const goal = right() + more;
      while (right() < goal) await sleep(1);
    };

    const steady = start(false);
    await untilRight(steady, 1);
    const random = new Random(7);
    for (let round = 0; round < 10; round++) {
      const doomed = [start(true), start(round % 2 === 0)];
      await Promise.all(doomed.map((one) => untilRight(one, 1)));
      assert.equal(mappings(keyPath), 1, 'one mapping of the key for all threads');
      await sleep(random.below(8));
      await Promise.all(doomed.map(({ worker }) => worker.terminate()));
      const out = new BigUint64Array(operand.length);
      ring.rotate([out], [operand], level, bench.element(1), key);
      assert.deepEqual(out, expected);
    }
    await untilRight(steady, 3);
    await steady.worker.terminate();
    assert.equal(mappings(keyPath), 1);
    key.close();
    assert.equal(mappings(keyPath), 0, 'the mapping goes with the last thread that had it');
    assert.throws(
      () => ring.rotate([new BigUint64Array(operand.length)], [operand], level, bench.element(1), key),
      /the key is closed/,
    );
  });
});
