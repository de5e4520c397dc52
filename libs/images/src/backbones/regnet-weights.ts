import { FeatureError } from '../feature-error.ts';
import { randomReals } from './random-reals.ts';
import { CONV_NORMS, NORM_PARTS, product, weightShape, type ConvNorm } from './regnet-layers.ts';
import type { StoredTensor } from './safetensors.ts';

/** Weights by torchvision's names, e.g. what `parseSafetensors` returns. */
export type StateDict = ReadonlyMap<string, Pick<StoredTensor, 'shape' | 'floats'>>;

/** The weights of one convolution and its batch normalisation. */
export interface ConvNormWeights {
  readonly kernels: Float32Array;
  readonly norm: Readonly<Record<(typeof NORM_PARTS)[number], Float32Array>>;
}

const HINT = "give the state dict of torchvision's regnet_x_400mf";

/**
 * Reads the weights of one convolution and its normalisation.
 * @throws FeatureError `bad-weights` if a tensor is missing, has another shape or dtype, or is not finite
 */
export function readConvNorm(weights: StateDict, conv: ConvNorm): ConvNormWeights {
  const kernels = readTensor(weights, `${conv.name}.0.weight`, weightShape(conv));
  const read = (part: string): Float32Array => readTensor(weights, `${conv.name}.1.${part}`, [conv.outputs]);
  const norm = {
    weight: read('weight'),
    bias: read('bias'),
    running_mean: read('running_mean'),
    running_var: read('running_var'),
  };
  const negative = norm.running_var.find((value) => value < 0);
  if (negative !== undefined)
    throw bad(`the weights hold the variance ${negative} in ${conv.name}.1.running_var; a variance is at least 0`);
  return { kernels, norm };
}

/**
 * Refuses tensors that the network does not have: the file is not what its user takes it for, even if all tensors of
 * the network are in it. The classifier's weights (`fc.*`) are allowed.
 * @throws FeatureError `bad-weights`
 */
export function refuseForeignTensors(weights: StateDict): void {
  const names = new Set(['fc.weight', 'fc.bias']);
  for (const { name } of CONV_NORMS) {
    names.add(`${name}.0.weight`);
    for (const part of [...NORM_PARTS, 'num_batches_tracked']) names.add(`${name}.1.${part}`);
  }
  for (const name of weights.keys()) {
    if (!names.has(name))
      throw bad(`the weights hold ${JSON.stringify(name.slice(0, 100))}, which regnet_x_400mf has not; ${HINT}`);
  }
}

/**
 * Seeded random weights of the right names and shapes, for tests and measurements: convolutions as torchvision draws
 * them, batch normalisations with statistics that are not trivial. The features have no meaning.
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

function readTensor(weights: StateDict, name: string, shape: readonly number[]): Float32Array {
  const tensor = weights.get(name);
  if (tensor === undefined) throw bad(`the weights lack ${name}; ${HINT}`);
  if (tensor.shape.join() !== shape.join())
    throw bad(`${name} has the shape [${tensor.shape.join(', ')}] and must have [${shape.join(', ')}]; ${HINT}`);
  const values = tensor.floats();
  const odd = values.findIndex((value) => !Number.isFinite(value));
  if (odd >= 0) throw bad(`${name} holds ${String(values[odd])} at position ${odd}; weights must be finite`);
  return values;
}

function bad(message: string): FeatureError {
  return new FeatureError('bad-weights', message);
}
