import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { messageOf } from '@blindfit/base';
import { findBackbone } from '../backbones/backbones.ts';
import { FeatureError } from '../feature-error.ts';
import type { ChannelOrder } from './tensor.ts';

/** A CNN as an ONNX file, and those properties of its images that the file does not state. */
export interface FeatureModel {
  /** For messages and records. */
  readonly name: string;
  /** The ONNX file. */
  readonly bytes: Uint8Array;
  /** Height and width of its images in pixels; needed where the file leaves them open. */
  readonly size?: number | undefined;
  /** @default grey for a model of one channel, else rgb */
  readonly channels?: ChannelOrder | undefined;
  /** In units of [0, 1] pixels, one number or one per channel. @default 0 */
  readonly mean?: readonly number[] | undefined;
  /** As `mean`. @default 1 */
  readonly std?: readonly number[] | undefined;
}

export interface BackboneChoice {
  /** The name of a built-in backbone, or the path of a file that ends in `.onnx`. */
  readonly backbone: string;
  /** Safetensors file with the weights of a built-in backbone that needs them. */
  readonly weights?: string | undefined;
  /** These override what the backbone says about itself; see {@link FeatureModel}. */
  readonly size?: number | undefined;
  readonly channels?: ChannelOrder | undefined;
  readonly mean?: readonly number[] | undefined;
  readonly std?: readonly number[] | undefined;
}

/**
 * Builds or reads a backbone.
 * @throws FeatureError `bad-model`, `bad-argument` or `bad-weights`
 */
export async function loadBackbone({ backbone, weights, ...input }: BackboneChoice): Promise<FeatureModel> {
  if (backbone.toLowerCase().endsWith('.onnx')) {
    if (weights !== undefined)
      throw new FeatureError('bad-argument', `${backbone} brings its own weights; leave out ${weights}`);
    return { name: basename(backbone), bytes: await bytesOf(backbone, 'ONNX file'), ...input };
  }
  const { name, size, channels, mean, std, ...builtIn } = findBackbone(backbone);
  const bytes = builtIn.build(weights === undefined ? undefined : await bytesOf(weights, 'file of weights'));
  return { name, bytes, size, channels, mean, std, ...input };
}

async function bytesOf(path: string, what: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new FeatureError('bad-model', `the ${what} ${path} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}
