import { BackboneError } from './backbone-error.ts';
import { float32, floatTensor, model, node, valueInfo } from './onnx/build.ts';
import { encodeModel } from './onnx/encode.ts';
import type { OnnxNode, OnnxTensor } from './onnx/model.ts';
import { randomReals } from './random-reals.ts';
import type { StoredTensor } from './safetensors.ts';

/** Side of the images, in pixels. */
export const REGNET_SIZE = 224;
/** Features of an image. */
export const REGNET_FEATURES = 400;

const STEM_WIDTH = 32;
const WIDTHS = [32, 64, 160, 400] as const;
const DEPTHS = [1, 2, 7, 12] as const;
const GROUP_WIDTH = 16;
/** Of torchvision's BatchNorm2d. */
const EPSILON = 1e-5;

/** Weights by torchvision's names, e.g. what `parseSafetensors` returns. */
export type StateDict = ReadonlyMap<string, Pick<StoredTensor, 'shape' | 'floats'>>;

/** How the graph is written; its features are the same up to rounding. */
export interface RegnetOptions {
  /** Fold each batch normalisation into the convolution before it: smaller and faster. @default true */
  readonly foldBatchNorm?: boolean;
}

/** A convolution and the batch normalisation after it; all of the network's weights are in these. */
interface ConvNorm {
  /** torchvision's name without the index: `${name}.0` is the convolution, `${name}.1` the normalisation. */
  readonly name: string;
  readonly inputs: number;
  readonly outputs: number;
  readonly kernel: 1 | 3;
  readonly stride: 1 | 2;
  readonly groups: number;
}

/** A residual block: ReLU(shortcut + c(b(a(x)))), with ReLU after a and b. */
interface Block {
  readonly name: string;
  readonly a: ConvNorm;
  readonly b: ConvNorm;
  readonly c: ConvNorm;
  /** The shortcut where the block changes the shape, else the identity. */
  readonly projection: ConvNorm | undefined;
}

const STEM: ConvNorm = { name: 'stem', inputs: 3, outputs: STEM_WIDTH, kernel: 3, stride: 2, groups: 1 };
const BLOCKS: readonly Block[] = WIDTHS.flatMap((width, stage) =>
  Array.from({ length: DEPTHS[stage] ?? 0 }, (_, depth) =>
    block(
      `trunk_output.block${stage + 1}.block${stage + 1}-${depth}`,
      depth === 0 ? (WIDTHS[stage - 1] ?? STEM_WIDTH) : width,
      width,
      depth === 0 ? 2 : 1,
    ),
  ),
);
const CONV_NORMS: readonly ConvNorm[] = [
  STEM,
  ...BLOCKS.flatMap(({ a, b, c, projection }) => [...(projection === undefined ? [] : [projection]), a, b, c]),
];

/** Trainable numbers of the network without its classifier: what torchvision counts, less 401,000. */
export const REGNET_PARAMETERS = CONV_NORMS.reduce(
  (total, conv) => total + product(weightShape(conv)) + 2 * conv.outputs,
  0,
);

/**
 * torchvision's `regnet_x_400mf` (Radosavovic et al., "Designing network design spaces", 2020) without its classifier, as an
 * ONNX model. Input `image` N x 3 x 224 x 224; output `features` N x 400, averages over the 7 x 7 grid of the last stage.
 * Values are as in `eval()` mode. The classifier's weights (`fc.*`) may be there and are not used.
 * @param weights torchvision's state dict
 * @throws BackboneError if a tensor is missing, has another shape, is not finite, or does not belong to this network
 * @throws SafetensorsError if its dtype is not F32, F16 or BF16
 */
export function buildRegnet(weights: StateDict, { foldBatchNorm = true }: RegnetOptions = {}): Uint8Array {
  refuseOthers(weights);
  const nodes: OnnxNode[] = [];
  const initializers: OnnxTensor[] = [];
  const convolve = (conv: ConvNorm, input: string): string => {
    const read = (part: string, shape: readonly number[]): Float32Array =>
      readTensor(weights, `${conv.name}.${part}`, shape);
    const kernels = read('0.weight', weightShape(conv));
    const [scale, shift, mean, variance] = ['weight', 'bias', 'running_mean', 'running_var'].map((part) =>
      read(`1.${part}`, [conv.outputs]),
    ) as [Float32Array, Float32Array, Float32Array, Float32Array];
    const negative = variance.findIndex((value) => value < 0);
    if (negative >= 0)
      throw new BackboneError(
        `the weights hold the variance ${String(variance[negative])} in ${conv.name}.1.running_var; a variance is at least 0`,
      );
    const padding = conv.kernel === 3 ? 1 : 0;
    const attributes = {
      kernel_shape: [conv.kernel, conv.kernel],
      strides: [conv.stride, conv.stride],
      pads: [padding, padding, padding, padding],
      group: conv.groups,
    };
    const convolved = `${conv.name}.0`;
    if (!foldBatchNorm) {
      initializers.push(floatTensor(`${convolved}.weight`, weightShape(conv), kernels));
      for (const [part, values] of Object.entries({
        weight: scale,
        bias: shift,
        running_mean: mean,
        running_var: variance,
      })) {
        initializers.push(floatTensor(`${conv.name}.1.${part}`, [conv.outputs], values));
      }
      nodes.push(
        node('Conv', [input, `${convolved}.weight`], convolved, attributes),
        node(
          'BatchNormalization',
          [convolved, ...['weight', 'bias', 'running_mean', 'running_var'].map((part) => `${conv.name}.1.${part}`)],
          `${conv.name}.1`,
          { epsilon: float32(EPSILON) },
        ),
      );
      return `${conv.name}.1`;
    }
    // y = (K x - mean) s + shift with s = scale / sqrt(variance + eps), in double precision until the last rounding.
    const factors = Float64Array.from(scale, (value, k) => value / Math.sqrt((variance[k] ?? NaN) + EPSILON));
    const perOutput = kernels.length / conv.outputs;
    const folded = Float64Array.from(kernels);
    factors.forEach((factor, k) =>
      folded.subarray(k * perOutput, (k + 1) * perOutput).forEach((value, at, own) => (own[at] = value * factor)),
    );
    const bias = Float64Array.from(factors, (factor, k) => (shift[k] ?? NaN) - (mean[k] ?? NaN) * factor);
    initializers.push(
      floatTensor(`${convolved}.weight`, weightShape(conv), folded),
      floatTensor(`${convolved}.bias`, [conv.outputs], bias),
    );
    nodes.push(node('Conv', [input, `${convolved}.weight`, `${convolved}.bias`], convolved, attributes));
    return convolved;
  };
  const relu = (input: string, name: string): string => {
    nodes.push(node('Relu', [input], name));
    return name;
  };

  let value = relu(convolve(STEM, 'image'), 'stem.2');
  for (const { name, a, b, c, projection } of BLOCKS) {
    const shortcut = projection === undefined ? value : convolve(projection, value);
    const hidden = relu(convolve(b, relu(convolve(a, value), `${a.name}.2`)), `${b.name}.2`);
    nodes.push(node('Add', [shortcut, convolve(c, hidden)], `${name}.sum`));
    value = relu(`${name}.sum`, name);
  }
  nodes.push(node('GlobalAveragePool', [value], 'avgpool'), node('Flatten', ['avgpool'], 'features', { axis: 1 }));
  return encodeModel(
    model({
      name: 'regnet_x_400mf',
      nodes,
      initializers,
      inputs: [valueInfo('image', ['N', 3, REGNET_SIZE, REGNET_SIZE])],
      outputs: [valueInfo('features', ['N', REGNET_FEATURES])],
    }),
  );
}

/**
 * Seeded random weights of the right names and shapes, for tests and measurements: convolutions as torchvision draws
 * them, batch normalisations with statistics that are not trivial. Its features mean nothing.
 */
export function randomRegnetWeights(seed: number): StateDict {
  const random = randomReals(seed);
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const weights = new Map<string, { shape: readonly number[]; floats: () => Float32Array }>();
  const add = (name: string, shape: readonly number[], draw: () => number): void => {
    const values = Float32Array.from({ length: product(shape) }, draw);
    weights.set(name, { shape, floats: () => values });
  };
  for (const conv of CONV_NORMS) {
    const deviation = Math.sqrt(2 / (conv.kernel * conv.kernel * conv.outputs));
    add(`${conv.name}.0.weight`, weightShape(conv), () => deviation * normal());
    add(`${conv.name}.1.weight`, [conv.outputs], () => 0.5 + random());
    add(`${conv.name}.1.bias`, [conv.outputs], () => 0.1 * normal());
    add(`${conv.name}.1.running_mean`, [conv.outputs], () => 0.1 * normal());
    add(`${conv.name}.1.running_var`, [conv.outputs], () => 0.5 + random());
  }
  return weights;
}

function block(name: string, inputs: number, outputs: number, stride: 1 | 2): Block {
  return {
    name,
    a: { name: `${name}.f.a`, inputs, outputs, kernel: 1, stride: 1, groups: 1 },
    b: { name: `${name}.f.b`, inputs: outputs, outputs, kernel: 3, stride, groups: outputs / GROUP_WIDTH },
    c: { name: `${name}.f.c`, inputs: outputs, outputs, kernel: 1, stride: 1, groups: 1 },
    projection:
      inputs === outputs && stride === 1
        ? undefined
        : { name: `${name}.proj`, inputs, outputs, kernel: 1, stride, groups: 1 },
  };
}

function weightShape({ inputs, outputs, groups, kernel }: ConvNorm): readonly number[] {
  return [outputs, inputs / groups, kernel, kernel];
}

function readTensor(weights: StateDict, name: string, shape: readonly number[]): Float32Array {
  const tensor = weights.get(name);
  if (tensor === undefined)
    throw new BackboneError(`the weights lack ${name}; give the state dict of torchvision's regnet_x_400mf`);
  if (tensor.shape.join() !== shape.join()) {
    throw new BackboneError(
      `${name} has the shape [${tensor.shape.join(', ')}] and must have [${shape.join(', ')}]; give the state dict of torchvision's regnet_x_400mf`,
    );
  }
  const values = tensor.floats();
  const odd = values.findIndex((value) => !Number.isFinite(value));
  if (odd >= 0)
    throw new BackboneError(`${name} holds ${String(values[odd])} at position ${odd}; weights must be finite`);
  return values;
}

/** Tensors of another network mean that the file is not what its user thinks it is, even if all of ours are there. */
function refuseOthers(weights: StateDict): void {
  const known = new Set(
    CONV_NORMS.flatMap(({ name }) => [
      `${name}.0.weight`,
      ...['weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked'].map((part) => `${name}.1.${part}`),
    ]),
  );
  for (const name of weights.keys()) {
    if (known.has(name) || name === 'fc.weight' || name === 'fc.bias') continue;
    throw new BackboneError(
      `the weights hold ${JSON.stringify(name.slice(0, 100))}, which regnet_x_400mf has not; give the state dict of torchvision's regnet_x_400mf`,
    );
  }
}

function product(dims: readonly number[]): number {
  return dims.reduce((total, dim) => total * dim, 1);
}
