/** PromQL, read by the parser of Prometheus' own expression field. */
import type { SyntaxNode, Tree } from '@lezer/common';
import { parser } from '@prometheus-io/lezer-promql';

/** @returns what is wrong with an expression without Grafana's variables, or undefined */
export function syntaxProblem(expr: string): string | undefined {
  let at: number | undefined;
  parser.parse(expr).iterate({
    enter: (node) => {
      if (node.type.isError) at ??= node.from;
    },
  });
  return expr.trim() === ''
    ? 'it is empty'
    : at === undefined
      ? undefined
      : `it cannot be parsed from "${expr.slice(at, at + 20)}" on`;
}

/** One use of a metric. */
export interface Selector {
  readonly metric: string;
  /** Names of the functions around it, the innermost first. */
  readonly functions: readonly string[];
  /** Text of its range, e.g. `5m`; undefined for an instant. */
  readonly range: string | undefined;
  /** The whole selector, as it is written. */
  readonly text: string;
}

export function selectorsOf(expr: string): Selector[] {
  const tree: Tree = parser.parse(expr);
  const found: Selector[] = [];
  tree.iterate({
    enter: ({ node }) => {
      if (node.name !== 'VectorSelector') return;
      const functions: string[] = [];
      for (let around: SyntaxNode | null = node.parent; around !== null; around = around.parent) {
        const name = around.name === 'FunctionCall' ? around.getChild('FunctionIdentifier') : null;
        if (name !== null) functions.push(expr.slice(name.from, name.to));
      }
      const matrix = node.parent?.name === 'MatrixSelector' ? node.parent : undefined;
      const name = node.getChild('Identifier');
      found.push({
        metric: name === null ? '' : expr.slice(name.from, name.to),
        functions,
        text: expr.slice(node.from, node.to),
        range: matrix === undefined ? undefined : expr.slice(node.to + 1, matrix.to - 1),
      });
    },
  });
  return found;
}

/**
 * An expression whose comparisons with numbers are gone, and `absent(x)` with them: what an alert looks at, whether it
 * fires or not. `a / b > 0.9` is `a / b`.
 */
export function withoutThresholds(expr: string): string {
  const cuts: [from: number, to: number][] = [];
  parser.parse(expr).iterate({
    enter: ({ node }) => {
      const [operator, right] = [node.firstChild?.nextSibling, node.lastChild];
      if (
        node.name === 'BinaryExpr' &&
        operator != null &&
        ['Gtr', 'Lss', 'Gte', 'Lte', 'Eql', 'EqlSingle', 'Neq'].includes(operator.name) &&
        right?.name === 'NumberDurationLiteral'
      )
        cuts.push([operator.from, right.to]);
      const called = node.name === 'FunctionCall' ? node.getChild('FunctionIdentifier') : null;
      if (called !== null && expr.slice(called.from, called.to) === 'absent') cuts.push([called.from, called.to]);
    },
  });
  return cuts.sort(([a], [b]) => b - a).reduce((text, [from, to]) => text.slice(0, from) + text.slice(to), expr);
}
