/**
 * Tasks with wrong bytes in a blob fail with a message that names the blob and the fault, the memory of the thread
 * stays bounded, and the next good task gives its usual result. All blobs are stored under their own digests.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { at, required } from '@blindfit/base';
import { Parameters, parseHeader, wrap } from '@blindfit/he';
import { evaluatorName } from '@blindfit/he/native';
import { TaskError, type Work } from '../src/index.ts';
import {
  assertRefused,
  assertStillGood,
  blob,
  bomb,
  changed,
  compressed,
  expected,
  foreign,
  job,
  keyPayload,
  labelFields,
  labels,
  labelsDigest,
  openPool,
  payloadOf,
  place,
  rewritten,
  runWith,
  runWithKey,
  runWithLabels,
  SEAL_HEADER,
  setUp,
  squared,
  tearDown,
  watched,
  withSealSize,
} from './hostile.ts';
import { EVALUATORS, firstTask, putBytes, putManifest } from './setup.ts';

before(setUp);
after(tearDown);

const LABELS = /^blobs\.labels\[0\]\[0\] \(sha256:[0-9a-f]{64}\): /;

for (const evaluator of EVALUATORS) {
  const native = evaluator.kind === 'native';

  describe(`on ${evaluatorName(evaluator)}`, () => {
    before(() => openPool(evaluator));
    after(() => watched[Symbol.asyncDispose]());

    describe('a ciphertext', () => {
      const cases: readonly {
        readonly name: string;
        readonly code?: string;
        readonly message: RegExp;
        readonly run: () => Promise<unknown>;
      }[] = [
        {
          name: 'cut off',
          message: /the SEAL ciphertext has \d+ bytes; its header says \d+: it was cut off or damaged/,
          run: async () => runWithLabels((await labels()).slice(0, 1000)),
        },
        {
          name: 'cut off inside what is compressed, with a header that hides it',
          message: /the SEAL ciphertext (cannot be decompressed|is damaged or cut off)/,
          run: async () => runWithLabels(withSealSize((await labels()).slice(0, -1000))),
        },
        {
          name: 'that is empty',
          message: /the SEAL ciphertext is cut off after 0 bytes/,
          run: () => runWithLabels(new Uint8Array()),
        },
        {
          name: 'without SEAL’s header',
          message: /does not start with SEAL's header/,
          run: async () => runWithLabels(changed(await labels(), 0, 0)),
        },
        {
          name: 'of another SEAL',
          message: /was saved by SEAL 3; SEAL 4 is read/,
          run: async () => runWithLabels(changed(await labels(), 3, 3)),
        },
        {
          name: 'compressed in another way',
          message: /has compression mode 1; allowed: 0 \(none\) and 2 \(zstd\)/,
          run: async () => runWithLabels(changed(await labels(), 5, 1)),
        },
        {
          name: 'with coefficients that no prime allows',
          ...(native
            ? { message: /the ciphertext has a coefficient that is not below its prime, in row 0/ }
            : { code: 'HE_SEAL', message: /SEAL refused to load a ciphertext: ciphertext data is invalid/ }),
          run: async () =>
            runWithLabels(
              await rewritten((backend, payload) => {
                using ciphertext = backend.loadCiphertext(payload);
                return changed(backend.saveCiphertext(ciphertext), 20_007, 0xff);
              }),
            ),
        },
        {
          name: 'of other parameters under our header',
          ...(native
            ? { message: /the parms_id is of other parameters/ }
            : { code: 'HE_SEAL', message: /SEAL refused to load a ciphertext: ciphertext data is invalid/ }),
          run: async () => runWithLabels(await labels(foreign)),
        },
        {
          name: 'with the header of other parameters',
          message: /the parameter set is [0-9a-f]{64}; [0-9a-f]{64} is expected/,
          run: () =>
            runWith(({ labels: [first = [], ...rest] }) => ({
              labels: [[labelsDigest(foreign), ...first.slice(1)], ...rest],
            })),
        },
        {
          name: 'of three polynomials',
          message: /a payload of \d+ bytes; at most \d+ for this object/,
          run: async () => runWithLabels(await squared(job.plan.labels.level)),
        },
        {
          name: 'at another level than its header says',
          message: /a ciphertext of level 0, .* inside; its header says level [1-9]/,
          run: async () =>
            runWithLabels(
              await rewritten((backend, payload) => {
                using ciphertext = backend.loadCiphertext(payload);
                backend.evaluator.cipherModSwitchToInplace(ciphertext.raw, backend.parmsId(0));
                return backend.saveCiphertext(ciphertext);
              }),
            ),
        },
        {
          name: 'of another scale than its header says',
          message: /a ciphertext of level \d, scale 1024, size 2 inside/,
          run: async () =>
            runWithLabels(
              await rewritten((backend, payload) => {
                using ciphertext = backend.loadCiphertext(payload);
                ciphertext.raw.setScale(1024);
                return backend.saveCiphertext(ciphertext);
              }),
            ),
        },
        {
          name: 'at the wrong level',
          message: /the level is 0; [1-9] is expected/,
          run: async () => runWithLabels(await labels(), { ...labelFields(), level: 0 }),
        },
        {
          name: 'that is a key',
          message: /the blob kind is galois-key; ciphertext is expected/,
          run: async () => runWithLabels(await keyPayload(1), { kind: 'galois-key', step: 1 }),
        },
        {
          name: 'of a key’s content',
          message: /a payload of \d+ bytes; at most \d+ for this object/,
          run: async () => runWithLabels(await keyPayload(1)),
        },
        {
          name: 'of a megabyte that inflates to gigabytes',
          message: /the SEAL ciphertext inflates to more than \d+ bytes; that is the most/,
          run: () => runWithLabels(bomb(3000)),
        },
        {
          name: 'that hides a bomb inside',
          message: /the SEAL ciphertext has something compressed inside, at byte 89; only the whole may be compressed/,
          run: async () =>
            runWithLabels(
              await rewritten((backend, payload) => {
                using ciphertext = backend.loadCiphertext(payload);
                const plain = backend.saveCiphertext(ciphertext).slice(0, 89);
                const inner = bomb(1000);
                const whole = new Uint8Array(plain.length + inner.length);
                whole.set(plain);
                whole.set(inner, plain.length);
                return withSealSize(whole);
              }),
            ),
        },
      ];
      for (const { name, code = 'HE_WIRE', message, run } of cases) {
        it(name, async () => {
          const outcome = await run();
          assertRefused(outcome, code, message);
          assert.match((outcome as TaskError).message, LABELS);
          await assertStillGood();
        });
      }

      it('with any byte flipped is refused, or gives numbers that only the owner can judge', async (t) => {
        const good = await labels();
        let state = 7;
        let refused = 0;
        const flips = native ? 60 : 24;
        for (let i = 0; i < flips; i++) {
          state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
          // Every other one in the first bytes, where the structure is.
          const index = i % 2 === 0 ? state % 200 : state % good.length;
          const flipped = at(good, index, 'bytes') ^ (1 << (state >>> 29));
          const outcome = await runWithLabels(changed(good, index, flipped));
          if (!(outcome instanceof TaskError)) continue;
          refused++;
          assert.match(outcome.code, /^HE_(WIRE|SEAL)$/, outcome.message);
          assert.ok(!outcome.retryable);
        }
        t.diagnostic(`${refused} of ${flips} refused`);
        assert.ok(refused > flips / 6);
        await assertStillGood();
      });
    });

    describe('a key', () => {
      const [first, second] = [1, 2];
      const cases: readonly {
        readonly name: string;
        readonly code?: string;
        readonly message: RegExp;
        readonly run: () => Promise<unknown>;
      }[] = [
        {
          name: 'for another rotation',
          message: native
            ? /^blobs\.galoisKeys\.1 \(sha256:.*\): it is a key for another rotation: .*; make the keys anew/
            : /^blobs\.galoisKeys\.1 \(sha256:.*\): what should be the rotation key for step 1 is a key for another rotation; make the keys anew/,
          run: async () => runWithKey(first, await keyPayload(second)),
        },
        {
          name: 'of other parameters',
          ...(native
            ? { message: /^blobs\.galoisKeys\.1 .*the parms_id .* is of other parameters/ }
            : {
                code: 'HE_SEAL',
                message: /^blobs\.galoisKeys\.1 .*SEAL refused to load the rotation key for step 1: /,
              }),
          run: async () => {
            const [step] = foreign.keyset.galoisKeys.keys();
            return runWithKey(first, await keyPayload(required(step, 'a key'), foreign));
          },
        },
        {
          name: 'cut off',
          message: /^blobs\.galoisKeys\.1 .*the SEAL key (cannot be decompressed|is damaged or cut off)/,
          run: async () => runWithKey(first, withSealSize((await keyPayload(first)).slice(0, -100_000))),
        },
        {
          name: 'that is a ciphertext',
          message: /^blobs\.galoisKeys\.1 .*the SEAL key is damaged or cut off/,
          run: async () => runWithKey(first, await labels()),
        },
        {
          name: 'that inflates to gigabytes',
          message: /^blobs\.galoisKeys\.1 .*the SEAL key inflates to more than \d+ bytes/,
          run: () => runWithKey(first, bomb(3000)),
        },
        {
          name: 'that inflates to as much as a key has, of nothing',
          message: /^blobs\.galoisKeys\.1 .*the SEAL key is damaged or cut off/,
          run: () => runWithKey(first, bomb(2)),
        },
        {
          name: 'that is a relinearisation key',
          message: /^blobs\.galoisKeys\.1 .*is a key for another rotation/,
          run: async () => runWithKey(first, payloadOf(await readFile(job.keyset.relinearisationKey.path))),
        },
        {
          name: 'for rotation where relinearisation is due',
          message: native
            ? /^blobs\.relinearisationKey .*it is a key for another rotation: /
            : /^blobs\.relinearisationKey .*the relinearisation key is empty/,
          run: async () => {
            const digest = await putBytes(
              place,
              wrap(job.plan.parameters, { kind: 'relinearisation-key' }, await keyPayload(second)),
            );
            return runWith(() => ({ relinearisationKey: digest }));
          },
        },
      ];
      for (const { name, code = 'HE_WIRE', message, run } of cases) {
        it(name, async () => {
          assertRefused(await run(), code, message);
          await assertStillGood();
        });
      }
    });

    describe('an intermediate result', () => {
      const run = (work: Work): Promise<unknown> => watched.pool.run(work).catch((error: unknown) => error);
      const common = { job: 'job-000000000000', pair: 0, shards: [0] };

      it('that is none of this job’s is refused', async () => {
        const [digest = ''] = expected;
        assert.equal(parseHeader(await blob(digest)).level, at(job.plan.iterations, 0, 'iterations').gradient);
        assertRefused(
          await run({ kind: 'forward', ...common, manifest: job.digest, iteration: 2, weights: labelsDigest(foreign) }),
          'HE_WIRE',
          /^an intermediate result \(sha256:.*\): the parameter set is/,
        );
        assertRefused(
          await run({
            kind: 'pack',
            ...common,
            iteration: 1,
            manifest: job.digest,
            level: 0,
            to: 0,
            chains: [digest, digest],
          }),
          'HE_WIRE',
          /^an intermediate result \(sha256:.*\): the level is/,
        );
        assertRefused(
          await run({ kind: 'forward', ...common, manifest: job.digest, iteration: 9, weights: digest }),
          'HE_WIRE',
          /iteration 9 has no forward task; 2 to 2 have/,
        );
        const chain = { job: common.job, manifest: job.digest, chain: 0 };
        assertRefused(
          await run({ kind: 'finish', ...chain, iteration: 2, segment: 1, history: [digest] }),
          'HE_WIRE',
          /there is no segment 1; 0 to 0/,
        );
        assertRefused(
          await run({ kind: 'finish', ...chain, iteration: 2, segment: 0, history: [digest, digest] }),
          'HE_WIRE',
          /^an intermediate result \(sha256:.*\): the level is/,
        );
        assertRefused(
          await run({ kind: 'publish', ...chain, iteration: 1, weights: digest, level: 0 }),
          'HE_WIRE',
          /^an intermediate result \(sha256:.*\): the level is/,
        );
        assertRefused(
          await run({ kind: 'backward', ...common, shards: [7], blocks: [0], manifest: job.digest, iteration: 1 }),
          'HE_WIRE',
          /no labels at shard 7, place 0/,
        );
        await assertStillGood();
      });

      it('of three polynomials that hides its size is refused', async () => {
        const square = await squared(0);
        square.fill(0, 200); // what is left compresses well
        const { level, scale } = { level: 0, scale: 2 ** 20 };
        const digest = await putBytes(
          place,
          wrap(job.plan.parameters, { kind: 'ciphertext', level, scale }, compressed(square.subarray(SEAL_HEADER))),
        );
        const outcome = await run({
          kind: 'pack',
          ...common,
          iteration: 1,
          manifest: job.digest,
          level,
          to: 0,
          chains: [digest, digest],
        });
        assertRefused(
          outcome,
          'HE_WIRE',
          /a ciphertext of level 0, scale 1048576, size 3 inside; its header says level 0, scale 1048576; size must be 2/,
        );
        await assertStillGood();
      });

      it('that is gone is named', async () => {
        const weights = `sha256:${'0'.repeat(64)}`;
        assertRefused(
          await run({ kind: 'forward', ...common, manifest: job.digest, iteration: 2, weights }),
          'BLOB_NOT_FOUND',
          /sha256:0{64} is not in /,
        );
        await assertStillGood();
      });
    });

    it('a manifest of insecure parameters is refused by threads as well', async () => {
      const dataBits = [...job.manifest.parameters.dataBits, 60, 60];
      assert.throws(() => Parameters.of({ ...job.manifest.parameters, dataBits }), /128/);
      const digest = await putManifest(place, {
        ...job.manifest,
        parameters: { ...job.manifest.parameters, dataBits },
      });
      assertRefused(
        await watched.pool.run(firstTask({ plan: job.plan, digest })).catch((error: unknown) => error),
        'HE_PARAMETERS',
        /128/,
      );
      await assertStillGood();
    });
  });
}
