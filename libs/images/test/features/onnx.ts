/** Small ONNX files for tests, encoded by hand (field numbers of onnx.proto). */

export type Shape = readonly (number | string)[];
export interface Value {
  readonly name: string;
  readonly shape?: Shape;
  /** TensorProto.DataType @default 1, float */
  readonly type?: number;
}
export interface Operation {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly output: string;
  readonly ints?: Readonly<Record<string, number>>;
}

/** An ONNX file (opset 17) of these nodes. */
export function onnx(
  inputs: readonly Value[],
  operations: readonly Operation[],
  outputs: readonly Value[],
): Uint8Array {
  const nodes = operations.map(({ op, inputs: from, output, ints = {} }) =>
    field(
      1,
      Buffer.concat([
        ...from.map((name) => field(1, text(name))),
        field(2, text(output)),
        field(3, text(output)),
        field(4, text(op)),
        ...Object.entries(ints).map(([name, value]) =>
          field(5, Buffer.concat([field(1, text(name)), number(3, value), number(20, 2)])),
        ),
      ]),
    ),
  );
  const graph = Buffer.concat([
    ...nodes,
    field(2, text('test')),
    ...inputs.map((value) => field(11, valueInfo(value))),
    ...outputs.map((value) => field(12, valueInfo(value))),
  ]);
  return Buffer.concat([number(1, 8), field(7, graph), field(8, Buffer.concat([field(1, text('')), number(2, 17)]))]);
}

/** `image` N x channels x height x width -> `op` -> `features`. */
export function oneStep(
  shape: Shape,
  op: string,
  outputShape: Shape,
  ints: Readonly<Record<string, number>> = {},
): Uint8Array {
  return onnx(
    [{ name: 'image', shape }],
    [{ op, inputs: ['image'], output: 'features', ints }],
    [{ name: 'features', shape: outputShape }],
  );
}

/** A model whose features are the very numbers it is given. */
export function echo(shape: Shape): Uint8Array {
  return oneStep(shape, 'Flatten', ['N', 'd'], { axis: 1 });
}

function valueInfo({ name, shape, type = 1 }: Value): Buffer {
  const dims = shape?.map((side) => field(1, typeof side === 'number' ? number(1, side) : field(2, text(side))));
  const tensor = Buffer.concat([number(1, type), ...(dims === undefined ? [] : [field(2, Buffer.concat(dims))])]);
  return Buffer.concat([field(1, text(name)), field(2, field(1, tensor))]);
}

const text = (value: string): Buffer => Buffer.from(value);
const number = (tag: number, value: number): Buffer => Buffer.concat([varint(tag << 3), varint(value)]);
const field = (tag: number, bytes: Buffer): Buffer =>
  Buffer.concat([varint((tag << 3) | 2), varint(bytes.length), bytes]);

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return Buffer.from([...bytes, value]);
}
