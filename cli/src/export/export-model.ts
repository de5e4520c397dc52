/** Joins a backbone and a trained model in one ONNX graph, and checks that it computes what `predict` computes. */
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { at } from '@blindfit/base';
import { isPlainInput, predictScores, type Model } from '@blindfit/data';
import {
  exportModel,
  type ImageNormalisation,
  backboneInterface,
  extractDataset,
  type BackboneInterface,
  type FeatureModel,
  type ImageSource,
  type Pixels,
} from '@blindfit/images';
import { CliError } from '../errors.ts';

/** Number of random images that both compute. */
const CHECKED_IMAGES = 4;
/** Largest difference of a score that 32-bit arithmetic explains, in parts of the range of all scores. */
const TOLERANCE = 1e-3;

export interface ExportedModel {
  /** The ONNX file. */
  readonly bytes: Uint8Array;
  /** Pixels a side of an image; its planes hold values in [0, 1]. */
  readonly size: number;
  readonly channels: 'grey' | 'rgb';
  /** Whether the caller of the model must make colour images grey and repeat the plane. */
  readonly greyOnly: boolean;
  /** Largest difference of a score between onnxruntime and our own prediction, in parts of the range of all scores. */
  readonly difference: number;
  readonly checkedImages: number;
}

/**
 * @param output which output of the backbone holds the features. @default its only one
 * @throws CliError if the graph does not compute what the model predicts
 * @throws FeatureError, BackboneError, OnnxFormatError if the backbone cannot be used, or is not the model's
 */
export async function exportTrained(model: Model, backbone: FeatureModel, output?: string): Promise<ExportedModel> {
  if (model.input !== undefined && !isPlainInput(model.input))
    throw new CliError(
      'the model was trained on a table with columns of text, which no backbone makes',
      'export a model that was trained on images or on the features of a backbone',
    );
  const known = await backboneInterface(backbone, output);
  const { order, planes, size, mean, std } = known.preprocessing;
  // A graph that makes colour images grey is none of the backbone's business; grey planes are three equal ones.
  const greyOnly = order === 'grey' && planes === 3;
  const image: ImageNormalisation = { channels: greyOnly ? 'rgb' : order, mean, std };
  const bytes = exportModel(backbone.bytes, {
    image,
    featureOutput: known.output,
    featureRank: known.featureRank,
    featurePreprocessing: model.preprocessing,
    weights: model.weights,
    classes: model.classes,
    temperature: model.calibration?.temperature,
  });
  const checkedImages = known.fixedBatch ?? CHECKED_IMAGES;
  const images = Array.from({ length: checkedImages }, (_, index) =>
    randomImage(size, planes === 1 || greyOnly ? 1 : 3, index + 1),
  );
  const expected = await predictOurselves(model, backbone, known, images);
  const found = await predictWithOnnxruntime(bytes, images, planes, size);
  const largest = expected.reduce((most, value, at) => Math.max(most, Math.abs(value - (found[at] ?? Infinity))), 0);
  const range =
    expected.reduce((most, value) => Math.max(most, value), -Infinity) -
    expected.reduce((least, value) => Math.min(least, value), Infinity);
  // Weights that are all equal give no range: then any score that differs is wrong.
  const difference = largest === 0 ? 0 : largest / range;
  if (!(difference <= TOLERANCE) || found.length !== expected.length) {
    throw new CliError(
      `the exported model does not compute what the trained one predicts: on ${checkedImages} random images ` +
        `the scores differ by up to ${difference.toPrecision(2)} of their range; nothing was written`,
      'this is a bug in Blindfit or an ONNX file with operators that depend on more than the image; please ' +
        'report it with the name of the backbone',
    );
  }
  return { bytes, size, channels: planes === 1 ? 'grey' : 'rgb', greyOnly, difference, checkedImages };
}

/** Scores, images x classes, by the path that `predict` takes. */
async function predictOurselves(
  model: Model,
  backbone: FeatureModel,
  { output }: BackboneInterface,
  images: readonly Pixels[],
): Promise<Float64Array> {
  const source: ImageSource = {
    description: 'random images',
    count: images.length,
    labelled: false,
    name: (index) => `random image ${index + 1}`,
    label: () => undefined,
    read: (index) =>
      Promise.resolve({
        digest: Buffer.alloc(32, index),
        decode: () => Promise.resolve(images[index] ?? randomImage(1, 1, 1)),
      }),
  };
  const { data } = await extractDataset({ source, backbone, output });
  return predictScores(model, data);
}

async function predictWithOnnxruntime(
  bytes: Uint8Array,
  images: readonly Pixels[],
  planes: number,
  size: number,
): Promise<Float64Array> {
  const pixels = size * size;
  const input = new Float32Array(images.length * planes * pixels);
  images.forEach(({ data, channels }, index) => {
    for (let plane = 0; plane < planes; plane++) {
      for (let i = 0; i < pixels; i++)
        input[(index * planes + plane) * pixels + i] =
          at(data, i * channels + (channels === 1 ? 0 : plane), 'pixels') / 255;
    }
  });
  const session = await InferenceSession.create(bytes);
  try {
    const { scores } = await session.run({ image: new Tensor('float32', input, [images.length, planes, size, size]) });
    return Float64Array.from((await scores?.getData()) as Float32Array);
  } finally {
    await session.release();
  }
}

/** Smooth shapes of random colours: noise alone would look the same to every pooling layer. */
function randomImage(size: number, channels: 1 | 3, seed: number): Pixels {
  let state = seed;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const waves = Array.from({ length: channels }, () =>
    Array.from({ length: 3 }, () => [random() * 0.5, random() * 0.5, random() * 7] as const),
  );
  const data = new Uint8Array(size * size * channels);
  for (let y = 0, at = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      for (const parts of waves)
        data[at++] = Math.round(
          127.5 + 40 * parts.reduce((sum, [fx, fy, phase]) => sum + Math.sin(fx * x + fy * y + phase), 0),
        );
    }
  }
  return { width: size, height: size, channels, data };
}
