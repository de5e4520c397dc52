import type {
  OnnxAttribute,
  OnnxGraph,
  OnnxModel,
  OnnxNode,
  OnnxTensor,
  OnnxTensorType,
  OnnxValueInfo,
} from './model.ts';
import { MessageWriter } from './protobuf.ts';

/** Writes a model as an ONNX file (protobuf, fields in the order of their numbers where the format leaves a choice). */
export function encodeModel(model: OnnxModel): Uint8Array {
  const writer = new MessageWriter()
    .int64(1, model.irVersion)
    .text(2, model.producerName)
    .text(3, model.producerVersion);
  writer.message(7, graphWriter(model.graph));
  for (const { domain, version } of model.opsets)
    writer.message(8, new MessageWriter().text(1, domain).int64(2, version));
  for (const { key, value } of model.metadata) writer.message(14, new MessageWriter().text(1, key).text(2, value));
  return writer.raw(model.unknown).finish();
}

/** The bytes of a TypeProto for a tensor, as {@link OnnxValueInfo} holds them. */
export function tensorTypeBytes({ dataType, shape }: OnnxTensorType): Uint8Array {
  const tensor = new MessageWriter().int64(1, dataType);
  if (shape !== undefined) {
    const dims = new MessageWriter();
    for (const dimension of shape) {
      const dim = new MessageWriter();
      if (typeof dimension === 'number') dim.int64(1, dimension);
      if (typeof dimension === 'string') dim.text(2, dimension);
      dims.message(1, dim);
    }
    tensor.message(2, dims);
  }
  return new MessageWriter().message(1, tensor).finish();
}

function graphWriter(graph: OnnxGraph): MessageWriter {
  const writer = new MessageWriter();
  for (const node of graph.nodes) writer.message(1, nodeWriter(node));
  writer.text(2, graph.name);
  for (const tensor of graph.initializers) writer.message(5, tensorWriter(tensor));
  for (const input of graph.inputs) writer.message(11, valueInfoWriter(input));
  for (const output of graph.outputs) writer.message(12, valueInfoWriter(output));
  for (const info of graph.valueInfos) writer.message(13, valueInfoWriter(info));
  return writer.raw(graph.unknown);
}

function nodeWriter(node: OnnxNode): MessageWriter {
  const writer = new MessageWriter();
  // Not `text`: an input that is left out is an empty string that must be there.
  for (const input of node.inputs) writer.bytes(1, new TextEncoder().encode(input));
  for (const output of node.outputs) writer.bytes(2, new TextEncoder().encode(output));
  writer.text(3, node.name).text(4, node.opType);
  for (const attribute of node.attributes) writer.message(5, attributeWriter(attribute));
  return writer.text(7, node.domain).raw(node.unknown);
}

function attributeWriter({ name, value, unknown }: OnnxAttribute): MessageWriter {
  const writer = new MessageWriter().text(1, name);
  switch (value.type) {
    case 'float':
      writer.float(2, value.value).int64(20, 1);
      break;
    case 'int':
      writer.int64(3, value.value).int64(20, 2);
      break;
    case 'bytes':
      writer.bytes(4, value.value).int64(20, 3);
      break;
    case 'tensor':
      writer.message(5, tensorWriter(value.value)).int64(20, 4);
      break;
    case 'graph':
      writer.message(6, graphWriter(value.value)).int64(20, 5);
      break;
    case 'floats':
      writer.floats(7, value.value).int64(20, 6);
      break;
    case 'ints':
      writer.int64s(8, value.value).int64(20, 7);
      break;
    case 'strings':
      for (const item of value.value) writer.bytes(9, item);
      writer.int64(20, 8);
      break;
    case 'graphs':
      for (const item of value.value) writer.message(11, graphWriter(item));
      writer.int64(20, 10);
      break;
    case 'other':
      if (value.code !== 0) writer.int64(20, value.code);
      break;
  }
  return writer.raw(unknown);
}

function tensorWriter(tensor: OnnxTensor): MessageWriter {
  const writer = new MessageWriter().int64s(1, tensor.dims).int64(2, tensor.dataType).text(8, tensor.name);
  if (tensor.rawData !== undefined) writer.bytes(9, tensor.rawData);
  return writer.raw(tensor.unknown);
}

function valueInfoWriter(info: OnnxValueInfo): MessageWriter {
  const writer = new MessageWriter().text(1, info.name);
  if (info.type.length > 0) writer.bytes(2, info.type);
  return writer.raw(info.unknown);
}
