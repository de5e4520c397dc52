/** Whether and how a model turns images into features, according to the inputs and outputs that its file names. */
import { at } from '@blindfit/base';
import { FeatureError } from '../feature-error.ts';
import type { FeatureModel } from './backbone.ts';
import type { ValueInfo } from './inference-messages.ts';
import { CHANNEL_ORDERS, type ChannelOrder, type ImagePreprocessing } from './tensor.ts';

/** A side of more pixels than this is a mistake. */
const MAX_SIZE = 4096;

export interface ModelInterface {
  readonly preprocessing: ImagePreprocessing;
  /** The only batch size the model takes; undefined if it takes any. */
  readonly fixedBatch: number | undefined;
  /** Name of the output that holds the features. */
  readonly output: string;
}

/**
 * Determines how images are prepared for a model, and which output holds the features.
 * @param output the output asked for, if any
 * @throws FeatureError `bad-model`, `bad-argument` or `unknown-output`
 */
export function interfaceOf(
  model: FeatureModel,
  inputs: readonly ValueInfo[],
  outputs: readonly ValueInfo[],
  output?: string,
): ModelInterface {
  const { name } = model;
  const bad = (message: string): FeatureError => new FeatureError('bad-model', `${name} ${message}`);
  const [input] = inputs;
  if (input === undefined || inputs.length > 1)
    throw bad(
      `has ${inputs.length} inputs (${inputs.map(describe).join('; ')}); a backbone takes images and nothing else`,
    );
  if (input.type !== 'float32')
    throw bad(`takes ${describe(input)}; a backbone takes 32-bit floats: convert the model`);
  const [batch, planes, height, width] = input.shape;
  if (
    input.shape.length !== 4 ||
    batch === undefined ||
    planes === undefined ||
    height === undefined ||
    width === undefined
  ) {
    throw bad(`takes ${describe(input)}; a backbone takes images of shape N x channels x height x width`);
  }
  if (typeof batch === 'number' && batch < 1) throw bad(`takes batches of ${batch} images`);
  const preprocessing = { ...channelsOf(model, input, planes), size: sizeOf(model, input, height, width) };
  return {
    preprocessing,
    fixedBatch: typeof batch === 'number' ? batch : undefined,
    output: outputOf(name, outputs, output),
  };
}

function sizeOf(
  { name, size }: FeatureModel,
  input: ValueInfo,
  height: number | string,
  width: number | string,
): number {
  if (size !== undefined && (!Number.isSafeInteger(size) || size < 1 || size > MAX_SIZE)) {
    throw new FeatureError(
      'bad-argument',
      `the size of the images must be a whole number from 1 to ${MAX_SIZE} pixels; got ${size}`,
    );
  }
  if (typeof height === 'number' && typeof width === 'number' && height !== width) {
    throw new FeatureError(
      'bad-model',
      `${name} takes ${describe(input)}; only square images can be made for it: export it with equal height and width`,
    );
  }
  const fixed = [height, width].find((side) => typeof side === 'number');
  if (fixed === undefined) {
    if (size !== undefined) return size;
    throw new FeatureError(
      'bad-argument',
      `${name} takes ${describe(input)}, so height and width are open; ` +
        'say with `size` which it was trained for, often 224',
    );
  }
  if (fixed < 1 || fixed > MAX_SIZE)
    throw new FeatureError('bad-model', `${name} takes ${describe(input)}; sides must be 1 to ${MAX_SIZE} pixels`);
  if (size !== undefined && size !== fixed) {
    throw new FeatureError(
      'bad-argument',
      `${name} takes ${describe(input)}, so the size is ${fixed} and cannot be ${size}; leave out \`size\``,
    );
  }
  return fixed;
}

function channelsOf(
  { name, channels, mean, std }: FeatureModel,
  input: ValueInfo,
  planes: number | string,
): Omit<ImagePreprocessing, 'size'> {
  if (channels !== undefined && !CHANNEL_ORDERS.includes(channels)) {
    throw new FeatureError(
      'bad-argument',
      `the channels cannot be ${JSON.stringify(channels)}; allowed are ${CHANNEL_ORDERS.join(', ')}`,
    );
  }
  if (typeof planes === 'string' && channels === undefined) {
    throw new FeatureError(
      'bad-argument',
      `${name} takes ${describe(input)}, so the channels are open; ` +
        `say with \`channels\` which they are: ${CHANNEL_ORDERS.join(', ')}`,
    );
  }
  const count = typeof planes === 'number' ? planes : channels === 'grey' ? 1 : 3;
  if (count !== 1 && count !== 3) {
    const last = input.shape.at(-1);
    const hint =
      last === 1 || last === 3
        ? 'the channels seem to come last: export the model with channels first (N x channels x height x width)'
        : 'images have 1 channel (grey) or 3';
    throw new FeatureError('bad-model', `${name} takes ${describe(input)}; ${hint}`);
  }
  const order: ChannelOrder = channels ?? (count === 1 ? 'grey' : 'rgb');
  if (count === 1 && order !== 'grey')
    throw new FeatureError(
      'bad-argument',
      `${name} takes grey images (${describe(input)}), so its channels cannot be ${order}`,
    );
  return { planes: count, order, mean: perPlane('mean', mean ?? [0], count), std: perPlane('std', std ?? [1], count) };
}

function perPlane(what: 'mean' | 'std', values: readonly number[], count: number): readonly number[] {
  if (values.length !== 1 && values.length !== count) {
    throw new FeatureError(
      'bad-argument',
      `there are ${values.length} values of ${what} and ${count} channel${count === 1 ? '' : 's'}; ` +
        'give one value, or one per channel',
    );
  }
  const wrong = values.find((value) => !Number.isFinite(value) || (what === 'std' && value <= 0));
  if (wrong !== undefined)
    throw new FeatureError(
      'bad-argument',
      `${what} cannot be ${wrong}; allowed are ${what === 'std' ? 'positive' : 'finite'} numbers`,
    );
  return Array.from({ length: count }, (_, c) => at(values, values.length === 1 ? 0 : c, what));
}

function outputOf(name: string, outputs: readonly ValueInfo[], wanted: string | undefined): string {
  const choices = `the outputs of ${name} are ${outputs.map(describe).join('; ')}`;
  const [only] = outputs;
  if (wanted === undefined && outputs.length !== 1)
    throw new FeatureError('unknown-output', `${choices}; choose the features with \`output\``);
  const chosen = wanted === undefined ? only : outputs.find((output) => output.name === wanted);
  if (chosen === undefined)
    throw new FeatureError('unknown-output', `there is no output ${JSON.stringify(wanted)}; ${choices}`);
  const { shape, type } = chosen;
  if (type !== 'float32')
    throw new FeatureError('bad-model', `the output ${describe(chosen)} of ${name} does not hold 32-bit floats`);
  // An empty shape means that the file does not say; the first batch will.
  if (shape.length > 0) requireFeatureShape(name, chosen.name, shape);
  return chosen.name;
}

/**
 * Checks the shape of features: N x d, or N x d x height x width, which is averaged over space.
 * @throws FeatureError `bad-model`
 */
export function requireFeatureShape(name: string, output: string, shape: readonly (number | string)[]): void {
  if (shape.length === 2 || shape.length === 4) return;
  throw new FeatureError(
    'bad-model',
    `the output ${output} of ${name} has the shape ${shape.join(' x ')}; ` +
      'features are N x d, or N x d x height x width, which is averaged over space',
  );
}

function describe({ name, type, shape }: ValueInfo): string {
  const sizes = shape.map((side) => (side === '' ? '?' : side)).join(' x ');
  return `"${name}" (${type ?? 'no tensor'}${sizes === '' ? ', shape unknown' : ` ${sizes}`})`;
}
