/**
 * The part of ONNX's messages this package works on (onnx.proto: ModelProto and what it holds). Fields it does not know
 * are kept in `unknown`, with their tags, and written back as they were: functions, training graphs, quantisation notes.
 */
export interface OnnxModel {
  /** Version of the file format, e.g. 8. */
  readonly irVersion: number;
  readonly opsets: readonly OnnxOpset[];
  readonly producerName: string;
  readonly producerVersion: string;
  readonly graph: OnnxGraph;
  readonly metadata: readonly OnnxMetadata[];
  readonly unknown: Uint8Array;
}

/** A set of operators; the domain '' is ONNX's own. */
export interface OnnxOpset {
  readonly domain: string;
  readonly version: number;
}

export interface OnnxMetadata {
  readonly key: string;
  readonly value: string;
}

export interface OnnxGraph {
  readonly name: string;
  /** In an order in which they can be computed. */
  readonly nodes: readonly OnnxNode[];
  readonly initializers: readonly OnnxTensor[];
  /** May name initialisers too: before IR version 4 it must. */
  readonly inputs: readonly OnnxValueInfo[];
  readonly outputs: readonly OnnxValueInfo[];
  /** Types of inner values, as far as the exporter wrote them. */
  readonly valueInfos: readonly OnnxValueInfo[];
  readonly unknown: Uint8Array;
}

export interface OnnxNode {
  readonly name: string;
  readonly opType: string;
  readonly domain: string;
  /** Value names; '' for an optional input that is left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: readonly OnnxAttribute[];
  readonly unknown: Uint8Array;
}

export interface OnnxAttribute {
  readonly name: string;
  readonly value: OnnxAttributeValue;
  readonly unknown: Uint8Array;
}

export type OnnxAttributeValue =
  | { readonly type: 'float'; readonly value: number }
  | { readonly type: 'int'; readonly value: bigint }
  | { readonly type: 'bytes'; readonly value: Uint8Array }
  | { readonly type: 'tensor'; readonly value: OnnxTensor }
  | { readonly type: 'graph'; readonly value: OnnxGraph }
  | { readonly type: 'floats'; readonly value: readonly number[] }
  | { readonly type: 'ints'; readonly value: readonly bigint[] }
  | { readonly type: 'strings'; readonly value: readonly Uint8Array[] }
  | { readonly type: 'graphs'; readonly value: readonly OnnxGraph[] }
  /** Any other kind: its number, and its fields in the attribute's `unknown`. */
  | { readonly type: 'other'; readonly code: number };

export interface OnnxTensor {
  readonly name: string;
  readonly dims: readonly number[];
  /** One of {@link DATA_TYPES}, or a newer one. */
  readonly dataType: number;
  /** Row-major, little-endian values; undefined if the file keeps them in typed fields (then in `unknown`) or elsewhere. */
  readonly rawData: Uint8Array | undefined;
  /** Whether the values lie in another file. */
  readonly external: boolean;
  readonly unknown: Uint8Array;
}

export interface OnnxValueInfo {
  readonly name: string;
  /** The TypeProto as bytes; read it with `tensorType`, write one with `tensorTypeBytes`. Empty if there is none. */
  readonly type: Uint8Array;
  readonly unknown: Uint8Array;
}

/** One dimension of a shape: a size, the name of a size that varies, or undefined if nothing is known. */
export type OnnxDimension = number | string | undefined;

export interface OnnxTensorType {
  /** One of {@link DATA_TYPES}, or a newer one. */
  readonly dataType: number;
  /** Undefined if not even the rank is known. */
  readonly shape: readonly OnnxDimension[] | undefined;
}

/** Numbers of the element types (TensorProto.DataType) used here. */
export const DATA_TYPES = { float: 1, int64: 7 } as const;
