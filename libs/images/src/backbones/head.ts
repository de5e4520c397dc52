import { BackboneError } from './backbone-error.ts';
import type { ImageChannels } from './backbones.ts';
import { floatTensor, int64Tensor, node, valueInfo, type AttributeInput } from './onnx/build.ts';
import { parseModel, tensorType } from './onnx/decode.ts';
import { encodeModel } from './onnx/encode.ts';
import { OnnxFormatError } from './onnx/format-error.ts';
import {
  DATA_TYPES,
  type OnnxDimension,
  type OnnxGraph,
  type OnnxModel,
  type OnnxNode,
  type OnnxTensor,
} from './onnx/model.ts';
import { externalTensors, freshPrefix, graphOf, namesIn, renameValues } from './onnx/surgery.ts';

/**
 * What is done to features before the layer, as `Preprocessing` of the datasets package. Feature j of d becomes
 * `none`: x; `center`: x - mean[j]; `standardize`: (x - mean[j]) * scale[j]; `pca`: component i of k is the dot product of
 * components[i] and x - mean.
 */
export type FeaturePreprocessing =
  | { readonly kind: 'none' }
  | { readonly kind: 'center'; readonly mean: readonly number[] }
  | { readonly kind: 'standardize'; readonly mean: readonly number[]; readonly scale: readonly number[] }
  | { readonly kind: 'pca'; readonly mean: readonly number[]; readonly components: readonly (readonly number[])[] };

/** How pixels become a backbone's input. A {@link Backbone} is one. */
export interface ImageNormalisation {
  readonly channels: ImageChannels;
  /** Per plane, in the order of `channels`, in units of [0, 1] pixels. */
  readonly mean: readonly number[];
  /** Per plane, as `mean`. */
  readonly std: readonly number[];
}

export interface ExportOptions {
  /** Baked into the graph. */
  readonly image: ImageNormalisation;
  /** Name of the value of the backbone's graph that holds the features: N x d, or N x d x H x W, then averaged over H x W. */
  readonly featureOutput: string;
  /** The rank of that value, for a backbone that does not say. */
  readonly featureRank?: 2 | 4;
  readonly featurePreprocessing: FeaturePreprocessing;
  /** One row per class, the bias first, in the space of the preprocessed features. */
  readonly weights: readonly ArrayLike<number>[];
  readonly classes: readonly string[];
}

/** The ends of an exported graph; other values of the backbone that have these names get new ones. */
const IMAGE = 'image';
const SCORES = 'scores';
const PROBABILITIES = 'probabilities';
const LABEL_INDEX = 'label_index';

/**
 * The oldest operators the added nodes work with: arithmetic with broadcasting. From there on to today's their attributes
 * have not changed, which is why sums are taken without ReduceSum.
 */
const MIN_OPSET = 7;

/**
 * One ONNX graph of backbone, feature preprocessing and trained layer, for any ONNX runtime.
 *
 * Input `image` N x C x H x W, 32-bit floats in [0, 1], in the height and width the backbone takes (whoever calls it
 * decodes and resizes); planes red, green, blue, or one grey plane. The graph itself swaps to BGR where the backbone wants
 * that and takes (x - mean) / std.
 *
 * Outputs, for c classes: `scores` N x c, the linear scores z; `probabilities` N x c, the sigmoids of the independent
 * classes normalised to a sum of 1, s(z_k) / sum_l s(z_l) (not softmax: training is one sigmoid per class); `label_index` N,
 * 64-bit integers, the class of the highest score, the first of equal ones.
 *
 * The metadata holds `blindfit.classes` (a JSON list of names), and `blindfit.image` and `blindfit.probabilities` in words.
 * What the features do not need, such as the backbone's own classifier, is left out.
 * @param backbone an ONNX file of opset 7 or later with its weights inside
 * @throws OnnxFormatError if the backbone cannot be read or extended
 * @throws BackboneError if the options contradict each other or the backbone
 */
export function exportModel(backbone: Uint8Array, options: ExportOptions): Uint8Array {
  const { image, featurePreprocessing, weights, classes } = options;
  const source = parseModel(backbone);
  const { graph, feature, prefix, input } = prepareBackbone(source, options.featureOutput);
  const { batch, d, rank } = featureShape(graph, options);
  requireLayer(featurePreprocessing, weights, classes, d);

  const before: OnnxNode[] = [];
  const after: OnnxNode[] = [];
  const initializers: OnnxTensor[] = [];
  const constant = (name: string, dims: readonly number[], values: readonly number[]): string => {
    const odd = values.find((value) => !Number.isFinite(Math.fround(value)));
    if (odd !== undefined)
      throw new BackboneError(`${name} holds ${odd}, which is not a finite 32-bit float; the model cannot be exported`);
    initializers.push(floatTensor(prefix + name, dims, values));
    return prefix + name;
  };
  const add = (
    nodes: OnnxNode[],
    opType: string,
    inputs: readonly string[],
    name: string,
    attributes?: Readonly<Record<string, AttributeInput>>,
  ): string => {
    nodes.push(node(opType, inputs, name, attributes));
    return name;
  };

  let pixels = IMAGE;
  if (image.channels === 'bgr') {
    initializers.push(int64Tensor(`${prefix}bgr`, [3], [2, 1, 0]));
    pixels = add(before, 'Gather', [pixels, `${prefix}bgr`], `${prefix}swapped`, { axis: 1 });
  }
  if (image.mean.some((value) => value !== 0))
    pixels = add(
      before,
      'Sub',
      [pixels, constant('image_mean', [image.mean.length, 1, 1], image.mean)],
      `${prefix}centred`,
    );
  if (image.std.some((value) => value !== 1))
    pixels = add(
      before,
      'Div',
      [pixels, constant('image_std', [image.std.length, 1, 1], image.std)],
      `${prefix}normalised`,
    );
  // The backbone's input was given the name `input`; now it gets that of whatever feeds it.
  const body = renameValues(graph, new Map([[input, pixels]]));

  let value = feature;
  if (rank === 4)
    value = add(after, 'Flatten', [add(after, 'GlobalAveragePool', [value], `${prefix}pooled`)], `${prefix}features`, {
      axis: 1,
    });
  if (featurePreprocessing.kind !== 'none') {
    value = add(
      after,
      'Sub',
      [value, constant('feature_mean', [featurePreprocessing.mean.length], featurePreprocessing.mean)],
      `${prefix}centred_features`,
    );
  }
  if (featurePreprocessing.kind === 'standardize') {
    value = add(
      after,
      'Mul',
      [value, constant('feature_scale', [featurePreprocessing.scale.length], featurePreprocessing.scale)],
      `${prefix}standardized_features`,
    );
  }
  if (featurePreprocessing.kind === 'pca') {
    const { components, mean } = featurePreprocessing;
    value = add(
      after,
      'MatMul',
      [value, constant('components', [mean.length, components.length], columnsOf(components, 0))],
      `${prefix}projected_features`,
    );
  }
  const width = (weights[0]?.length ?? 0) - 1;
  const product = add(
    after,
    'MatMul',
    [value, constant('weights', [width, classes.length], columnsOf(weights, 1))],
    `${prefix}product`,
  );
  add(
    after,
    'Add',
    [
      product,
      constant(
        'bias',
        [classes.length],
        weights.map((row) => row[0] ?? NaN),
      ),
    ],
    SCORES,
  );
  // s(z_k) / sum_l s(z_l) = softmax of log s(z) = softmax of -softplus(-z), which never divides 0 by 0.
  const positive = add(
    after,
    'Softplus',
    [add(after, 'Neg', [SCORES], `${prefix}negative`)],
    `${prefix}minus_log_sigmoid`,
  );
  add(after, 'Softmax', [add(after, 'Neg', [positive], `${prefix}log_sigmoid`)], PROBABILITIES, { axis: 1 });
  add(after, 'ArgMax', [SCORES], LABEL_INDEX, { axis: 1, keepdims: 0 });

  const inputType = graph.inputs[0]?.type ?? new Uint8Array(0);
  return encodeModel({
    ...source,
    // From version 4 on, initialisers need not be inputs.
    irVersion: Math.max(4, source.irVersion),
    producerName: 'blindfit',
    producerVersion: '',
    graph: {
      ...body,
      nodes: [...before, ...body.nodes, ...after],
      initializers: [...body.initializers, ...initializers],
      inputs: [{ name: IMAGE, type: inputType, unknown: new Uint8Array(0) }],
      outputs: [
        valueInfo(SCORES, [batch, classes.length]),
        valueInfo(PROBABILITIES, [batch, classes.length]),
        valueInfo(LABEL_INDEX, [batch], DATA_TYPES.int64),
      ],
    },
    metadata: [
      ...source.metadata.filter(({ key }) => !key.startsWith('blindfit.')),
      { key: 'blindfit.classes', value: JSON.stringify(classes) },
      {
        key: 'blindfit.image',
        value: `${image.channels === 'grey' ? 'one grey plane' : 'planes red, green, blue'}, values in [0, 1]`,
      },
      { key: 'blindfit.probabilities', value: 'sigmoids of the scores, normalised to a sum of 1' },
    ],
  });
}

/** The backbone cut down to its features, names of ours made free, its input renamed to `input`. */
function prepareBackbone(
  source: OnnxModel,
  featureOutput: string,
): { graph: OnnxGraph; feature: string; input: string; prefix: string } {
  const opset = source.opsets.find(({ domain }) => domain === '' || domain === 'ai.onnx')?.version ?? 0;
  if (opset < MIN_OPSET)
    throw new OnnxFormatError(
      `the backbone uses operators of ONNX opset ${opset}; export it with opset ${MIN_OPSET} or later`,
    );
  const { graph } = source;
  if (!graph.nodes.some(({ outputs }) => outputs.includes(featureOutput))) {
    throw new BackboneError(
      `the backbone computes no value ${JSON.stringify(featureOutput)}; its outputs are ${graph.outputs.map(({ name }) => name).join(', ')}`,
    );
  }
  const kept = graphOf(graph, featureOutput);
  const [image, ...others] = kept.inputs;
  if (image === undefined || others.length > 0) {
    throw new BackboneError(
      `the features depend on ${image === undefined ? 'no input' : `the inputs ${kept.inputs.map(({ name }) => name).join(', ')}`}; a backbone must have one, the image`,
    );
  }
  const type = tensorType(image);
  if (type !== undefined && type.dataType !== DATA_TYPES.float) {
    throw new BackboneError(
      `the backbone's input ${image.name} is not of 32-bit floats (ONNX type ${type.dataType}); export it with 32-bit inputs`,
    );
  }
  const external = externalTensors(kept)[0];
  if (external !== undefined) {
    throw new OnnxFormatError(
      `the backbone keeps the values of ${JSON.stringify(external.name)} in another file; save it as one file (in Python: onnx.save with save_as_external_data=False)`,
    );
  }
  const taken = namesIn(graph);
  const prefix = freshPrefix('blindfit_', taken);
  const input = `${prefix}input`;
  const names = new Map([IMAGE, SCORES, PROBABILITIES, LABEL_INDEX].map((name) => [name, `${prefix}backbone_${name}`]));
  names.set(image.name, input);
  return { graph: renameValues(kept, names), feature: names.get(featureOutput) ?? featureOutput, input, prefix };
}

function featureShape(
  graph: OnnxGraph,
  options: ExportOptions,
): { batch: OnnxDimension; d: OnnxDimension; rank: 2 | 4 } {
  const info = graph.outputs[0];
  const type = info === undefined ? undefined : tensorType(info);
  const name = JSON.stringify(options.featureOutput);
  if (type !== undefined && type.dataType !== DATA_TYPES.float) {
    throw new BackboneError(
      `the value ${name} is not of 32-bit floats (ONNX type ${type.dataType}); export the backbone with 32-bit outputs`,
    );
  }
  const rank = type?.shape?.length ?? options.featureRank;
  if (rank === undefined)
    throw new BackboneError(
      `the backbone does not say whether ${name} is N x d or N x d x H x W; give featureRank 2 or 4`,
    );
  if (rank !== 2 && rank !== 4)
    throw new BackboneError(
      `the value ${name} has ${rank} dimensions; features must be N x d, or N x d x H x W to be averaged over H x W`,
    );
  if (options.featureRank !== undefined && options.featureRank !== rank) {
    throw new BackboneError(
      `the value ${name} has ${rank} dimensions, not ${options.featureRank}; leave out featureRank`,
    );
  }
  const [batch = 'N', planes] = (graph.inputs[0] === undefined ? undefined : tensorType(graph.inputs[0])?.shape) ?? [];
  const { channels, mean, std } = options.image;
  const expected = channels === 'grey' ? 1 : 3;
  if (mean.length !== expected || std.length !== expected) {
    throw new BackboneError(
      `${channels} images need ${expected} mean and std; there are ${mean.length} and ${std.length}`,
    );
  }
  if (typeof planes === 'number' && planes !== expected)
    throw new BackboneError(`the backbone takes ${planes} planes and ${channels} images have ${expected}`);
  const odd = std.find((value) => !(value > 0));
  if (odd !== undefined) throw new BackboneError(`a std is ${odd}; each must be positive, 1 for no scaling`);
  return { batch, d: type?.shape?.[1], rank };
}

function requireLayer(
  preprocessing: FeaturePreprocessing,
  weights: readonly ArrayLike<number>[],
  classes: readonly string[],
  known: OnnxDimension,
): void {
  if (classes.length < 2 || weights.length !== classes.length)
    throw new BackboneError(
      `there are ${weights.length} rows of weights for ${classes.length} classes; there must be one per class, at least 2`,
    );
  const width = (weights[0]?.length ?? 0) - 1;
  if (width < 1 || weights.some((row) => row.length !== width + 1))
    throw new BackboneError('each class needs the same number of weights: a bias and one per feature');
  let d = width;
  if (preprocessing.kind !== 'none') d = preprocessing.mean.length;
  if (preprocessing.kind === 'standardize' && preprocessing.scale.length !== d)
    throw new BackboneError(`the preprocessing has ${d} means and ${preprocessing.scale.length} scales`);
  if (preprocessing.kind === 'pca' && preprocessing.components.some((row) => row.length !== d))
    throw new BackboneError(`each component must have ${d} numbers, one per feature`);
  const outputs = preprocessing.kind === 'pca' ? preprocessing.components.length : d;
  if (outputs !== width)
    throw new BackboneError(
      `the preprocessing gives ${outputs} features and the weights are for ${width} (and a bias)`,
    );
  if (typeof known === 'number' && known !== d)
    throw new BackboneError(
      `the backbone gives ${known} features and the model was trained on ${d}; use the backbone it was trained with`,
    );
}

/** The transpose of rows, without their first `skip` numbers, row-major. */
function columnsOf(rows: readonly ArrayLike<number>[], skip: number): number[] {
  const values: number[] = [];
  for (let j = skip; j < (rows[0]?.length ?? 0); j++) for (const row of rows) values.push(row[j] ?? NaN);
  return values;
}
