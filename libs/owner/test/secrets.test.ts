/** What becomes of a new secret key, who signs a cancellation, and how far a step is believed to go. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { at } from '@blindfit/base';
import type { BlindfitClient } from '@blindfit/client';
import { Parameters } from '@blindfit/he';
import { SealBackend } from '@blindfit/he/seal';
import { isCancelledBy, isPurgedBy, type JobView } from '@blindfit/protocol';
import { DEFAULT_HYPERPARAMETERS } from '@blindfit/training';
import { cancelJob, purgeJob } from '../src/flow/cancel.ts';
import { stepBound, type KeyStore } from '../src/index.ts';
import type { KeysetFiles } from '../src/key-store.ts';
import { createSecret, readSecret } from '../src/secret-file.ts';
import { SecretKeyHolder } from '../src/secret-key.ts';

const PARAMETERS = Parameters.of({ ring: 2048, dataBits: [28], specialBits: 25, scaleBits: 20 });

/** Files of one keyset in memory. */
class MemoryFiles {
  secret: Uint8Array | undefined;
  /** The buffer that was handed over, not a copy. */
  given: Uint8Array | undefined;
  failure: Error | undefined;

  pathOf = (name: string): string => `memory/${name}`;
  createSecret = (_name: string, bytes: Uint8Array): Promise<void> => {
    this.given = bytes;
    if (this.failure !== undefined) return Promise.reject(this.failure);
    this.secret = bytes.slice();
    return Promise.resolve();
  };
  readSecret = (): Promise<Uint8Array | undefined> => Promise.resolve(this.secret?.slice());
  read = (): Promise<Uint8Array> =>
    Promise.resolve(new TextEncoder().encode(JSON.stringify({ parameters: PARAMETERS.toJSON() })));

  get files(): KeysetFiles {
    return this as unknown as KeysetFiles;
  }
}

const isZero = (bytes: Uint8Array | undefined): boolean => bytes?.every((byte) => byte === 0) === true;

describe('a new secret key', () => {
  for (const [when, failure] of [
    ['once it is written', undefined],
    ['when it cannot be written', new Error('the disk is full')],
  ] as const)
    it(`leaves no copy in memory ${when}`, async (t) => {
      const { prototype } = SecretKeyHolder;
      const payloads: Uint8Array[] = [];
      let freed = 0;
      const { save, [Symbol.dispose]: dispose } = Object.getOwnPropertyDescriptors(prototype);
      t.after(() => Object.defineProperties(prototype, { save, [Symbol.dispose]: dispose }));
      prototype.save = function () {
        const payload = save.value?.call(this) ?? assert.fail();
        payloads.push(payload);
        return payload;
      };
      prototype[Symbol.dispose] = function () {
        freed++;
        dispose.value?.call(this);
      };
      using backend = await SealBackend.open(PARAMETERS);
      const memory = new MemoryFiles();
      memory.failure = failure;
      const created = createSecret(memory.files, backend);
      if (failure === undefined) (await created).secret[Symbol.dispose]();
      else await assert.rejects(created, /the disk is full/);
      assert.equal(freed, 1);
      assert.ok(isZero(memory.given) && memory.given !== undefined && memory.given.length > 88);
      assert.ok(isZero(payloads[0]) && payloads.length === 1);
    });

  it('comes back from its file with its name, and its file is checked', async () => {
    using backend = await SealBackend.open(PARAMETERS);
    const memory = new MemoryFiles();
    const { secret, name } = await createSecret(memory.files, backend);
    using made = secret;
    const again = await readSecret(memory.files, backend);
    using read = again?.secret;
    assert.deepEqual([again?.name, read?.signer.name], [name, made.signer.name]);
    for (const place of [0, 30, 60, 100]) {
      const damaged = new MemoryFiles();
      damaged.secret = memory.secret?.slice();
      if (damaged.secret !== undefined) damaged.secret[place] = 255 - at(damaged.secret, place, 'bytes');
      await assert.rejects(readSecret(damaged.files, backend), {
        code: place === 30 ? 'KEYSET_FOREIGN' : 'KEYSET_CORRUPT',
      });
    }
  });
});

it('a job is cancelled with the signature of its owner where its keys are, else without one', async () => {
  using backend = await SealBackend.open(PARAMETERS);
  const memory = new MemoryFiles();
  const { secret } = await createSecret(memory.files, backend);
  using owner = secret;
  const own = `${PARAMETERS.name}-01234567`;
  const keys = {
    // Keys of other parameters are not touched.
    list: () => Promise.resolve(['N1024QP140L3S25-01234567', own]),
    keyset: (name: string) => {
      assert.equal(name, own);
      return memory.files;
    },
  } as unknown as KeyStore;
  type Act = (client: BlindfitClient, keys: KeyStore, id: string) => Promise<unknown>;
  const signedBy = async (
    act: Act,
    signer: string | undefined,
  ): Promise<{ job: JobView; signature: string | undefined }> => {
    const job = {
      id: 'job-a',
      manifest: `sha256:${'0'.repeat(64)}`,
      signer,
      parameters: PARAMETERS.name,
    } as unknown as JobView;
    let signature: string | undefined;
    const take = (id: string, given: string | undefined): Promise<JobView> => {
      assert.equal(id, 'job-a');
      signature = given;
      return Promise.resolve(job);
    };
    const calls = act === cancelJob ? { cancel: take } : { purge: take };
    await act({ job: () => Promise.resolve(job), ...calls } as unknown as BlindfitClient, keys, 'job-a');
    return { job, signature };
  };
  for (const [act, isSigned] of [
    [cancelJob, isCancelledBy],
    [purgeJob, isPurgedBy],
  ] as const) {
    const { job, signature } = await signedBy(act, owner.signer.name);
    assert.ok(signature !== undefined && isSigned(owner.signer.name, job, signature));
    assert.equal((await signedBy(act, `ed25519:${'1'.repeat(64)}`)).signature, undefined);
    assert.equal((await signedBy(act, undefined)).signature, undefined);
  }
});

it('the error of a polynomial that is largest inside its range counts', () => {
  const set = { x: Float64Array.of(1, 2, 1, -3), samples: 2, features: 2, labels: [] };
  // 0.3 z - 0.005 z^3 is 0.8944 at its largest, at 4.47, and -0.16 at 8; a plain error is 1.
  const sigmoid = { degree: 3, range: 8, odd: [0.3, -0.005] } as const;
  const [bias = NaN, feature = NaN] = stepBound(set, { ...DEFAULT_HYPERPARAMETERS, sigmoid });
  // b sum |x| = 2 / 1.75 and 5 / 4.5, times the slack of 4 and the first step of 1.5.
  assert.ok(Math.abs(bias - (2 / 1.75) * 6 * 1.3944) < 1e-3, String(bias));
  assert.ok(Math.abs(feature - (5 / 4.5) * 6 * 1.3944) < 1e-3, String(feature));
});
