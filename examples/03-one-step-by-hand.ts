/**
 * Example 3: one gradient step of a pair of classes on ciphertexts, next to the same step in the clear.
 *
 * The method replaces the sigmoid by a polynomial s, here a straight line. The gradient of a class with weights v is
 * g = sum_i (y_i - s(x_i v)) x_i, and the quadratic gradient multiplies feature j of it with a number b_j.
 */
import { at } from '@blindfit/base';
import { CONJUGATION, Parameters } from '@blindfit/he';
import { SealBackend, SealEvaluator } from '@blindfit/he/seal';
import { SecretKeyHolder } from '@blindfit/owner';
import * as training from '@blindfit/training';

const [samples, features] = [6, 4];
const x = Float64Array.from({ length: samples * features }, (_, i) => (i % features === 0 ? 1 : Math.sin(7 * i)));
const labels = [0, 1].map((label) => Float64Array.from({ length: samples }, (_, i) => Number(i % 2 === label)));
const weights = [0, 1].map((k) => Float64Array.from({ length: features }, (_, j) => 0.3 * Math.cos(3 * j + k)));
const b = training.quadraticGradientRow(x, samples, features);

// Three levels: product and mask give the errors, one more product gives the gradient. A straight line takes none.
const parameters = Parameters.of({ ring: 8192, dataBits: [50, 38, 38, 38], specialBits: 50, scaleBits: 38 });
const sigmoid = training.fitSigmoid(1, 8);
const layout = training.layoutOf({ rows: parameters.slots / 4, columns: 4 }, samples, features, 2);
using backend = await SealBackend.open(parameters);
using owner = SecretKeyHolder.generate(backend);
const steps = [CONJUGATION, ...training.columnSteps(layout), ...training.rowSteps(layout)];
const evaluator = new SealEvaluator(backend, {
  relinearisation: backend.loadRelinearisationKey(owner.relinearisationKey()),
  galois: new Map(steps.map((step) => [step, backend.loadGaloisKey(owner.galoisKey(step), step)])),
});
const encrypt = (first: Float64Array, level: number, second?: Float64Array, scale = parameters.scale) =>
  backend.loadCiphertext(owner.encryptToBytes(first, level, scale, second));
const pair = (encode: (row: Float64Array) => Float64Array, rows: readonly Float64Array[]) => rows.map(encode);

const [v0, v1] = pair((row) => training.encodeWeights(layout, row, 0), weights);
const [y0, y1] = pair((row) => training.encodeLabels(layout, row, 0), labels);
const scaled = x.map((value, i) => value * at(b, i % features, 'b'));
using errors = training.forward(evaluator, {
  layout,
  sigmoid,
  features: [encrypt(training.encodeFeatures(layout, x, 0, 0), 3)],
  weights: [encrypt(v0 ?? x, 3, v1, 2 ** 42)],
  labels: encrypt(y0 ?? x, 3, y1),
});
const gradientFeatures = new Map([[0, [encrypt(training.encodeGradientFeatures(layout, scaled, 0, 0), errors.level)]]]);
using gradient = training.backward(evaluator, { layout, errors: [errors], gradientFeatures });
console.log(`errors at level ${errors.level}, gradient at level ${gradient.level}`);

const decrypted = training.decodeModel(layout, parameters.ring, [owner.decrypt(gradient)]);
weights.forEach((v, k) => {
  const clear = new Float64Array(features);
  for (let i = 0; i < samples; i++) {
    const row = x.subarray(i * features, (i + 1) * features);
    const score = row.reduce((sum, value, j) => sum + value * at(v, j, 'weights'), 0);
    const error = at(at(labels, k, 'labels'), i, 'labels') - 0.5 - training.evaluateOdd(sigmoid, score);
    row.forEach((value, j) => (clear[j] = at(clear, j, 'gradient') + error * value * at(b, j, 'b')));
  }
  const text = (row: Float64Array | undefined): string => Array.from(row ?? [], (value) => value.toFixed(4)).join(' ');
  console.log(`class ${k}: ${text(decrypted[k])} (in the clear: ${text(clear)})`);
});
