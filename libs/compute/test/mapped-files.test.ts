/** Files of inputs and keys of the native evaluator: made once, then mapped, and checked at each use. Small ring. */
import assert from 'node:assert/strict';
import { readdir, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, describe, it, type TestContext } from 'node:test';
import { digestOf, hexOf, parseDigest, type Digest } from '@blindfit/base';
import { FileBlobStore } from '@blindfit/blobs';
import { CONJUGATION, Parameters, wrap, type WireFields } from '@blindfit/he';
import { loadAddon, NativeBackend } from '@blindfit/he/native';
import { SealBackend } from '@blindfit/he/seal';
import { randomVector, temporaryDirectory } from '@blindfit/testkit';
import { KeyHolder } from '../../he/test/key-holder.ts';
import type { KeyedJob } from '../src/engine.ts';
import { HostFiles } from '../src/host-files.ts';
import { MappedInputs } from '../src/mapped-inputs.ts';
import { MappedKeys } from '../src/mapped-keys.ts';
import type { ThreadStatistics } from '../src/messages.ts';
import { noStatistics } from '../src/session.ts';
import { flipBit, HERE } from './setup.ts';

const PARAMETERS = Parameters.of({ ring: 1024, dataBits: [40, 30, 30], specialBits: 40, scaleBits: 30 }, 'none');
/** Bytes of a key: a row for each of 3 data primes, of two polynomials over 4 primes. */
const KEY_BYTES = 3 * 2 * 4 * 1024 * 8;
const PLACE = { level: 2, scale: 2 ** 30 };

describe('mapped files', { skip: HERE.kind === 'native' ? false : HERE.why }, async () => {
  if (HERE.kind !== 'native') return;
  const seal = await SealBackend.open(PARAMETERS);
  const secret = new KeyHolder(seal);
  const backend = new NativeBackend(loadAddon(HERE.path), PARAMETERS);
  const blobOf = (fields: WireFields, payload: Uint8Array): { bytes: Uint8Array; digest: Digest } => {
    const bytes = wrap(PARAMETERS, fields, payload);
    return { bytes, digest: digestOf(bytes) };
  };
  const values = randomVector(512, 1);
  const input = blobOf({ kind: 'ciphertext', ...PLACE }, secret.encryptToBytes(values, 2, 2 ** 30));
  after(() => {
    for (const each of [backend, secret, seal]) each[Symbol.dispose]();
  });

  interface Inputs {
    readonly directory: string;
    readonly statistics: ThreadStatistics;
    readonly inputs: MappedInputs;
    /** How often the blob was read. */
    readonly reads: () => number;
    readonly read: () => Promise<Uint8Array>;
  }
  async function inputsIn(t: TestContext, budget: number, directory?: string): Promise<Inputs> {
    const path = directory ?? join(await temporaryDirectory(t), 'inputs');
    const statistics = noStatistics();
    let reads = 0;
    return {
      directory: path,
      statistics,
      inputs: new MappedInputs(new HostFiles(path, '.ct', budget, () => statistics.damagedInputs++), statistics),
      reads: () => reads,
      read: () => (reads++, Promise.resolve(input.bytes)),
    };
  }
  const wanted = backend.saveCiphertext(backend.loadCiphertext(secret.encryptToBytes(values, 2, 2 ** 30))).length;

  it('an input is read once and mapped from then on, also by another thread', async (t) => {
    const first = await inputsIn(t, 2 ** 20);
    const made = await first.inputs.get(backend, input.digest, PLACE, first.read);
    assert.deepEqual([made.isIntact?.(), made.ciphertext.level, made.ciphertext.scale], [true, 2, 2 ** 30]);
    assert.deepEqual(await readdir(first.directory), [`${hexOf(input.digest)}.ct`]);
    const again = await first.inputs.get(backend, input.digest, PLACE, first.read);
    assert.deepEqual([first.reads(), first.statistics.inputMisses, first.statistics.inputHits], [1, 1, 1]);
    const second = await inputsIn(t, 2 ** 20, first.directory);
    const mapped = await second.inputs.get(backend, input.digest, PLACE, () => assert.fail('the file is there'));
    assert.deepEqual([mapped.isIntact?.(), second.statistics.inputHits, second.statistics.inputMisses], [true, 1, 0]);
    const [a, b, c] = [made, again, mapped].map(({ ciphertext }) => backend.saveCiphertext(ciphertext));
    assert.equal(a?.length, wanted);
    assert.deepEqual([b, c], [a, a]);
  });

  it('an input that finds no room is parsed and not mapped', async (t) => {
    const { inputs, read, statistics, directory } = await inputsIn(t, 1000);
    for (let time = 1; time <= 2; time++) {
      const { isIntact, ciphertext } = await inputs.get(backend, input.digest, PLACE, read);
      assert.deepEqual([isIntact, ciphertext.level], [undefined, 2]);
      assert.deepEqual([statistics.inputMisses, statistics.inputHits], [time, 0]);
    }
    assert.deepEqual(await readdir(directory).catch(() => []), []);
  });

  it('a file whose level or scale is not that of the place is not used', async (t) => {
    const { inputs, read, statistics } = await inputsIn(t, 2 ** 20);
    await inputs.get(backend, input.digest, PLACE, read);
    for (const [place, message, hint] of [
      [{ level: 1, scale: 2 ** 30 }, 'the level is 2', '1 is expected'],
      [{ level: 2, scale: 2 ** 31 }, 'the scale is 1073741824', /^2147483648 is expected/],
    ] as const) {
      await assert.rejects(inputs.get(backend, input.digest, place, read), { message, hint });
    }
    assert.deepEqual([statistics.inputHits, statistics.inputMisses], [0, 3]);
    assert.equal((await inputs.get(backend, input.digest, { level: 2 }, read)).isIntact?.(), true, 'no scale is fixed');
    assert.equal(statistics.inputHits, 1);
  });

  it('a damaged file is made again', async (t) => {
    const { inputs, directory, read, reads } = await inputsIn(t, 2 ** 20);
    await inputs.get(backend, input.digest, PLACE, read);
    await writeFile(join(directory, `${hexOf(input.digest)}.ct`), 'damaged');
    const { ciphertext } = await inputs.get(backend, input.digest, PLACE, read);
    assert.deepEqual([reads(), backend.saveCiphertext(ciphertext).length], [2, wanted]);
  });

  it('an input with one changed bit anywhere, or cut off, is made again and counted', async (t) => {
    const { inputs, directory, read, reads, statistics } = await inputsIn(t, 2 ** 20);
    const path = join(directory, `${hexOf(input.digest)}.ct`);
    const first = await inputs.get(backend, input.digest, PLACE, read);
    const bytes = backend.saveCiphertext(first.ciphertext);
    const { size } = await stat(path);
    let damages = 0;
    // All of the file is mapped by `first`, too, whose pages change with it.
    for (const at of [0, 7, 30, 41, 307, 4000, 4096, 4096 + 64, Math.floor(size / 2), size - 1025, size - 1]) {
      const before = await inputs.get(backend, input.digest, PLACE, read);
      assert.equal(before.isIntact?.(), true);
      flipBit(path, at, at % 8);
      assert.equal(before.isIntact(), false, `byte ${at}`);
      const { ciphertext, isIntact } = await inputs.get(backend, input.digest, PLACE, read);
      assert.deepEqual(backend.saveCiphertext(ciphertext), bytes, `byte ${at}`);
      assert.deepEqual([isIntact?.(), statistics.damagedInputs, reads()], [true, ++damages, damages + 1]);
    }
    const mapped = await inputs.get(backend, input.digest, PLACE, read);
    await truncate(path, 5000);
    assert.equal(mapped.isIntact?.(), false, 'what is behind the end is not read');
    const { ciphertext } = await inputs.get(backend, input.digest, PLACE, read);
    assert.deepEqual([backend.saveCiphertext(ciphertext), statistics.damagedInputs], [bytes, damages + 1]);
  });

  it('keys are made once, found under their steps, and closed when another keyset takes their room', async (t) => {
    const root = await temporaryDirectory(t);
    const store = await FileBlobStore.open(join(root, 'blobs'));
    const put = async (fields: WireFields, payload: Uint8Array): Promise<Digest> => {
      const { bytes, digest } = blobOf(fields, payload);
      await store.put(digest, bytes);
      return digest;
    };
    const jobOf = async (): Promise<KeyedJob> => ({
      manifest: {
        blobs: {
          relinearisationKey: await put({ kind: 'relinearisation-key' }, secret.relinearisationKey()),
          galoisKeys: {
            1: await put({ kind: 'galois-key', step: 1 }, secret.galoisKey(1)),
            0: await put({ kind: 'galois-key', step: 0 }, secret.galoisKey(CONJUGATION)),
          },
        },
      },
      plan: { parameters: PARAMETERS, steps: [1, 0] },
    });
    const statistics = noStatistics();
    const open = (budget: number, disk = 2 ** 30): MappedKeys => {
      const files = new HostFiles(join(root, 'keys'), '.key', disk, () => statistics.damagedKeys++);
      return new MappedKeys(files, store, budget, statistics);
    };
    const keys = open(3 * KEY_BYTES);
    const [job, other] = [await jobOf(), await jobOf()];
    let checks = 0;
    const first = await keys.get(job, backend, () => checks++);
    assert.equal(checks, 3, 'a task may stop before each key');
    assert.deepEqual([...first.galois.keys()].sort(), [0, 1]);
    assert.ok(first.relinearisation !== undefined && ![...first.galois.values()].includes(first.relinearisation));
    assert.equal((await readdir(join(root, 'keys'))).length, 3);
    assert.equal(await keys.get(job, backend, () => assert.fail('they are loaded')), first);
    await keys.get(other, backend, () => undefined);
    assert.equal((await readdir(join(root, 'keys'))).length, 6);
    assert.deepEqual([statistics.keyHits, statistics.keyMisses], [1, 2]);
    assert.notEqual(await keys.get(job, backend, () => undefined), first, 'there is room for one keyset only');
    await assert.rejects(
      open(3 * KEY_BYTES - 1).get(job, backend, () => undefined),
      { code: 'KEY_BUDGET' },
    );

    assert.equal(keys.intact(job), true);
    const loaded = await keys.get(job, backend, () => undefined);
    const [file] = (await readdir(join(root, 'keys'))).filter((name) =>
      name.startsWith(hexOf(parseDigest(job.manifest.blobs.relinearisationKey))),
    );
    flipBit(join(root, 'keys', file ?? ''), 100_000, 3);
    assert.equal(keys.intact(other), true, 'its keys are not loaded');
    assert.equal(keys.intact(job), false);
    assert.equal(keys.intact(job), true, 'they are forgotten');
    assert.notEqual(await keys.get(job, backend, () => undefined), loaded);
    assert.deepEqual([keys.intact(job), statistics.damagedKeys], [true, 1]);

    const cancelled = new Error('cancelled');
    const third = await jobOf();
    const cancel = (): void => {
      throw cancelled;
    };
    await assert.rejects(keys.get(third, backend, cancel), (error) => error === cancelled);
    assert.equal((await readdir(join(root, 'keys'))).length, 6, 'nothing was made for it');

    // Disk space for one key: the files of the current job stay all the same, the others go.
    await open(3 * KEY_BYTES, KEY_BYTES).get(third, backend, () => undefined);
    const left = await readdir(join(root, 'keys'));
    assert.equal(left.length, 3);
    for (const digest of [third.manifest.blobs.relinearisationKey, ...Object.values(third.manifest.blobs.galoisKeys)])
      assert.ok(left.some((name) => name.startsWith(digest.slice('sha256:'.length))));
  });
});
