/** The part of a backbone that becomes a part of an exported model. */
import { required } from '@blindfit/base';
import { FeatureError } from '../feature-error.ts';
import type { ImageNormalisation } from './backbones.ts';
import { DATA_TYPES, type OnnxDimension } from './onnx/build.ts';
import type { OnnxModel } from './onnx/model-file.ts';
import type { GraphProto } from './onnx/onnx_pb.ts';
import { externalTensors, freshPrefix, graphOf, namesIn, renameValues } from './onnx/surgery.ts';
import { tensorType } from './onnx/tensor-type.ts';

/** Names of the input and the outputs of an exported model; values of the backbone that have them are renamed. */
export const IMAGE = 'image';
export const SCORES = 'scores';
export const PROBABILITIES = 'probabilities';
export const LABEL_INDEX = 'label_index';

/**
 * The oldest operators that the added nodes work with: arithmetic with broadcasting. Their attributes have not changed
 * since, which is why sums are taken without ReduceSum.
 */
const MIN_OPSET = 7n;

/** How a backbone turns images into features. */
export interface BackboneUse {
  /** Becomes a part of the graph. */
  readonly image: ImageNormalisation;
  /** Name of the backbone's value that holds the features: N x d, or N x d x H x W, then averaged over H x W. */
  readonly featureOutput: string;
  /** The rank of that value, for a backbone that does not say. */
  readonly featureRank?: 2 | 4 | undefined;
}

export interface PreparedBackbone {
  /** Computes the features and nothing else. */
  readonly graph: GraphProto;
  /** Name of the features in `graph`. */
  readonly feature: string;
  /** Name of the images in `graph`. */
  readonly input: string;
  /** No name in `graph` but `input` and renamed ones starts with it. */
  readonly prefix: string;
}

/**
 * Cuts a backbone down to its features, renames its input, and frees the names of the exported model's ends.
 * @throws FeatureError `bad-model` if it cannot be extended, `bad-argument` if it has no such value
 */
export function prepareBackbone({ opsetImport, graph }: OnnxModel, featureOutput: string): PreparedBackbone {
  const opset = opsetImport.find(({ domain }) => domain === '' || domain === 'ai.onnx')?.version;
  if (opset === undefined || opset < MIN_OPSET)
    throw bad(`the backbone uses operators of ONNX opset ${opset ?? 0}; export it with opset ${MIN_OPSET} or later`);
  if (!graph.node.some(({ output }) => output.includes(featureOutput))) {
    const outputs = graph.output.map(({ name }) => name).join(', ');
    throw wrong(`the backbone computes no value ${JSON.stringify(featureOutput)}; its outputs are ${outputs}`);
  }
  const needed = graphOf(graph, featureOutput);
  const [image, ...others] = needed.input;
  if (image === undefined || others.length > 0) {
    const inputs = image === undefined ? 'no input' : `the inputs ${needed.input.map(({ name }) => name).join(', ')}`;
    throw bad(`the features depend on ${inputs}; a backbone must have one, the image`);
  }
  const type = tensorType(image);
  if (type !== undefined && type.dataType !== DATA_TYPES.float)
    throw bad(
      `the backbone's input ${image.name} is not of 32-bit floats (ONNX type ${type.dataType}); ` +
        'export it with 32-bit inputs',
    );
  const [external] = externalTensors(needed);
  if (external !== undefined)
    throw bad(
      `the backbone keeps the values of ${JSON.stringify(external.name)} in another file; ` +
        'save it as one file (in Python: onnx.save with save_as_external_data=False)',
    );
  const prefix = freshPrefix('blindfit_', namesIn(graph));
  const input = `${prefix}input`;
  const names = new Map([IMAGE, SCORES, PROBABILITIES, LABEL_INDEX].map((name) => [name, `${prefix}backbone_${name}`]));
  names.set(image.name, input);
  return { graph: renameValues(needed, names), feature: names.get(featureOutput) ?? featureOutput, input, prefix };
}

export interface FeatureShape {
  /** The first dimension of the images. */
  readonly batch: OnnxDimension;
  /** Number of features, as far as the backbone says. */
  readonly d: OnnxDimension;
  readonly rank: 2 | 4;
}

/**
 * Reads the shape of the features, and checks that the backbone takes such images.
 * @throws FeatureError `bad-model` or `bad-argument`
 */
export function featureShape(graph: GraphProto, { image, featureOutput, featureRank }: BackboneUse): FeatureShape {
  const type = tensorType(graph.output[0]);
  const value = `the value ${JSON.stringify(featureOutput)}`;
  if (type !== undefined && type.dataType !== DATA_TYPES.float)
    throw bad(`${value} is not of 32-bit floats (ONNX type ${type.dataType}); export the backbone with 32-bit outputs`);
  const rank = type?.shape?.length ?? featureRank;
  if (rank === undefined)
    throw wrong(
      `the backbone does not say whether ${JSON.stringify(featureOutput)} is N x d or N x d x H x W; ` +
        'give featureRank 2 or 4',
    );
  if (rank !== 2 && rank !== 4)
    throw bad(`${value} has ${rank} dimensions; features must be N x d, or N x d x H x W to be averaged over H x W`);
  if (featureRank !== undefined && featureRank !== rank)
    throw wrong(`${value} has ${rank} dimensions, not ${featureRank}; leave out featureRank`);

  const [batch = 'N', planes] = tensorType(required(graph.input[0], 'input of the backbone'))?.shape ?? [];
  const { channels, mean, std } = image;
  const expected = channels === 'grey' ? 1 : 3;
  if (mean.length !== expected || std.length !== expected)
    throw wrong(`${channels} images need ${expected} mean and std; there are ${mean.length} and ${std.length}`);
  if (typeof planes === 'number' && planes !== expected)
    throw wrong(`the backbone takes ${planes} planes and ${channels} images have ${expected}`);
  const odd = std.find((value) => !(value > 0));
  if (odd !== undefined) throw wrong(`a std is ${odd}; each must be positive, 1 for no scaling`);
  return { batch, d: type?.shape?.[1], rank };
}

/** The backbone cannot be used. */
function bad(message: string): FeatureError {
  return new FeatureError('bad-model', message);
}

/** The options do not fit the backbone. */
function wrong(message: string): FeatureError {
  return new FeatureError('bad-argument', message);
}
