/** A compute thread whose SEAL breaks off while it loads keys, as long as its cache directory says so. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { workerData } from 'node:worker_threads';
import { SealCrashError } from '@blindfit/he';
import { SealBackend } from '@blindfit/he/seal';
import type { ThreadData } from '../src/messages.ts';

const { cacheDirectory } = workerData as ThreadData;
const load = Reflect.get(SealBackend.prototype, 'loadGaloisKey');
SealBackend.prototype.loadGaloisKey = function (this: SealBackend, bytes: Uint8Array, step: number) {
  if (existsSync(join(cacheDirectory, 'crash'))) throw new SealCrashError('load a Galois key', 'unreachable');
  return load.call(this, bytes, step);
};

await import('../src/thread.ts');
