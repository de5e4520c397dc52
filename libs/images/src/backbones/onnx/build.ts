/** Makers of the parts of an ONNX model. */
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { OnnxModel } from './model-file.ts';
import {
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProtoSchema,
  ValueInfoProtoSchema,
  type AttributeProtoSchema,
  type NodeProto,
  type TensorProto,
  type ValueInfoProto,
} from './onnx_pb.ts';

/** The IR version of the models written here; onnxruntime reads it since 1.10. */
const IR_VERSION = 8n;
/** The version of ONNX's operators that the models written here use. */
const OPSET_VERSION = 17n;

/** Numbers of the element types (TensorProto.DataType) used here. */
export const DATA_TYPES = { float: 1, int64: 7 } as const;
/** Numbers of the kinds of attributes (AttributeProto.AttributeType) written here. */
const ATTRIBUTE_TYPES = { float: 1, int: 2, ints: 7 } as const;

/** One dimension of a shape: a size, the name of a size that varies, or undefined if nothing is known. */
export type OnnxDimension = number | string | undefined;

type AttributeInit = MessageInitShape<typeof AttributeProtoSchema>;

/** An attribute's value: a whole number becomes an int, a list of whole numbers ints; see {@link float32}. */
export type AttributeInput = number | readonly number[] | AttributeInit;

/**
 * A node of one output.
 * @param opType an operator of ONNX's own domain
 * @param name also the name of its output
 */
export function node(
  opType: string,
  inputs: readonly string[],
  name: string,
  attributes: Readonly<Record<string, AttributeInput>> = {},
): NodeProto {
  return create(NodeProtoSchema, {
    name,
    opType,
    input: [...inputs],
    output: [name],
    attribute: Object.entries(attributes).map(([key, value]) => ({ ...attribute(value), name: key })),
  });
}

/** A float attribute: a plain number would become an int. */
export function float32(value: number): AttributeInit {
  return { type: ATTRIBUTE_TYPES.float, f: value };
}

/**
 * A tensor of 32-bit floats.
 * @param dims its shape, row-major
 * @throws RangeError if the shape and the number of values differ
 */
export function floatTensor(name: string, dims: readonly number[], values: ArrayLike<number>): TensorProto {
  const view = new DataView(new ArrayBuffer(4 * values.length));
  for (let i = 0; i < values.length; i++) view.setFloat32(4 * i, values[i]!, true);
  return tensor(name, DATA_TYPES.float, dims, values.length, view);
}

/** A tensor of 64-bit integers, such as axes and shapes. @throws RangeError as {@link floatTensor} */
export function int64Tensor(name: string, dims: readonly number[], values: readonly number[]): TensorProto {
  const view = new DataView(new ArrayBuffer(8 * values.length));
  values.forEach((value, i) => view.setBigInt64(8 * i, BigInt(value), true));
  return tensor(name, DATA_TYPES.int64, dims, values.length, view);
}

/** The name and type of an input or output: a tensor of 32-bit floats unless `dataType` says otherwise. */
export function valueInfo(
  name: string,
  shape: readonly OnnxDimension[],
  dataType: number = DATA_TYPES.float,
): ValueInfoProto {
  return create(ValueInfoProtoSchema, {
    name,
    type: {
      tensorType: { elemType: dataType, shape: { dim: shape.map((dimension) => ({ value: size(dimension) })) } },
    },
  });
}

/** A model around a graph, in {@link IR_VERSION} and {@link OPSET_VERSION}. */
export function model(graph: MessageInitShape<typeof GraphProtoSchema>): OnnxModel {
  return {
    ...create(ModelProtoSchema, {
      irVersion: IR_VERSION,
      opsetImport: [{ version: OPSET_VERSION }],
      producerName: 'blindfit',
    }),
    graph: create(GraphProtoSchema, graph),
  };
}

function attribute(input: AttributeInput): AttributeInit {
  if (typeof input === 'number') return { type: ATTRIBUTE_TYPES.int, i: BigInt(input) };
  return 'type' in input ? input : { type: ATTRIBUTE_TYPES.ints, ints: (input as readonly number[]).map(BigInt) };
}

function size(
  dimension: OnnxDimension,
): { case: 'dimValue'; value: bigint } | { case: 'dimParam'; value: string } | { case: undefined } {
  if (dimension === undefined) return { case: undefined };
  return typeof dimension === 'number'
    ? { case: 'dimValue', value: BigInt(dimension) }
    : { case: 'dimParam', value: dimension };
}

function tensor(
  name: string,
  dataType: number,
  dims: readonly number[],
  count: number,
  view: DataView<ArrayBuffer>,
): TensorProto {
  const expected = dims.reduce((product, dim) => product * dim, 1);
  if (expected !== count)
    throw new RangeError(`the tensor ${name} of shape [${dims.join(', ')}] needs ${expected} values and has ${count}`);
  return create(TensorProtoSchema, { name, dims: dims.map(BigInt), dataType, rawData: new Uint8Array(view.buffer) });
}
