import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { messageOf } from '@blindfit/base';
import { FeatureError } from '../../feature-error.ts';
import { checkBudget, DAMAGED, MAX_FIELDS, MAX_MESSAGES } from './budget.ts';
import { checkGraph } from './check-graph.ts';
import { ModelProtoSchema, type GraphProto, type ModelProto } from './onnx_pb.ts';

/** A model that has a graph. */
export type OnnxModel = ModelProto & { graph: GraphProto };

/**
 * Reads an ONNX file. Weights are views of `bytes`, not copies: do not overwrite it while the model is in use.
 * @param bytes a whole file, of any IR version and opset
 * @param maxFields most fields and packed values: each becomes an object, many times larger than its bytes
 * @throws FeatureError `bad-model` if it is damaged, not an ONNX model, or hostile (too many fields, nested too deep)
 */
export function parseModel(bytes: Uint8Array, maxFields = MAX_FIELDS): OnnxModel {
  const { graph, ...model } = decode(bytes, maxFields);
  if (graph !== undefined && model.irVersion > 0n) {
    checkGraph(graph);
    return { ...model, graph };
  }
  throw new FeatureError(
    'bad-model',
    `not an ONNX model: ${graph === undefined ? 'no graph' : 'no IR version'} in its ${bytes.length} bytes; ` +
      'export the network as .onnx',
  );
}

/** Writes a model as an ONNX file: fields in the order of their numbers, then those that the schema does not name. */
export function encodeModel(model: ModelProto): Uint8Array {
  return toBinary(ModelProtoSchema, model);
}

function decode(bytes: Uint8Array, maxFields: number): ModelProto {
  try {
    checkBudget(ModelProtoSchema, bytes, maxFields);
    return fromBinary(ModelProtoSchema, bytes, { recursionLimit: MAX_MESSAGES });
  } catch (error) {
    if (error instanceof FeatureError) throw error;
    throw new FeatureError('bad-model', `${messageOf(error)}${DAMAGED}`, { cause: error });
  }
}
