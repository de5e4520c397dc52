/**
 * Example 2: the scores of two classes for encrypted samples.
 *
 * A layout puts a matrix of samples into slots: every sample takes `columns` slots of a row of its own. The weights of
 * a class are repeated in every row, so one product multiplies all samples with them. The two classes of a pair share
 * one ciphertext: one is the real part of the slots, the other one the imaginary part.
 */
import { at } from '@blindfit/base';
import { Parameters } from '@blindfit/he';
import { SealBackend, SealEvaluator } from '@blindfit/he/seal';
import { SecretKeyHolder } from '@blindfit/owner';
import { columnSteps, encodeFeatures, encodeWeights, layoutOf, predictScores } from '@blindfit/training';

const samples = [
  [1, 0.5, -1, 2],
  [1, -2, 0.25, 1],
  [1, 3, 1, -0.5],
];
const weights = [
  [0.1, 0.2, 0.3, 0.4],
  [-1, 0.5, 0, 0.25],
];

const parameters = Parameters.of({ ring: 8192, dataBits: [60, 40], specialBits: 60, scaleBits: 40 });
const layout = layoutOf({ rows: parameters.slots / 4, columns: 4 }, samples.length, 4, weights.length);
console.log(`${layout.rows} rows x ${layout.columns} columns: ${layout.shards} shard, ${layout.pairs} pair of classes`);

using backend = await SealBackend.open(parameters);
using owner = SecretKeyHolder.generate(backend);
const relinearisation = backend.loadRelinearisationKey(owner.relinearisationKey());
// The sum over the columns of a row takes log2(columns) rotations.
const steps = columnSteps(layout);
const galois = new Map(steps.map((step) => [step, backend.loadGaloisKey(owner.galoisKey(step), step)]));
const evaluator = new SealEvaluator(backend, { relinearisation, galois });

const encrypt = (first: Float64Array, second?: Float64Array) =>
  backend.loadCiphertext(owner.encryptToBytes(first, parameters.maxLevel, parameters.scale, second));
using x = encrypt(encodeFeatures(layout, Float64Array.from(samples.flat()), 0, 0));
const [first, second] = weights.map((row) => encodeWeights(layout, Float64Array.from(row), 0));
using w = encrypt(first ?? new Float64Array(), second);

// Product, relinearisation, rescale, and the sum over the columns: the score of a sample is in its first slot.
using scores = predictScores(evaluator, { layout, features: [x], weights: [w] });
const { rotations, relinearisations } = evaluator.counts;
console.log(`${rotations} rotations, ${relinearisations} relinearisation`);

const slots = owner.decrypt(scores);
samples.forEach((sample, i) => {
  const decrypted = [slots.first, slots.second].map((part) => part[i * layout.columns]?.toFixed(3));
  const expected = weights.map((row) =>
    row.reduce((sum, weight, j) => sum + weight * at(sample, j, 'sample'), 0).toFixed(3),
  );
  console.log(`sample ${i}: ${decrypted.join(' ')} (in the clear: ${expected.join(' ')})`);
});
