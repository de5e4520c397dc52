/** Data of the long trainings: CNN features from beside the checkout if they exist, else the demo's digits. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { withLabels, type LabelledDataset } from '@blindfit/data';
import { digitFiles } from '@blindfit/demo';
import { extractDataset, loadBackbone, openIdxSource, readFeatures, type FeatureModel } from '@blindfit/images';
import { prepareData, type TrainingData } from '@blindfit/owner';
import { paperData } from './paper-job.ts';

const shared = (path: string): string => fileURLToPath(new URL(`../../../shared/${path}`, import.meta.url));
const REGNET = shared('data/regnet_x_400mf-mnist-first128.csv');
const SQUEEZENET = shared('models/squeezenet1_1-features.onnx');

export interface NamedData {
  readonly name: string;
  readonly data: TrainingData;
}

/** 128 x 401 x 10, standardised. */
export async function small(): Promise<NamedData> {
  if (!existsSync(REGNET)) return { name: 'pixels of the demo’s digits', data: await paperData() };
  return {
    name: 'RegNetX-400MF features of MNIST',
    data: prepareData({ training: await readFeatures(REGNET), preprocessing: 'standardize' }),
  };
}

/** 1024 images, 10 classes, standardised, with held-out images. */
export async function large(): Promise<NamedData> {
  const mnist = existsSync(SQUEEZENET) && existsSync(shared('data/mnist'));
  const backbone = await (mnist
    ? loadBackbone({ backbone: SQUEEZENET, size: 224 })
    : loadBackbone({ backbone: 'scattering' }));
  const files = (split: 'train' | 'heldout'): { images: string; labels: string } => {
    if (!mnist) return digitFiles(split);
    const name = shared(`data/mnist/${split === 'train' ? 'train-first4096' : 't10k-last2000'}`);
    return { images: `${name}-images-idx3-ubyte.gz`, labels: `${name}-labels-idx1-ubyte.gz` };
  };
  const [training, validation] = [
    await digits(backbone, files('train'), 1024),
    await digits(backbone, files('heldout')),
  ];
  return {
    name: mnist ? 'SqueezeNet 1.1 features of MNIST' : 'scattering features of the demo’s digits',
    data: prepareData({ training, validation, preprocessing: 'standardize' }),
  };
}

async function digits(
  backbone: FeatureModel,
  files: { images: string; labels: string },
  limit?: number,
): Promise<LabelledDataset> {
  const { data } = await extractDataset({
    source: await openIdxSource({ ...files, limit }),
    backbone,
  });
  return withLabels(data, data.labels ?? []);
}
