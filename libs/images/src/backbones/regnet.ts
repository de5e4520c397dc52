import { float32, floatTensor, model, node, valueInfo } from './onnx/build.ts';
import { encodeModel } from './onnx/model-file.ts';
import type { NodeProto, TensorProto } from './onnx/onnx_pb.ts';
import { BLOCKS, NORM_PARTS, STEM, weightShape, type ConvNorm } from './regnet-layers.ts';
import { readConvNorm, refuseForeignTensors, type ConvNormWeights, type StateDict } from './regnet-weights.ts';

/** Side of the images, in pixels. */
export const REGNET_SIZE = 224;
/** Features of an image. */
export const REGNET_FEATURES = 400;

/** The epsilon of torchvision's BatchNorm2d. */
const EPSILON = 1e-5;

/** How the graph is written; its features are the same up to rounding. */
export interface RegnetOptions {
  /** Fold each batch normalisation into the convolution before it: smaller and faster. @default true */
  readonly foldBatchNorm?: boolean | undefined;
}

/**
 * Writes torchvision's `regnet_x_400mf` (Radosavovic et al., "Designing network design spaces", 2020) without its
 * classifier as an ONNX model. Input `image` N x 3 x 224 x 224; output `features` N x 400, averages over the 7 x 7 grid
 * of the last stage. Values are as in `eval()` mode. Weights of the classifier (`fc.*`) are ignored.
 * @param weights torchvision's state dict
 * @throws FeatureError `bad-weights` if a tensor is missing, has another shape or dtype, is not finite, or does not
 * belong to this network
 */
export function buildRegnet(weights: StateDict, { foldBatchNorm = true }: RegnetOptions = {}): Uint8Array {
  refuseForeignTensors(weights);
  const graph = new RegnetGraph(weights, foldBatchNorm ? foldedConvolution : separateConvolution);
  let value = graph.relu(graph.convolve(STEM, 'image'), 'stem.2');
  for (const { name, a, b, c, projection } of BLOCKS) {
    const shortcut = projection === undefined ? value : graph.convolve(projection, value);
    const inner = graph.relu(graph.convolve(a, value), `${a.name}.2`);
    const residual = graph.convolve(c, graph.relu(graph.convolve(b, inner), `${b.name}.2`));
    graph.nodes.push(node('Add', [shortcut, residual], `${name}.sum`));
    value = graph.relu(`${name}.sum`, name);
  }
  graph.nodes.push(
    node('GlobalAveragePool', [value], 'avgpool'),
    node('Flatten', ['avgpool'], 'features', { axis: 1 }),
  );
  return encodeModel(
    model({
      name: 'regnet_x_400mf',
      node: graph.nodes,
      initializer: graph.initializers,
      input: [valueInfo('image', ['N', 3, REGNET_SIZE, REGNET_SIZE])],
      output: [valueInfo('features', ['N', REGNET_FEATURES])],
    }),
  );
}

/** The nodes and weights of one convolution with its batch normalisation; the last node computes its result. */
interface GraphPart {
  readonly nodes: readonly NodeProto[];
  readonly initializers: readonly TensorProto[];
  readonly output: string;
}

type Convolution = (conv: ConvNorm, weights: ConvNormWeights, input: string) => GraphPart;

class RegnetGraph {
  readonly nodes: NodeProto[] = [];
  readonly initializers: TensorProto[] = [];
  readonly #weights: StateDict;
  readonly #convolution: Convolution;

  constructor(weights: StateDict, convolution: Convolution) {
    this.#weights = weights;
    this.#convolution = convolution;
  }

  /** @returns the name of the result */
  convolve(conv: ConvNorm, input: string): string {
    const { nodes, initializers, output } = this.#convolution(conv, readConvNorm(this.#weights, conv), input);
    this.nodes.push(...nodes);
    this.initializers.push(...initializers);
    return output;
  }

  /** @returns `name` */
  relu(input: string, name: string): string {
    this.nodes.push(node('Relu', [input], name));
    return name;
  }
}

/** One convolution K' = K s with a bias: y = (K x - mean) s + shift with s = scale / sqrt(variance + epsilon). */
function foldedConvolution(conv: ConvNorm, { kernels, norm }: ConvNormWeights, input: string): GraphPart {
  // Double precision until the last rounding.
  const factors = Float64Array.from(norm.weight, (scale, k) => scale / Math.sqrt(norm.running_var[k]! + EPSILON));
  const perOutput = kernels.length / conv.outputs;
  const folded = Float64Array.from(kernels, (value, i) => value * factors[Math.floor(i / perOutput)]!);
  const bias = Float64Array.from(factors, (factor, k) => norm.bias[k]! - norm.running_mean[k]! * factor);
  const output = `${conv.name}.0`;
  const weights = [`${output}.weight`, `${output}.bias`] as const;
  return {
    initializers: [floatTensor(weights[0], weightShape(conv), folded), floatTensor(weights[1], [conv.outputs], bias)],
    nodes: [node('Conv', [input, ...weights], output, attributesOf(conv))],
    output,
  };
}

/** The convolution and the batch normalisation as two nodes. */
function separateConvolution(conv: ConvNorm, { kernels, norm }: ConvNormWeights, input: string): GraphPart {
  const [convolved, output] = [`${conv.name}.0`, `${conv.name}.1`];
  const parts = NORM_PARTS.map((part) => `${output}.${part}`);
  return {
    initializers: [
      floatTensor(`${convolved}.weight`, weightShape(conv), kernels),
      ...NORM_PARTS.map((part) => floatTensor(`${output}.${part}`, [conv.outputs], norm[part])),
    ],
    nodes: [
      node('Conv', [input, `${convolved}.weight`], convolved, attributesOf(conv)),
      node('BatchNormalization', [convolved, ...parts], output, { epsilon: float32(EPSILON) }),
    ],
    output,
  };
}

function attributesOf({ kernel, stride, groups }: ConvNorm): Record<string, number | readonly number[]> {
  const padding = kernel === 3 ? 1 : 0;
  return {
    kernel_shape: [kernel, kernel],
    strides: [stride, stride],
    pads: [padding, padding, padding, padding],
    group: groups,
  };
}
