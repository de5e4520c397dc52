import { tensorTypeBytes } from './encode.ts';
import {
  DATA_TYPES,
  type OnnxAttribute,
  type OnnxDimension,
  type OnnxGraph,
  type OnnxModel,
  type OnnxNode,
  type OnnxTensor,
  type OnnxValueInfo,
} from './model.ts';
import { dataView, floatBytes } from './protobuf.ts';

/** The IR version of the models written here; onnxruntime reads it since 1.10. */
export const IR_VERSION = 8;

/** The version of ONNX's operators the models written here use. */
export const OPSET_VERSION = 17;

const NOTHING = new Uint8Array(0);

/** An attribute's value: a whole number becomes an int, a text a string, a list of whole numbers ints; see {@link float32}. */
export type AttributeInput = number | string | readonly number[] | OnnxAttribute['value'];

/**
 * A node.
 * @param opType an operator of ONNX's own domain
 * @param name also the name of its output, unless `outputs` says otherwise
 */
export function node(
  opType: string,
  inputs: readonly string[],
  name: string,
  attributes: Readonly<Record<string, AttributeInput>> = {},
): OnnxNode {
  return {
    name,
    opType,
    domain: '',
    inputs,
    outputs: [name],
    attributes: Object.entries(attributes).map(([key, value]) => ({
      name: key,
      value: attributeValue(value),
      unknown: NOTHING,
    })),
    unknown: NOTHING,
  };
}

/** A float attribute: a plain number would become an int. */
export function float32(value: number): OnnxAttribute['value'] {
  return { type: 'float', value };
}

/**
 * A tensor of 32-bit floats.
 * @param dims its shape, row-major
 * @throws RangeError if the shape and the number of values differ
 */
export function floatTensor(name: string, dims: readonly number[], values: ArrayLike<number>): OnnxTensor {
  requireSize(name, dims, values.length);
  return { name, dims, dataType: DATA_TYPES.float, rawData: floatBytes(values), external: false, unknown: NOTHING };
}

/** A tensor of 64-bit integers, such as axes and shapes. @throws RangeError as {@link floatTensor} */
export function int64Tensor(name: string, dims: readonly number[], values: readonly number[]): OnnxTensor {
  requireSize(name, dims, values.length);
  const rawData = new Uint8Array(8 * values.length);
  values.forEach((value, i) => dataView(rawData).setBigInt64(8 * i, BigInt(value), true));
  return { name, dims, dataType: DATA_TYPES.int64, rawData, external: false, unknown: NOTHING };
}

/** The type of an input or output: a tensor of 32-bit floats unless `dataType` says otherwise. */
export function valueInfo(
  name: string,
  shape: readonly OnnxDimension[],
  dataType: number = DATA_TYPES.float,
): OnnxValueInfo {
  return { name, type: tensorTypeBytes({ dataType, shape }), unknown: NOTHING };
}

/** A model around a graph, in {@link IR_VERSION} and {@link OPSET_VERSION}. */
export function model(graph: Pick<OnnxGraph, 'name' | 'nodes' | 'initializers' | 'inputs' | 'outputs'>): OnnxModel {
  return {
    irVersion: IR_VERSION,
    opsets: [{ domain: '', version: OPSET_VERSION }],
    producerName: 'blindfit',
    producerVersion: '',
    graph: { ...graph, valueInfos: [], unknown: NOTHING },
    metadata: [],
    unknown: NOTHING,
  };
}

function attributeValue(input: AttributeInput): OnnxAttribute['value'] {
  if (typeof input === 'number') return { type: 'int', value: BigInt(input) };
  if (typeof input === 'string') return { type: 'bytes', value: new TextEncoder().encode(input) };
  if ('type' in input) return input;
  return { type: 'ints', value: input.map(BigInt) };
}

function requireSize(name: string, dims: readonly number[], size: number): void {
  const expected = dims.reduce((product, dim) => product * dim, 1);
  if (expected !== size)
    throw new RangeError(`the tensor ${name} of shape [${dims.join(', ')}] needs ${expected} values and has ${size}`);
}
