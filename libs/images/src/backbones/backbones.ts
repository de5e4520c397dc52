import { FeatureError } from '../feature-error.ts';
import { buildRegnet, REGNET_FEATURES, REGNET_SIZE } from './regnet.ts';
import { parseSafetensors } from './safetensors.ts';
import { buildScattering, SCATTERING_FEATURES } from './scattering.ts';

/** The order of the planes of an image: `grey` is one plane, the others three. */
export type ImageChannels = 'grey' | 'rgb' | 'bgr';

/** How pixels become a backbone's input. */
export interface ImageNormalisation {
  readonly channels: ImageChannels;
  /** Per plane, in the order of `channels`, in units of [0, 1] pixels. */
  readonly mean: readonly number[];
  /** Per plane, as `mean`. */
  readonly std: readonly number[];
}

/**
 * A CNN that this package can write as ONNX, and the images that it takes: decode, convert to `channels` (for `rgb`, a
 * grey image gives three equal planes), resize to `size` x `size` bilinearly, divide by 255, then (x - mean) / std per
 * plane; N x C x size x size, 32-bit floats, row-major.
 */
export interface Backbone extends ImageNormalisation {
  readonly name: string;
  /** One sentence for help texts. */
  readonly description: string;
  /** Height and width of its input, in pixels. */
  readonly size: number;
  /** Name of the graph's input. */
  readonly input: string;
  /** Name of its output, N x featureCount. */
  readonly output: string;
  readonly featureCount: number;
  /** How to get the weights file that `build` needs, for help texts and errors; undefined if it needs none. */
  readonly weightsHelp: string | undefined;
  /**
   * Writes the ONNX file.
   * @param weights the bytes of a safetensors file, for a backbone that needs one
   * @throws FeatureError `bad-weights` if they are missing, not a safetensors file, or not this network's;
   * `bad-argument` if the backbone has no weights
   */
  build(weights?: Uint8Array): Uint8Array;
}

/** Commands that write the weights of the paper's CNN, pretrained on ImageNet, to regnet_x_400mf.safetensors. */
export const REGNET_WEIGHTS_HELP = [
  'pip install torch torchvision safetensors\npython3 -c "import torchvision as t, safetensors.torch as s;',
  "s.save_file(t.models.regnet_x_400mf(weights='IMAGENET1K_V1').state_dict(), 'regnet_x_400mf.safetensors')\"",
].join(' ');

/** All backbones; the first is the default. */
export const BACKBONES: readonly Backbone[] = [
  {
    name: 'scattering',
    description: 'first-order wavelet scattering of 28 x 28 grey images, 400 features; built in, needs no download',
    size: 28,
    channels: 'grey',
    mean: [0],
    std: [1],
    input: 'image',
    output: 'features',
    featureCount: SCATTERING_FEATURES,
    weightsHelp: undefined,
    build(weights) {
      if (weights !== undefined)
        throw new FeatureError('bad-argument', 'the backbone scattering has no weights; leave out `weights`');
      return buildScattering();
    },
  },
  {
    name: 'regnet_x_400mf',
    description:
      "torchvision's RegNetX-400MF of 224 x 224 images, 400 features; the paper's CNN, " + 'needs a file of weights',
    size: REGNET_SIZE,
    channels: 'rgb',
    // As in the paper: pixels in [0, 1], not normalised by ImageNet's mean and deviation.
    mean: [0, 0, 0],
    std: [1, 1, 1],
    input: 'image',
    output: 'features',
    featureCount: REGNET_FEATURES,
    weightsHelp: REGNET_WEIGHTS_HELP,
    build(weights) {
      if (weights === undefined) {
        throw new FeatureError(
          'bad-weights',
          'the backbone regnet_x_400mf needs its weights: `weights` FILE.safetensors. ' +
            `With Python and torchvision:\n${REGNET_WEIGHTS_HELP}`,
        );
      }
      return buildRegnet(parseSafetensors(weights));
    },
  },
];

/**
 * Finds a backbone by its name.
 * @throws FeatureError `bad-argument` that lists the names there are
 */
export function findBackbone(name: string): Backbone {
  const backbone = BACKBONES.find((candidate) => candidate.name === name);
  if (backbone !== undefined) return backbone;
  const names = BACKBONES.map((candidate) => candidate.name).join(', ');
  throw new FeatureError(
    'bad-argument',
    `there is no backbone ${JSON.stringify(name)}; use one of ${names}, or an .onnx file`,
  );
}
