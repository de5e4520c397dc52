/**
 * Child process of the keyset tests: opens (and makes) the keyset of a small ring, reporting every key, then its
 * digests. With HOLD it stops for ever after that many keys.
 */
import { Parameters } from '@blindfit/he';
import { openKeyset } from '../src/node/index.ts';
import { SMALL, STEPS } from './small-ring.ts';

const [, , directory, hold] = process.argv;
if (directory === undefined) throw new Error('usage: make-keys.ts DIR [HOLD]');
using keyset = await openKeyset({
  directory,
  plan: { parameters: Parameters.of(SMALL, 'none'), steps: STEPS },
  create: true,
  onProgress: (done, total) => {
    process.stdout.write(`${done}/${total}\n`);
    if (String(done) === hold) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  },
});
process.stdout.write(
  `${JSON.stringify([keyset.relinearisationKey, ...keyset.galoisKeys.values()].map((key) => key.digest))}\n`,
);
