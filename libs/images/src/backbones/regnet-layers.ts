/** The layers of torchvision's `regnet_x_400mf`, and the names and shapes of their weights. */
import { at } from '@blindfit/base';

const STEM_WIDTH = 32;
const WIDTHS = [32, 64, 160, 400] as const;
const DEPTHS = [1, 2, 7, 12] as const;
const GROUP_WIDTH = 16;

/** A convolution and the batch normalisation after it; all weights of the network are in these. */
export interface ConvNorm {
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

export const STEM: ConvNorm = { name: 'stem', inputs: 3, outputs: STEM_WIDTH, kernel: 3, stride: 2, groups: 1 };

export const BLOCKS: readonly Block[] = WIDTHS.flatMap((width, stage) =>
  Array.from({ length: at(DEPTHS, stage, 'depths') }, (_, depth) => {
    const name = `trunk_output.block${stage + 1}.block${stage + 1}-${depth}`;
    if (depth > 0) return block(name, width, width, 1);
    return block(name, stage === 0 ? STEM_WIDTH : at(WIDTHS, stage - 1, 'widths'), width, 2);
  }),
);

export const CONV_NORMS: readonly ConvNorm[] = [
  STEM,
  ...BLOCKS.flatMap(({ a, b, c, projection }) => [...(projection === undefined ? [] : [projection]), a, b, c]),
];

/** The parts of a batch normalisation, as torchvision names them. */
export const NORM_PARTS = ['weight', 'bias', 'running_mean', 'running_var'] as const;

/** Trainable numbers of the network without its classifier: torchvision's count less 401,000. */
export const REGNET_PARAMETERS = CONV_NORMS.reduce(
  (total, conv) => total + product(weightShape(conv)) + 2 * conv.outputs,
  0,
);

/** The shape of a convolution's weights: outputs x inputs of a group x height x width. */
export function weightShape({ inputs, outputs, groups, kernel }: ConvNorm): readonly number[] {
  return [outputs, inputs / groups, kernel, kernel];
}

export function product(dims: readonly number[]): number {
  return dims.reduce((total, dim) => total * dim, 1);
}

function block(name: string, inputs: number, outputs: number, stride: 1 | 2): Block {
  const project = inputs !== outputs || stride !== 1;
  return {
    name,
    a: { name: `${name}.f.a`, inputs, outputs, kernel: 1, stride: 1, groups: 1 },
    b: { name: `${name}.f.b`, inputs: outputs, outputs, kernel: 3, stride, groups: outputs / GROUP_WIDTH },
    c: { name: `${name}.f.c`, inputs: outputs, outputs, kernel: 1, stride: 1, groups: 1 },
    projection: project ? { name: `${name}.proj`, inputs, outputs, kernel: 1, stride, groups: 1 } : undefined,
  };
}
