/**
 * Dashboards and rules ask for metrics and labels that docs/reference/metrics.md lists, which is made from the code.
 * The integration test asks a real Prometheus; this one needs none.
 */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { selectorsOf } from '../../deploy/grafana/test/promql.ts';
import { committed, expressionsOf, filled } from '../../deploy/grafana/test/support.ts';
import { read } from '../docs/support.ts';
import { rules } from './files.ts';

/** Labels by metric, as the tables of the page have them; a metric of several services has those of all. */
function documented(): Map<string, Set<string>> {
  const metrics = new Map<string, Set<string>>();
  for (const [, name = '', type = '', labels = ''] of read('docs/reference/metrics.md').matchAll(
    /^\| `(blindfit_[a-z0-9_]+)` +\| (\w+) +\| ([^|]*) \|/gm,
  )) {
    const all = [
      ...labels
        .split(', ')
        .filter((label) => label.trim() !== '')
        .map((label) => label.trim()),
      ...(type === 'histogram' ? ['le'] : []),
    ];
    for (const suffix of type === 'histogram' ? ['_bucket', '_count', '_sum'] : [''])
      metrics.set(name + suffix, new Set([...(metrics.get(name + suffix) ?? []), ...all]));
  }
  return metrics;
}

/** Of every target, from the scrape. */
const OF_TARGETS = ['job', 'instance', 'blindfit_job'];

it('every metric that dashboards and rules ask for is documented, with the labels they pick by', () => {
  const metrics = documented();
  assert.ok(metrics.size > 60, `${metrics.size} series are documented`);
  const recorded = new Set(rules().map(({ record }) => record));
  const expressions = [
    ...[...committed()]
      .flatMap(([file, dashboard]) => expressionsOf(file, dashboard))
      .map(({ place, expr }) => ({ place, expr: filled(expr, { __rate_interval: '1m' }) })),
    ...rules().map(({ record, alert, expr }) => ({ place: record ?? alert ?? '', expr })),
  ];
  const problems: string[] = [];
  for (const { place, expr } of expressions) {
    for (const { metric, text } of selectorsOf(expr)) {
      // Prometheus' own, those of every Node process, and those that rules record.
      if (metric === 'up' || metric === 'ALERTS' || /^(process|nodejs)_/.test(metric) || recorded.has(metric)) continue;
      const labels = metrics.get(metric);
      if (labels === undefined) problems.push(`${place}: docs/reference/metrics.md has no ${metric}`);
      for (const [, label = ''] of text.matchAll(/[{,]\s*(\w+)\s*[=!]/g)) {
        if (labels?.has(label) === false && !OF_TARGETS.includes(label))
          problems.push(`${place}: ${metric} has no label ${label}`);
      }
    }
  }
  assert.deepEqual(problems, []);
});
