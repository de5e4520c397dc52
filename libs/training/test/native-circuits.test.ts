/** The circuits of training on the native evaluator and on node-seal: equal bytes. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { at } from '@blindfit/base';
import * as he from '@blindfit/he';
import * as nativeBackend from '@blindfit/he/native';
import * as sealBackend from '@blindfit/he/seal';
import { randomVector } from '@blindfit/testkit';
import * as training from '@blindfit/training';
import { KeyHolder } from '../../he/test/key-holder.ts';

const resolved = await nativeBackend.resolveEvaluator();
const addon = resolved.kind === 'native' ? nativeBackend.loadAddon(resolved.path) : undefined;
const skip = addon === undefined ? `no native evaluator here: ${resolved.why}` : false;
const directory = mkdtempSync(join(tmpdir(), 'blindfit-native-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const SETS: readonly { literal: he.ParametersLiteral; security: he.SecurityLevel }[] = [
  { literal: { ring: 1024, dataBits: [50, 40, 40, 40, 40, 40, 40], specialBits: 50, scaleBits: 40 }, security: 'none' },
  { literal: { ring: 2048, dataBits: [60, 55, 33, 45, 45, 45, 45], specialBits: 60, scaleBits: 45 }, security: 'none' },
  { literal: { ring: 16384, dataBits: [50, 40, 40, 40, 40, 40, 40], specialBits: 50, scaleBits: 40 }, security: '128' },
];

for (const { literal, security } of SETS) {
  const parameters = he.Parameters.of(literal, security);
  describe(`training, native and on node-seal, ${parameters.name}`, { skip }, async () => {
    if (addon === undefined) return;
    const seal = await sealBackend.SealBackend.open(parameters);
    const secret = new KeyHolder(seal);
    const native = new nativeBackend.NativeBackend(addon, parameters);
    const { slots } = parameters;
    after(() => {
      native[Symbol.dispose]();
      secret[Symbol.dispose]();
      seal[Symbol.dispose]();
    });
    it('runs the circuits of training with equal bytes', (t) => {
      const columns = 8;
      const layout = training.layoutOf({ rows: slots / columns, columns }, slots / columns - 3, 2 * columns + 1, 4);
      const steps = [he.CONJUGATION, ...training.columnSteps(layout), ...training.rowSteps(layout)];
      const relinearisation = secret.relinearisationKey();
      const galois = new Map(steps.map((step) => [step, secret.galoisKey(step)]));
      const keyFile = (bytes: Uint8Array, step?: number): nativeBackend.NativeKey => {
        const path = join(directory, `${parameters.name}-${step ?? 'relinearisation'}`);
        writeFileSync(path, native.packKey(bytes, step));
        return native.ring.openKey(path);
      };
      const onSeal = new sealBackend.SealEvaluator(seal, {
        relinearisation: seal.loadRelinearisationKey(relinearisation),
        galois: new Map([...galois].map(([step, bytes]) => [step, seal.loadGaloisKey(bytes, step)])),
      });
      const onNative = new nativeBackend.NativeEvaluator(native, {
        relinearisation: keyFile(relinearisation),
        galois: new Map([...galois].map(([step, bytes]) => [step, keyFile(bytes, step)])),
      });
      const scale = 2 ** 40;
      const bytes = (seed: number, level: number): Uint8Array =>
        secret.encryptToBytes(randomVector(slots, seed), level, scale, randomVector(slots, seed + 1));
      const features = Array.from({ length: layout.blocks }, (_, block) =>
        secret.encryptToBytes(randomVector(slots, block), 6, scale),
      );
      const inputs = { labels: bytes(50, 3), packed: bytes(60, 6), gradient: features };
      const sigmoids = [training.PAPER_SIGMOID, training.fitSigmoid(5, 8)];
      for (const sigmoid of security === '128' ? sigmoids.slice(1) : sigmoids) {
        const run = (evaluator: he.Evaluator, codec: he.CiphertextCodec): Uint8Array[] => {
          const load = (from: Uint8Array): he.Ciphertext => codec.loadCiphertext(from);
          const packed = load(inputs.packed);
          const weights = training.expand(evaluator, layout, packed, 1, 2);
          const errors = training.forward(evaluator, {
            layout,
            sigmoid,
            features: features.map(load),
            weights,
            labels: load(inputs.labels),
          });
          const gradient = training.backward(evaluator, {
            layout,
            errors: [errors],
            gradientFeatures: new Map(features.map((from, block) => [block, [load(from)]])),
          });
          const step = training.nesterovStep(evaluator, {
            layout,
            pairs: [0, 1],
            gradients: [
              { pair: 0, ciphertext: gradient },
              { pair: 1, ciphertext: gradient },
            ],
            factor: 1.5,
            momentum: [{ coefficient: 0.3, weights: packed }],
            constant: 0.01,
          });
          return [errors, gradient, step].map((ciphertext) => codec.saveCiphertext(ciphertext));
        };
        const expected = run(onSeal, seal);
        const actual = run(onNative, native);
        expected.forEach((each, index) =>
          assert.ok(
            Buffer.compare(each, at(actual, index, 'a result')) === 0,
            `result ${index} with a sigmoid of degree ${sigmoid.degree}`,
          ),
        );
        assert.deepEqual(onNative.counts, onSeal.counts);
      }
      t.diagnostic(`${JSON.stringify(onNative.counts)} on ${native.ring.kernels.join(', ')}`);
    });
  });
}
