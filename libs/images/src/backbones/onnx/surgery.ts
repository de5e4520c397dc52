import type { AttributeProto, GraphProto, NodeProto, TensorProto } from './onnx_pb.ts';

/** Value of TensorProto.data_location for a tensor whose values are in another file. */
const EXTERNAL = 1;

/** All names of values and nodes in a graph, including those of graphs inside its nodes. */
export function namesIn(graph: GraphProto): ReadonlySet<string> {
  const names = new Set<string>();
  for (const { name } of [...graph.input, ...graph.output, ...graph.initializer, ...graph.valueInfo]) names.add(name);
  for (const node of graph.node) {
    for (const name of [node.name, ...node.input, ...node.output]) names.add(name);
    for (const inner of innerGraphs(node)) for (const name of namesIn(inner)) names.add(name);
  }
  names.delete('');
  return names;
}

/** A prefix that none of the `taken` names starts with: `wish`, or `wish` with a number. */
export function freshPrefix(wish: string, taken: ReadonlySet<string>): string {
  for (let i = 1; ; i++) {
    const prefix = i === 1 ? wish : `${wish}${i}_`;
    if (![...taken].some((name) => name.startsWith(prefix))) return prefix;
  }
}

/**
 * Renames values in a graph and in the graphs inside its nodes: ONNX allows no name twice. Nodes of these names are
 * renamed, too: their names must differ as well, and are often those of their outputs.
 */
export function renameValues(graph: GraphProto, names: ReadonlyMap<string, string>): GraphProto {
  const rename = (name: string): string => names.get(name) ?? name;
  const renamed = <T extends { name: string }>(items: readonly T[]): T[] =>
    items.map((item) => ({ ...item, name: rename(item.name) }));
  const inner = ({ g, graphs, ...attribute }: AttributeProto): AttributeProto => ({
    ...attribute,
    g: g && renameValues(g, names),
    graphs: graphs.map((graph) => renameValues(graph, names)),
  });
  return {
    ...graph,
    input: renamed(graph.input),
    output: renamed(graph.output),
    initializer: renamed(graph.initializer),
    valueInfo: renamed(graph.valueInfo),
    node: graph.node.map((node) => ({
      ...node,
      name: rename(node.name),
      input: node.input.map(rename),
      output: node.output.map(rename),
      attribute: node.attribute.map(inner),
    })),
  };
}

/**
 * The part of a graph that one value depends on: nodes, initialisers, inputs that are not initialisers.
 * Its only output is that value's entry among the graph's outputs or inner values, if it has one.
 */
export function graphOf(graph: GraphProto, value: string): GraphProto {
  const needed = new Set([value]);
  const nodes: NodeProto[] = [];
  // Backwards, because a node comes after all nodes that it depends on.
  for (const node of graph.node.toReversed()) {
    if (!node.output.some((name) => needed.has(name))) continue;
    nodes.push(node);
    for (const name of node.input) needed.add(name);
    for (const inner of innerGraphs(node)) for (const name of namesIn(inner)) needed.add(name);
  }
  nodes.reverse();
  const constants = new Set(graph.initializer.map(({ name }) => name));
  const computed = new Set(nodes.flatMap(({ output }) => output));
  return {
    ...graph,
    node: nodes,
    initializer: graph.initializer.filter(({ name }) => needed.has(name)),
    input: graph.input.filter(({ name }) => needed.has(name) && !constants.has(name)),
    output: [...graph.output, ...graph.valueInfo].filter(({ name }) => name === value).slice(0, 1),
    valueInfo: graph.valueInfo.filter(({ name }) => computed.has(name) && name !== value),
  };
}

/** The tensors of a graph whose values are in another file. */
export function externalTensors(graph: GraphProto): TensorProto[] {
  const attributes = graph.node.flatMap(({ attribute }) => attribute.flatMap(({ t }) => t ?? []));
  return [
    ...[...graph.initializer, ...attributes].filter(({ dataLocation }) => dataLocation === EXTERNAL),
    ...graph.node.flatMap(innerGraphs).flatMap(externalTensors),
  ];
}

function innerGraphs({ attribute }: NodeProto): readonly GraphProto[] {
  return attribute.flatMap(({ g, graphs }) => [...(g === undefined ? [] : [g]), ...graphs]);
}
