import { OnnxFormatError } from './format-error.ts';
import type {
  OnnxAttribute,
  OnnxAttributeValue,
  OnnxDimension,
  OnnxGraph,
  OnnxMetadata,
  OnnxModel,
  OnnxNode,
  OnnxOpset,
  OnnxTensor,
  OnnxTensorType,
  OnnxValueInfo,
} from './model.ts';
import {
  bytesOf,
  count,
  fieldsOf,
  float,
  floats,
  int64,
  int64s,
  MAX_FIELDS,
  MessageWriter,
  readBudget,
  text,
  type ReadBudget,
} from './protobuf.ts';

/** Graphs inside attributes of nodes (If, Loop) inside graphs: real models stay below 5. */
const MAX_DEPTH = 32;

/**
 * Reads an ONNX file. Weights are views of `bytes`, not copies: do not overwrite it while the model is in use.
 * @param bytes a whole file, of any IR version and opset
 * @param maxFields most fields and packed values: each becomes an object, many times larger than its bytes
 * @throws OnnxFormatError if it is damaged, not an ONNX model, or hostile (too many fields, graphs nested too deep)
 */
export function parseModel(bytes: Uint8Array, maxFields = MAX_FIELDS): OnnxModel {
  const budget = readBudget(maxFields);
  const what = 'ModelProto';
  let irVersion = 0;
  let producerName = '';
  let producerVersion = '';
  let graph: OnnxGraph | undefined;
  const opsets: OnnxOpset[] = [];
  const metadata: OnnxMetadata[] = [];
  const unknown = new MessageWriter();
  for (const field of fieldsOf(bytes, what, budget)) {
    switch (field.number) {
      case 1:
        irVersion = count(field, what);
        break;
      case 2:
        producerName = text(field, what);
        break;
      case 3:
        producerVersion = text(field, what);
        break;
      case 7:
        if (graph !== undefined) throw new OnnxFormatError('ModelProto holds two graphs; there must be one');
        graph = parseGraph(bytesOf(field, what), budget, 0);
        break;
      case 8:
        opsets.push(parseOpset(bytesOf(field, what), budget));
        break;
      case 14:
        metadata.push(parseMetadata(bytesOf(field, what), budget));
        break;
      default:
        unknown.raw(field.raw);
    }
  }
  if (graph === undefined || irVersion === 0) {
    throw new OnnxFormatError(
      `not an ONNX model: ${graph === undefined ? 'no graph' : 'no IR version'} in its ${bytes.length} bytes; export the network as .onnx`,
    );
  }
  return { irVersion, opsets, producerName, producerVersion, graph, metadata, unknown: unknown.finish() };
}

/**
 * The element type and shape of a value.
 * @returns undefined if it is not a tensor or its type is not known
 * @throws OnnxFormatError
 */
export function tensorType(info: OnnxValueInfo): OnnxTensorType | undefined {
  const budget = readBudget();
  for (const field of fieldsOf(info.type, 'TypeProto', budget)) {
    if (field.number === 1) return parseTensorType(bytesOf(field, 'TypeProto'), budget);
  }
  return undefined;
}

function parseTensorType(bytes: Uint8Array, budget: ReadBudget): OnnxTensorType {
  const what = 'TypeProto.Tensor';
  let dataType = 0;
  let shape: OnnxDimension[] | undefined;
  for (const field of fieldsOf(bytes, what, budget)) {
    if (field.number === 1) dataType = count(field, what);
    if (field.number === 2) {
      shape = [];
      for (const dim of fieldsOf(bytesOf(field, what), 'TensorShapeProto', budget)) {
        if (dim.number === 1) shape.push(parseDimension(bytesOf(dim, 'TensorShapeProto'), budget));
      }
    }
  }
  return { dataType, shape };
}

function parseDimension(bytes: Uint8Array, budget: ReadBudget): OnnxDimension {
  const what = 'TensorShapeProto.Dimension';
  let dimension: OnnxDimension;
  for (const field of fieldsOf(bytes, what, budget)) {
    if (field.number === 1) {
      // Some exporters write -1 or 0 for "any size".
      const size = int64(field, what);
      dimension = size > 0n && size <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(size) : undefined;
    }
    if (field.number === 2) dimension = text(field, what);
  }
  return dimension;
}

function parseOpset(bytes: Uint8Array, budget: ReadBudget): OnnxOpset {
  const what = 'OperatorSetIdProto';
  let domain = '';
  let version = 0;
  for (const field of fieldsOf(bytes, what, budget)) {
    if (field.number === 1) domain = text(field, what);
    if (field.number === 2) version = count(field, what);
  }
  return { domain, version };
}

function parseMetadata(bytes: Uint8Array, budget: ReadBudget): OnnxMetadata {
  const what = 'StringStringEntryProto';
  let key = '';
  let value = '';
  for (const field of fieldsOf(bytes, what, budget)) {
    if (field.number === 1) key = text(field, what);
    if (field.number === 2) value = text(field, what);
  }
  return { key, value };
}

function parseGraph(bytes: Uint8Array, budget: ReadBudget, depth: number): OnnxGraph {
  if (depth > MAX_DEPTH)
    throw new OnnxFormatError(`the model nests graphs more than ${MAX_DEPTH} deep; no such model is read`);
  const what = 'GraphProto';
  let name = '';
  const nodes: OnnxNode[] = [];
  const initializers: OnnxTensor[] = [];
  const inputs: OnnxValueInfo[] = [];
  const outputs: OnnxValueInfo[] = [];
  const valueInfos: OnnxValueInfo[] = [];
  const unknown = new MessageWriter();
  for (const field of fieldsOf(bytes, what, budget)) {
    switch (field.number) {
      case 1:
        nodes.push(parseNode(bytesOf(field, what), budget, depth));
        break;
      case 2:
        name = text(field, what);
        break;
      case 5:
        initializers.push(parseTensor(bytesOf(field, what), budget));
        break;
      case 11:
        inputs.push(parseValueInfo(bytesOf(field, what), budget));
        break;
      case 12:
        outputs.push(parseValueInfo(bytesOf(field, what), budget));
        break;
      case 13:
        valueInfos.push(parseValueInfo(bytesOf(field, what), budget));
        break;
      default:
        unknown.raw(field.raw);
    }
  }
  return { name, nodes, initializers, inputs, outputs, valueInfos, unknown: unknown.finish() };
}

function parseNode(bytes: Uint8Array, budget: ReadBudget, depth: number): OnnxNode {
  const what = 'NodeProto';
  let name = '';
  let opType = '';
  let domain = '';
  const inputs: string[] = [];
  const outputs: string[] = [];
  const attributes: OnnxAttribute[] = [];
  const unknown = new MessageWriter();
  for (const field of fieldsOf(bytes, what, budget)) {
    switch (field.number) {
      case 1:
        inputs.push(text(field, what));
        break;
      case 2:
        outputs.push(text(field, what));
        break;
      case 3:
        name = text(field, what);
        break;
      case 4:
        opType = text(field, what);
        break;
      case 5:
        attributes.push(parseAttribute(bytesOf(field, what), budget, depth));
        break;
      case 7:
        domain = text(field, what);
        break;
      default:
        unknown.raw(field.raw);
    }
  }
  return { name, opType, domain, inputs, outputs, attributes, unknown: unknown.finish() };
}

/** AttributeProto.AttributeType */
const FLOAT = 1;
const INT = 2;
const STRING = 3;
const TENSOR = 4;
const GRAPH = 5;
const FLOATS = 6;
const INTS = 7;
const STRINGS = 8;
const GRAPHS = 10;

function parseAttribute(bytes: Uint8Array, budget: ReadBudget, depth: number): OnnxAttribute {
  const what = 'AttributeProto';
  let name = '';
  let type = 0;
  let valueType = 0; // the type of the value that is there, for files older than the field `type`
  let f = 0;
  let i = 0n;
  let s: Uint8Array = new Uint8Array(0);
  let t: OnnxTensor | undefined;
  let g: OnnxGraph | undefined;
  const manyFloats: number[] = [];
  const manyInts: bigint[] = [];
  const manyStrings: Uint8Array[] = [];
  const manyGraphs: OnnxGraph[] = [];
  const unknown = new MessageWriter();
  for (const field of fieldsOf(bytes, what, budget)) {
    switch (field.number) {
      case 1:
        name = text(field, what);
        break;
      case 2:
        f = float(field, what);
        valueType = FLOAT;
        break;
      case 3:
        i = int64(field, what);
        valueType = INT;
        break;
      case 4:
        s = bytesOf(field, what);
        valueType = STRING;
        break;
      case 5:
        t = parseTensor(bytesOf(field, what), budget);
        valueType = TENSOR;
        break;
      case 6:
        g = parseGraph(bytesOf(field, what), budget, depth + 1);
        valueType = GRAPH;
        break;
      case 7:
        for (const value of floats(field, what, budget)) manyFloats.push(value);
        valueType = FLOATS;
        break;
      case 8:
        for (const value of int64s(field, what, budget)) manyInts.push(value);
        valueType = INTS;
        break;
      case 9:
        manyStrings.push(bytesOf(field, what));
        valueType = STRINGS;
        break;
      case 11:
        manyGraphs.push(parseGraph(bytesOf(field, what), budget, depth + 1));
        valueType = GRAPHS;
        break;
      case 20:
        type = count(field, what);
        break;
      default:
        unknown.raw(field.raw);
    }
  }
  const value = ((): OnnxAttributeValue => {
    switch (type === 0 ? valueType : type) {
      case FLOAT:
        return { type: 'float', value: f };
      case INT:
        return { type: 'int', value: i };
      case STRING:
        return { type: 'bytes', value: s };
      case TENSOR:
        if (t === undefined) break;
        return { type: 'tensor', value: t };
      case GRAPH:
        if (g === undefined) break;
        return { type: 'graph', value: g };
      case FLOATS:
        return { type: 'floats', value: manyFloats };
      case INTS:
        return { type: 'ints', value: manyInts };
      case STRINGS:
        return { type: 'strings', value: manyStrings };
      case GRAPHS:
        return { type: 'graphs', value: manyGraphs };
      default:
        return { type: 'other', code: type };
    }
    throw new OnnxFormatError(
      `the attribute ${JSON.stringify(name)} has type ${type} and no value; the file is damaged`,
    );
  })();
  return { name, value, unknown: unknown.finish() };
}

function parseTensor(bytes: Uint8Array, budget: ReadBudget): OnnxTensor {
  const what = 'TensorProto';
  let name = '';
  let dataType = 0;
  let rawData: Uint8Array | undefined;
  let external = false;
  const dims: number[] = [];
  const unknown = new MessageWriter();
  for (const field of fieldsOf(bytes, what, budget)) {
    switch (field.number) {
      case 1:
        for (const dim of int64s(field, what, budget)) {
          if (dim < 0n || dim > BigInt(Number.MAX_SAFE_INTEGER))
            throw new OnnxFormatError(`a tensor has a dimension of ${dim}; the file is damaged`);
          dims.push(Number(dim));
        }
        break;
      case 2:
        dataType = count(field, what);
        break;
      case 8:
        name = text(field, what);
        break;
      case 9:
        rawData = bytesOf(field, what);
        break;
      case 14:
        external = count(field, what) === 1;
        unknown.raw(field.raw);
        break;
      default:
        unknown.raw(field.raw);
    }
  }
  return { name, dims, dataType, rawData, external, unknown: unknown.finish() };
}

function parseValueInfo(bytes: Uint8Array, budget: ReadBudget): OnnxValueInfo {
  const what = 'ValueInfoProto';
  let name = '';
  let type: Uint8Array = new Uint8Array(0);
  const unknown = new MessageWriter();
  for (const field of fieldsOf(bytes, what, budget)) {
    if (field.number === 1) name = text(field, what);
    else if (field.number === 2) type = bytesOf(field, what);
    else unknown.raw(field.raw);
  }
  const info = { name, type, unknown: unknown.finish() };
  tensorType(info); // so that a damaged type is found here and not later
  return info;
}
