import type { OnnxDimension } from './build.ts';
import type { ValueInfoProto } from './onnx_pb.ts';

export interface TensorType {
  /** A number of TensorProto.DataType. */
  readonly dataType: number;
  /** Undefined if not even the rank is known. */
  readonly shape: readonly OnnxDimension[] | undefined;
}

/** The element type and shape of a value; undefined if there is none, or the value is not a tensor. */
export function tensorType(info: ValueInfoProto | undefined): TensorType | undefined {
  const type = info?.type?.tensorType;
  if (type === undefined) return undefined;
  return { dataType: type.elemType, shape: type.shape?.dim.map(({ value }) => dimension(value)) };
}

function dimension(value: { case?: string | undefined; value?: bigint | string | undefined }): OnnxDimension {
  if (typeof value.value !== 'bigint') return value.value;
  // Some exporters write -1 or 0 for "any size".
  return value.value > 0n && value.value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value.value) : undefined;
}
