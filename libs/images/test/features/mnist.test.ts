/** The whole pipeline on real digits and a real CNN, where both lie next to the checkout. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  accuracy,
  applyPreprocessing,
  argmaxScores,
  classesOf,
  classIndices,
  fitPreprocessing,
  oneHot,
  withBias,
  withLabels,
  type LabelledDataset,
} from '@blindfit/data';
import { PAPER_SIGMOID, trainClear } from '@blindfit/training';
import { extractDataset, loadBackbone, openIdxSource, type FeatureModel } from '../../src/index.ts';

const shared = (path: string): string => fileURLToPath(new URL(`../../../../shared/${path}`, import.meta.url));
const SQUEEZENET = shared('models/squeezenet1_1-features.onnx');
const skip =
  existsSync(SQUEEZENET) && existsSync(shared('data/mnist'))
    ? false
    : 'there is no ../shared with MNIST and SqueezeNet next to the checkout';

async function digits(backbone: FeatureModel, name: string, limit: number): Promise<LabelledDataset> {
  const source = await openIdxSource({
    images: shared(`data/mnist/${name}-images-idx3-ubyte.gz`),
    labels: shared(`data/mnist/${name}-labels-idx1-ubyte.gz`),
    limit,
  });
  const { data } = await extractDataset({ source, backbone });
  return withLabels(data, data.labels ?? []);
}

test('SqueezeNet features of 128 digits train to 81 % on 500 others', { skip }, async (t) => {
  const backbone = await loadBackbone({ backbone: SQUEEZENET, size: 224 });
  const train = await digits(backbone, 'train-first4096', 128);
  const test = await digits(backbone, 't10k-last2000', 500);
  assert.deepEqual([train.n, train.d, test.n], [128, 512, 500]);
  const preprocessing = fitPreprocessing('standardize', train);
  const classes = classesOf(train.labels);
  const targets = oneHot(train.labels, classes);
  const x = withBias(applyPreprocessing(preprocessing, train));
  const labels = classes.map((_, k) =>
    Float64Array.from({ length: train.n }, (_unused, i) => targets[i * classes.length + k]!),
  );
  const { history } = trainClear(x, train.n, train.d + 1, labels, {
    iterations: 30,
    learningRate: 1,
    initialWeight: 0,
    sigmoid: PAPER_SIGMOID,
  });
  const heldOut = withBias(applyPreprocessing(preprocessing, test));
  const actual = classIndices(test.labels, classes);
  const byIteration = history.map((weights) => accuracy(argmaxScores(weights, heldOut), actual));
  const shown = [2, 10, 20, 30].map((n) => `${n}: ${byIteration[n - 1]?.toFixed(4)}`);
  t.diagnostic(`accuracy after iterations ${shown.join(', ')}`);
  assert.ok(byIteration.at(-1)! >= 0.81, String(byIteration.at(-1)));
});
