import { BackboneError } from './backbone-error.ts';
import { buildRegnet, REGNET_FEATURES, REGNET_SIZE } from './regnet.ts';
import { parseSafetensors } from './safetensors.ts';
import { buildScattering, SCATTERING_FEATURES } from './scattering.ts';

/** The order of the planes of an image: `grey` is one plane, the others three. */
export type ImageChannels = 'grey' | 'rgb' | 'bgr';

/**
 * A CNN this package can write as ONNX, and what images must look like to go into it: decode, convert to `channels`
 * (for `rgb`, a grey image gives three equal planes), resize to `size` x `size` bilinearly, divide by 255, then
 * (x - mean) / std per plane; N x C x size x size, 32-bit floats, row-major.
 */
export interface Backbone {
  readonly name: string;
  /** One sentence for help texts. */
  readonly description: string;
  /** Height and width of its input, in pixels. */
  readonly size: number;
  readonly channels: ImageChannels;
  /** Per plane, in units of [0, 1] pixels: as many as there are planes. */
  readonly mean: readonly number[];
  /** Per plane, as `mean`. */
  readonly std: readonly number[];
  /** Name of the graph's input. */
  readonly input: string;
  /** Name of its output, N x featureCount. */
  readonly output: string;
  readonly featureCount: number;
  /** How to get the weights file `build` needs, for help texts and errors; undefined if it needs none. */
  readonly weightsHelp: string | undefined;
  /**
   * Writes the ONNX file.
   * @param weights the bytes of a safetensors file, for a backbone that needs one
   * @throws BackboneError if weights are missing, not this network's, or given to a backbone that has none
   * @throws SafetensorsError if they are not a safetensors file
   */
  build(weights?: Uint8Array): Uint8Array;
}

/** For those who have Python: writes the weights of the paper's CNN, pretrained on ImageNet, to regnet_x_400mf.safetensors. */
export const REGNET_WEIGHTS_HELP = `pip install torch torchvision safetensors
python3 -c "import torchvision as t, safetensors.torch as s; s.save_file(t.models.regnet_x_400mf(weights='IMAGENET1K_V1').state_dict(), 'regnet_x_400mf.safetensors')"`;

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
      if (weights !== undefined) throw new BackboneError('the backbone scattering has no weights; leave out --weights');
      return buildScattering();
    },
  },
  {
    name: 'regnet_x_400mf',
    description:
      "torchvision's RegNetX-400MF of 224 x 224 images, 400 features; the paper's CNN, needs --weights FILE.safetensors",
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
        throw new BackboneError(
          `the backbone regnet_x_400mf needs its weights: --weights FILE.safetensors. With Python and torchvision:\n${REGNET_WEIGHTS_HELP}`,
        );
      }
      return buildRegnet(parseSafetensors(weights));
    },
  },
];

/**
 * The backbone of that name.
 * @throws BackboneError that lists the names there are
 */
export function findBackbone(name: string): Backbone {
  const backbone = BACKBONES.find((known) => known.name === name);
  if (backbone === undefined)
    throw new BackboneError(
      `there is no backbone ${JSON.stringify(name)}; use one of ${BACKBONES.map((known) => known.name).join(', ')}, or an .onnx file`,
    );
  return backbone;
}
