/** A thread of native-threads.test.ts: opens rings and keys and computes without end, and says how its results look. */
import { createRequire } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
import type { NativeAddon, Words } from '../src/native/addon.ts';

export interface WorkerTask {
  readonly addonPath: string;
  readonly ring: number;
  readonly primes: Words;
  readonly parmsIds: Words;
  readonly keyParmsId: Words;
  readonly keyPath: string;
  readonly element: number;
  readonly level: number;
  readonly operand: Words;
  readonly expected: Words;
  /** Whether ring and key are opened again for each operation, so that the thread often ends while it opens them. */
  readonly reopen: boolean;
}

const task = workerData as WorkerTask;
const addon = createRequire(import.meta.url)(task.addonPath) as NativeAddon;
const open = (): {
  ring: ReturnType<NativeAddon['createRing']>;
  key: ReturnType<ReturnType<NativeAddon['createRing']>['openKey']>;
} => {
  const ring = addon.createRing(task.ring, task.primes, task.parmsIds, task.keyParmsId);
  return { ring, key: ring.openKey(task.keyPath) };
};

let { ring, key } = open();
const out = addon.allocate(task.operand.length);
for (;;) {
  if (task.reopen) {
    key.close();
    ({ ring, key } = open());
  }
  ring.rotate([out], [task.operand], task.level, task.element, key);
  const bytes = (words: Words): Buffer => Buffer.from(words.buffer, words.byteOffset, words.byteLength);
  parentPort?.postMessage(bytes(out).equals(bytes(task.expected)) ? 'right' : 'wrong');
}
