/**
 * The speed of `extractFeatures` from images in memory, compared with onnxruntime alone on the same graph and a
 * prepared batch. With MNIST and SqueezeNet beside the checkout also the accuracy of the features.
 */
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { at } from '@blindfit/base';
import {
  accuracy,
  applyPreprocessing,
  argmaxScores,
  classesOf,
  classIndices,
  fitPreprocessing,
  withBias,
  withLabels,
  type LabelledDataset,
} from '@blindfit/data';
import { digitFiles } from '@blindfit/demo';
import {
  buildRegnet,
  randomRegnetWeights,
  REGNET_SIZE,
  extractDataset,
  extractFeatures,
  loadBackbone,
  openIdxSource,
  type FeatureModel,
} from '@blindfit/images';
import { fitSigmoid, PAPER_SIGMOID, trainClear } from '@blindfit/training';
import { labelColumns } from './labels.ts';
import { median, print } from './measure.ts';

const ROUNDS = 3;
/** Batches until onnxruntime has laid out its memory. */
const WARM_UP_BATCHES = 3;
/** Share of onnxruntime's own speed that is to be reached. */
const WANTED = 0.9;

const shared = (path: string): string => fileURLToPath(new URL(`../../../shared/${path}`, import.meta.url));
const SQUEEZENET = shared('models/squeezenet1_1-features.onnx');

interface Case {
  readonly model: FeatureModel;
  readonly planes: number;
  readonly size: number;
  readonly batch: number;
  readonly batches: number;
}

export async function run(): Promise<void> {
  const cases: Case[] = [
    { model: await loadBackbone({ backbone: 'scattering' }), planes: 1, size: 28, batch: 64, batches: 12 },
    {
      model: { name: 'regnet_x_400mf', bytes: buildRegnet(randomRegnetWeights(1)), size: REGNET_SIZE },
      planes: 3,
      size: REGNET_SIZE,
      batch: 32,
      batches: 28,
    },
  ];
  if (existsSync(SQUEEZENET))
    cases.push({
      model: await loadBackbone({ backbone: SQUEEZENET, size: 224 }),
      planes: 3,
      size: 224,
      batch: 32,
      batches: 28,
    });
  const rows = [
    ['backbone', 'images', 'batch', 'ours', 'onnxruntime as it comes', 'ratio', 'onnxruntime set like ours', 'ratio'],
  ];
  for (const each of cases) {
    const { ours, asItComes, sameSettings, ratioAsItComes, ratioSameSettings } = await compare(each);
    const ratio = (value: number): string => `${value.toFixed(2)}${value < WANTED ? ` (below ${WANTED})` : ''}`;
    rows.push([
      each.model.name,
      `${each.planes} x ${each.size} x ${each.size}`,
      String(each.batch),
      ours.toFixed(0),
      asItComes.toFixed(0),
      ratio(ratioAsItComes),
      sameSettings.toFixed(0),
      ratio(ratioSameSettings),
    ]);
  }
  print(`Features: images a second, ${availableParallelism()} threads, medians of ${ROUNDS} rounds in turn`, rows);
  if (existsSync(SQUEEZENET) && existsSync(shared('data/mnist'))) await quality();
}

interface Comparison {
  /** Images a second, medians. */
  readonly ours: number;
  readonly asItComes: number;
  readonly sameSettings: number;
  /** Our speed as a share of theirs: medians of the rounds. */
  readonly ratioAsItComes: number;
  readonly ratioSameSettings: number;
}

/** Measures all variants in turn, so that other work of the machine affects all of them. */
async function compare(each: Case): Promise<Comparison> {
  const options = { executionProviders: ['cpu'], intraOpNumThreads: availableParallelism(), interOpNumThreads: 1 };
  const asItComes = await InferenceSession.create(each.model.bytes, options);
  // The setting of extractFeatures: threads that wait leave the cores to those that prepare images.
  const sameSettings = await InferenceSession.create(each.model.bytes, {
    ...options,
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  });
  const rounds: { ours: number; default: number; same: number }[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    rounds.push({
      default: await theirSpeed(asItComes, each),
      ours: await ourSpeed(each),
      same: await theirSpeed(sameSettings, each),
    });
  }
  await asItComes.release();
  await sameSettings.release();
  return {
    ours: median(rounds.map(({ ours }) => ours)),
    asItComes: median(rounds.map((speeds) => speeds.default)),
    sameSettings: median(rounds.map(({ same }) => same)),
    ratioAsItComes: median(rounds.map((speeds) => speeds.ours / speeds.default)),
    ratioSameSettings: median(rounds.map(({ ours, same }) => ours / same)),
  };
}

/** Images a second once warm: loading the model is not speed. */
async function ourSpeed({ model, batch, batches }: Case): Promise<number> {
  const source = await openIdxSource({
    images: digitFiles('train').images,
    limit: batch * (WARM_UP_BATCHES + batches),
  });
  let [started, count] = [0, 0];
  for await (const { index } of extractFeatures({ source, backbone: model, batch })) {
    if (index === WARM_UP_BATCHES * batch - 1) started = performance.now();
    if (index >= WARM_UP_BATCHES * batch) count++;
  }
  return (1000 * count) / (performance.now() - started);
}

async function theirSpeed(session: InferenceSession, { planes, size, batch, batches }: Case): Promise<number> {
  const data = Float32Array.from({ length: batch * planes * size * size }, (_, at) => (at % 251) / 251);
  const feeds = { [at(session.inputNames, 0, 'inputs')]: new Tensor('float32', data, [batch, planes, size, size]) };
  for (let i = 0; i < WARM_UP_BATCHES; i++) await session.run(feeds);
  const started = performance.now();
  for (let i = 0; i < batches; i++) await session.run(feeds);
  return (1000 * batch * batches) / (performance.now() - started);
}

/** Accuracy of clear training on SqueezeNet's features of MNIST. */
async function quality(): Promise<void> {
  const backbone = await loadBackbone({ backbone: SQUEEZENET, size: 224 });
  const digits = async (name: string): Promise<LabelledDataset> => {
    const source = await openIdxSource({
      images: shared(`data/mnist/${name}-images-idx3-ubyte.gz`),
      labels: shared(`data/mnist/${name}-labels-idx1-ubyte.gz`),
    });
    const { data } = await extractDataset({ source, backbone });
    return withLabels(data, data.labels ?? []);
  };
  const [all, heldOut] = [await digits('train-first4096'), await digits('t10k-last2000')];
  const rows = [['training images', 'sigmoid', 'rate', 'iterations', 'held-out accuracy']];
  for (const [n, name, sigmoid, learningRate, iterations] of [
    [128, 'the paper’s', PAPER_SIGMOID, 1, 30],
    [4096, 'the paper’s', PAPER_SIGMOID, 5, 15],
    [4096, 'degree 5 on [-12, 12]', fitSigmoid(5, 12), 5, 50],
  ] as const) {
    const train: LabelledDataset = {
      n,
      d: all.d,
      features: all.features.subarray(0, n * all.d),
      labels: all.labels.slice(0, n),
    };
    const preprocessing = fitPreprocessing('standardize', train);
    const classes = classesOf(train.labels);
    const labels = labelColumns(train.labels, classes);
    const { weights } = trainClear(withBias(applyPreprocessing(preprocessing, train)), n, train.d + 1, labels, {
      iterations,
      learningRate,
      initialWeight: 0,
      sigmoid,
    });
    const share = accuracy(
      argmaxScores(weights, withBias(applyPreprocessing(preprocessing, heldOut))),
      classIndices(heldOut.labels, classes),
    );
    rows.push([String(n), name, String(learningRate), String(iterations), `${(100 * share).toFixed(2)} %`]);
  }
  print(`Features: SqueezeNet 1.1 on MNIST, standardised, clear training, ${heldOut.n} held-out images`, rows);
}
