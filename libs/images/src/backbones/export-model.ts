import { create } from '@bufbuild/protobuf';
import { at } from '@blindfit/base';
import { fourierFrequencies, type Preprocessing, type PreprocessingStep, type QuantileCurve } from '@blindfit/data';
import { FeatureError } from '../feature-error.ts';
import {
  featureShape,
  IMAGE,
  LABEL_INDEX,
  prepareBackbone,
  PROBABILITIES,
  SCORES,
  type BackboneUse,
} from './backbone-graph.ts';
import type { ImageNormalisation } from './backbones.ts';
import { DATA_TYPES, floatTensor, int64Tensor, node, valueInfo, type AttributeInput } from './onnx/build.ts';
import { encodeModel, parseModel } from './onnx/model-file.ts';
import { StringStringEntryProtoSchema, type NodeProto, type TensorProto } from './onnx/onnx_pb.ts';
import { renameValues } from './onnx/surgery.ts';
import { requireLayer, type TrainedLayer } from './trained-layer.ts';

export interface ExportOptions extends TrainedLayer, BackboneUse {}

/**
 * Joins a backbone, the preprocessing of features and the trained layer in one ONNX graph for any ONNX runtime.
 *
 * Input `image` N x C x H x W: 32-bit floats in [0, 1], of the height and width that the backbone takes (the caller
 * decodes and resizes); planes red, green, blue, or one grey plane. The graph itself swaps to BGR where the backbone
 * takes that, and computes (x - mean) / std.
 *
 * Outputs for c classes: `scores` N x c, the linear scores z; `probabilities` N x c, softmax(z / temperature), or
 * without a temperature the sigmoids of the independent classes divided by their sum, s(z_k) / sum_l s(z_l);
 * `label_index` N, 64-bit integers, the class of the highest score, the first of equal ones.
 *
 * The metadata holds `blindfit.classes` (a JSON list of names), and `blindfit.image` and `blindfit.probabilities` in
 * words. Parts of the backbone that the features do not need, such as its own classifier, are left out.
 * @param backbone an ONNX file of opset 7 or later with its weights inside
 * @throws FeatureError `bad-model` if the backbone cannot be read or extended, `bad-argument` if the options contradict
 * each other or the backbone
 */
export function exportModel(backbone: Uint8Array, options: ExportOptions): Uint8Array {
  const { image, featurePreprocessing, weights, classes, temperature } = options;
  const source = parseModel(backbone);
  const { graph, feature, prefix, input } = prepareBackbone(source, options.featureOutput);
  const { batch, d, rank } = featureShape(graph, options);
  requireLayer(options, d);

  const constants: TensorProto[] = [];
  const before = new Chain(IMAGE, prefix, constants);
  before.normalise(image);
  const after = new Chain(feature, prefix, constants);
  if (rank === 4) after.add('GlobalAveragePool', 'pooled').add('Flatten', 'features', [], { axis: 1 });
  after.preprocess(featurePreprocessing);
  after.classify(weights, classes.length, temperature);
  // The backbone's input has the name `input` here; now it gets the name of the value that feeds it.
  const body = renameValues(graph, new Map([[input, before.value]]));

  return encodeModel({
    ...source,
    // From version 4 on, initialisers need not be inputs.
    irVersion: source.irVersion < 4n ? 4n : source.irVersion,
    producerName: 'blindfit',
    producerVersion: '',
    graph: {
      ...body,
      node: [...before.nodes, ...body.node, ...after.nodes],
      initializer: [...body.initializer, ...constants],
      input: [{ ...valueInfo(IMAGE, []), type: graph.input[0]?.type }],
      output: [
        valueInfo(SCORES, [batch, classes.length]),
        valueInfo(PROBABILITIES, [batch, classes.length]),
        valueInfo(LABEL_INDEX, [batch], DATA_TYPES.int64),
      ],
    },
    metadataProps: [
      ...source.metadataProps.filter(({ key }) => !key.startsWith('blindfit.')),
      ...Object.entries({
        classes: JSON.stringify(classes),
        image: `${image.channels === 'grey' ? 'one grey plane' : 'planes red, green, blue'}, values in [0, 1]`,
        probabilities:
          temperature === undefined
            ? 'sigmoids of the scores, normalised to a sum of 1'
            : `softmax of the scores / ${temperature}`,
      }).map(([key, value]) => create(StringStringEntryProtoSchema, { key: `blindfit.${key}`, value })),
    ],
  });
}

/** Nodes of which each takes the value that the one before computed. */
class Chain {
  readonly nodes: NodeProto[] = [];
  /** The name of the last value. */
  value: string;
  readonly #prefix: string;
  readonly #constants: TensorProto[];

  constructor(value: string, prefix: string, constants: TensorProto[]) {
    this.value = value;
    this.#prefix = prefix;
    this.#constants = constants;
  }

  /** Adds a node. @param operands its further inputs */
  add(
    opType: string,
    name: string,
    operands: readonly string[] = [],
    attributes: Readonly<Record<string, AttributeInput>> = {},
  ): this {
    return this.#add(opType, this.#prefix + name, operands, attributes);
  }

  /** Planes in the backbone's order, less the mean, divided by the deviation. */
  normalise({ channels, mean, std }: ImageNormalisation): void {
    if (channels === 'bgr') {
      this.#constants.push(int64Tensor(`${this.#prefix}bgr`, [3], [2, 1, 0]));
      this.add('Gather', 'swapped', [`${this.#prefix}bgr`], { axis: 1 });
    }
    const perPlane = [mean.length, 1, 1];
    if (mean.some((value) => value !== 0)) this.add('Sub', 'centred', [this.#constant('image_mean', perPlane, mean)]);
    if (std.some((value) => value !== 1)) this.add('Div', 'normalised', [this.#constant('image_std', perPlane, std)]);
  }

  preprocess(preprocessing: Preprocessing): void {
    if (preprocessing.kind !== 'chain') return this.#step(preprocessing, '');
    preprocessing.steps.forEach((step, i) => this.#step(step, `${i + 1}_`));
  }

  /** @param label tells the names of one step from those of another */
  #step(step: PreprocessingStep, label: string): void {
    switch (step.kind) {
      case 'none':
        return;
      case 'quantile':
        return this.#quantile(step.curves, label);
      case 'degree2': {
        const pairs = Array.from({ length: step.features }, (_, a) =>
          Array.from({ length: step.features - a }, (__, i) => [a, a + i] as const),
        ).flat();
        const raw = this.value;
        const second = this.#gather(raw, `${label}second_factors`, pairs.map(([, b]) => b)); // prettier-ignore
        this.value = this.#gather(raw, `${label}first_factors`, pairs.map(([a]) => a)); // prettier-ignore
        return this.add('Mul', `${label}products`, [second]).#appendTo(raw, `${label}expanded_features`);
      }
      case 'fourier': {
        const { features: d, k } = step;
        const { frequencies, phases } = fourierFrequencies(step, d);
        const rows = Array.from({ length: k }, (_, i) => frequencies.subarray(i * d, (i + 1) * d));
        const raw = this.value;
        return this.add('MatMul', `${label}angles`, [this.#constant(`${label}frequencies`, [d, k], columnsOf(rows, 0))])
          .add('Add', `${label}phased`, [this.#constant(`${label}phases`, [k], [...phases])])
          .add('Cos', `${label}cosines`)
          .add('Mul', `${label}waves`, [this.#constant(`${label}height`, [1], [Math.SQRT2])])
          .#appendTo(raw, `${label}expanded_features`);
      }
      case 'pca': {
        const { mean, components } = step;
        this.#centre(mean, label);
        const columns = columnsOf(components, 0);
        const matrix = this.#constant(`${label}components`, [mean.length, components.length], columns);
        this.add('MatMul', `${label}projected_features`, [matrix]);
        return;
      }
      case 'standardize': {
        this.#centre(step.mean, label);
        const scale = this.#constant(`${label}feature_scale`, [step.mean.length], step.scale);
        this.add('Mul', `${label}standardized_features`, [scale]);
        return;
      }
      case 'center':
        this.#centre(step.mean, label);
    }
  }

  #centre(mean: readonly number[], label: string): void {
    this.add('Sub', `${label}centred_features`, [this.#constant(`${label}feature_mean`, [mean.length], mean)]);
  }

  /** y_0 + sum_i slope_i (min(max(x, x_i), x_{i+1}) - x_i) of every feature. */
  #quantile(curves: readonly QuantileCurve[], label: string): void {
    const d = curves.length;
    const pieces = Math.max(1, ...curves.map(({ x }) => x.length - 1));
    const table = (value: (curve: QuantileCurve, piece: number) => number): number[] =>
      curves.flatMap((curve) => Array.from({ length: pieces }, (_, piece) => value(curve, piece)));
    const knot = ({ x }: QuantileCurve, i: number): number => at(x, Math.min(i, x.length - 1), 'knots');
    const score = ({ y }: QuantileCurve, i: number): number => at(y, Math.min(i, y.length - 1), 'scores');
    const slope = (curve: QuantileCurve, i: number): number => {
      const run = knot(curve, i + 1) - knot(curve, i);
      return run === 0 ? 0 : (score(curve, i + 1) - score(curve, i)) / run;
    };
    const start = this.#constant(`${label}piece_start`, [d, pieces], table(knot));
    const end = this.#constant(
      `${label}piece_end`,
      [d, pieces],
      table((curve, i) => knot(curve, i + 1)),
    );
    this.#constants.push(
      int64Tensor(`${this.#prefix}${label}deep`, [3], [-1, d, 1]),
      int64Tensor(`${this.#prefix}${label}flat`, [2], [-1, d]),
    );
    this.add('Reshape', `${label}deep_features`, [`${this.#prefix}${label}deep`])
      .add('Max', `${label}above_start`, [start])
      .add('Min', `${label}inside`, [end])
      .add('Sub', `${label}passed`, [start])
      .add('Mul', `${label}risen`, [this.#constant(`${label}slope`, [d, pieces], table(slope))])
      .add('MatMul', `${label}risen_sum`, [
        this.#constant(`${label}ones`, [pieces, 1], new Array<number>(pieces).fill(1)),
      ])
      .add('Reshape', `${label}flat_features`, [`${this.#prefix}${label}flat`])
      .add('Add', `${label}quantile_features`, [
        this.#constant(
          `${label}first_score`,
          [d],
          curves.map((curve) => score(curve, 0)),
        ),
      ]);
  }

  /** Columns of a value. */
  #gather(value: string, name: string, columns: readonly number[]): string {
    const after = this.value;
    this.#constants.push(int64Tensor(`${this.#prefix}${name}_columns`, [columns.length], columns));
    this.value = value;
    const { value: gathered } = this.add('Gather', name, [`${this.#prefix}${name}_columns`], { axis: 1 });
    this.value = after;
    return gathered;
  }

  /** Puts the value behind the columns of another one. */
  #appendTo(first: string, name: string): void {
    const second = this.value;
    this.value = first;
    this.add('Concat', name, [second], { axis: 1 });
  }

  classify(weights: readonly ArrayLike<number>[], classes: number, temperature: number | undefined): void {
    const width = at(weights, 0, 'weights').length - 1;
    const bias = weights.map((row) => at(row, 0, 'weights of a class'));
    this.add('MatMul', 'product', [this.#constant('weights', [width, classes], columnsOf(weights, 1))]);
    this.#add('Add', SCORES, [this.#constant('bias', [classes], bias)]);
    // s(z_k) / sum_l s(z_l) = softmax of log s(z) = softmax of -softplus(-z), which never divides 0 by 0.
    if (temperature === undefined)
      this.add('Neg', 'negative').add('Softplus', 'minus_log_sigmoid').add('Neg', 'log_sigmoid');
    else this.add('Div', 'tempered_scores', [this.#constant('temperature', [1], [temperature])]);
    this.#add('Softmax', PROBABILITIES, [], { axis: 1 });
    this.value = SCORES;
    this.#add('ArgMax', LABEL_INDEX, [], { axis: 1, keepdims: 0 });
  }

  #add(
    opType: string,
    name: string,
    operands: readonly string[],
    attributes?: Readonly<Record<string, AttributeInput>>,
  ): this {
    this.nodes.push(node(opType, [this.value, ...operands], name, attributes));
    this.value = name;
    return this;
  }

  #constant(name: string, dims: readonly number[], values: readonly number[]): string {
    const odd = values.find((value) => !Number.isFinite(Math.fround(value)));
    if (odd !== undefined)
      throw new FeatureError(
        'bad-argument',
        `${name} holds ${odd}, which is not a finite 32-bit float; the model cannot be exported`,
      );
    this.#constants.push(floatTensor(this.#prefix + name, dims, values));
    return this.#prefix + name;
  }
}

/** The transpose of rows, without their first `skip` numbers, row-major. */
function columnsOf(rows: readonly ArrayLike<number>[], skip: number): number[] {
  const values: number[] = [];
  const { length } = at(rows, 0, 'rows');
  for (let j = skip; j < length; j++) for (const row of rows) values.push(at(row, j, 'row'));
  return values;
}
