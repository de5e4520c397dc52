import type { OnnxAttributeValue, OnnxGraph, OnnxNode, OnnxTensor } from './model.ts';

/** All names of values and nodes in a graph, those of graphs inside its nodes included. */
export function namesIn(graph: OnnxGraph): ReadonlySet<string> {
  const names = new Set<string>();
  for (const { name } of [...graph.inputs, ...graph.outputs, ...graph.initializers, ...graph.valueInfos])
    names.add(name);
  for (const node of graph.nodes) {
    for (const name of [node.name, ...node.inputs, ...node.outputs]) names.add(name);
    for (const inner of innerGraphs(node)) for (const name of namesIn(inner)) names.add(name);
  }
  names.delete('');
  return names;
}

/** A name that none of `taken` starts with: `wish`, or `wish` with a number. */
export function freshPrefix(wish: string, taken: ReadonlySet<string>): string {
  for (let i = 1; ; i++) {
    const prefix = i === 1 ? wish : `${wish}${i}_`;
    if (![...taken].some((name) => name.startsWith(prefix))) return prefix;
  }
}

/**
 * The graph with values renamed, also where graphs inside nodes use or define them: ONNX allows no name twice. Nodes of
 * these names are renamed with them: they must differ too, and are often called as what they compute.
 */
export function renameValues(graph: OnnxGraph, names: ReadonlyMap<string, string>): OnnxGraph {
  const rename = (name: string): string => names.get(name) ?? name;
  const named = <T extends { readonly name: string }>(items: readonly T[]): T[] =>
    items.map((item) => ({ ...item, name: rename(item.name) }));
  return {
    ...graph,
    inputs: named(graph.inputs),
    outputs: named(graph.outputs),
    initializers: named(graph.initializers),
    valueInfos: named(graph.valueInfos),
    nodes: graph.nodes.map((node) => ({
      ...node,
      name: rename(node.name),
      inputs: node.inputs.map(rename),
      outputs: node.outputs.map(rename),
      attributes: node.attributes.map((attribute) => ({
        ...attribute,
        value: mapGraphs(attribute.value, (inner) => renameValues(inner, names)),
      })),
    })),
  };
}

/**
 * The part of a graph that one value depends on: nodes, initialisers, inputs that are not initialisers.
 * Its only output is that value's entry among the graph's outputs or inner values, if it has one.
 */
export function graphOf(graph: OnnxGraph, value: string): OnnxGraph {
  const needed = new Set([value]);
  const nodes: OnnxNode[] = [];
  // Backwards: a node comes after all it depends on.
  for (const node of [...graph.nodes].reverse()) {
    if (!node.outputs.some((name) => needed.has(name))) continue;
    nodes.push(node);
    for (const name of node.inputs) needed.add(name);
    for (const inner of innerGraphs(node)) for (const name of namesIn(inner)) needed.add(name);
  }
  nodes.reverse();
  const initializers = graph.initializers.filter(({ name }) => needed.has(name));
  const constants = new Set(graph.initializers.map(({ name }) => name));
  const computed = new Set(nodes.flatMap(({ outputs }) => outputs));
  return {
    ...graph,
    nodes,
    initializers,
    inputs: graph.inputs.filter(({ name }) => needed.has(name) && !constants.has(name)),
    outputs: [...graph.outputs, ...graph.valueInfos].filter(({ name }) => name === value).slice(0, 1),
    valueInfos: graph.valueInfos.filter(({ name }) => computed.has(name) && name !== value),
  };
}

/** The tensors of a graph whose values lie in another file. */
export function externalTensors(graph: OnnxGraph): OnnxTensor[] {
  const tensors = [...graph.initializers];
  for (const node of graph.nodes) {
    for (const { value } of node.attributes) if (value.type === 'tensor') tensors.push(value.value);
  }
  return [...tensors.filter(({ external }) => external), ...graph.nodes.flatMap(innerGraphs).flatMap(externalTensors)];
}

function innerGraphs(node: OnnxNode): readonly OnnxGraph[] {
  return node.attributes.flatMap(({ value }) =>
    value.type === 'graph' ? [value.value] : value.type === 'graphs' ? value.value : [],
  );
}

function mapGraphs(value: OnnxAttributeValue, change: (graph: OnnxGraph) => OnnxGraph): OnnxAttributeValue {
  if (value.type === 'graph') return { type: 'graph', value: change(value.value) };
  if (value.type === 'graphs') return { type: 'graphs', value: value.value.map(change) };
  return value;
}
