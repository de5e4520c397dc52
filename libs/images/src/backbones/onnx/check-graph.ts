/** What the schema of ONNX cannot say about a graph, checked after decoding. */
import { FeatureError } from '../../feature-error.ts';
import { DAMAGED } from './budget.ts';
import type { AttributeProto, GraphProto, TensorProto } from './onnx_pb.ts';

// Values of AttributeProto.AttributeType.
const TENSOR = 4;
const GRAPH = 5;

/**
 * Looks at every tensor and attribute of a graph, and of the graphs inside it.
 * @throws FeatureError `bad-model` for a dimension below 0 or above 2^53 - 1, and for an attribute whose type names a
 * tensor or a graph that it does not hold
 */
export function checkGraph({ node, initializer }: GraphProto): void {
  for (const tensor of initializer) checkTensor(tensor);
  for (const { attribute } of node) for (const each of attribute) checkAttribute(each);
}

function checkAttribute({ name, type, t, g, graphs }: AttributeProto): void {
  if ((type === TENSOR && t === undefined) || (type === GRAPH && g === undefined))
    throw new FeatureError(
      'bad-model',
      `the attribute ${JSON.stringify(name)} has type ${type} and no value${DAMAGED}`,
    );
  if (t !== undefined) checkTensor(t);
  if (g !== undefined) checkGraph(g);
  for (const graph of graphs) checkGraph(graph);
}

function checkTensor({ dims }: TensorProto): void {
  for (const dim of dims)
    if (dim < 0n || dim > BigInt(Number.MAX_SAFE_INTEGER))
      throw new FeatureError('bad-model', `a tensor has a dimension of ${dim}${DAMAGED}`);
}
