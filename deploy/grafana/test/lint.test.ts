/** The committed dashboards keep the rules of Grafana's linter, and each rule notices a dashboard that does not. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RULES } from './rules.ts';
import { committed, panelsOf, type DashboardJson, type PanelJson } from './support.ts';

const files = committed();
const all = [...files.values()];

/** What is right although a rule says otherwise, by rule and panel. */
const EXCEPTIONS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'target-counter-agg-rule': {
    'Threads busy': 'a counter that only workers have picks the gauges of workers',
    Workers: 'counts the processes that have the counter',
    'Stragglers: slowest to mean': 'the mean over the whole job is its sum by its count',
    'Operations so far': 'the total of one job is what it is about',
    Refreshes: 'the total of one job is what it is about',
    'Waited for the owner': 'the total of one job is what it is about',
  },
};

function problemsOf(name: string, dashboard: DashboardJson): string[] {
  const excused = Object.keys(EXCEPTIONS[name] ?? {});
  return (RULES[name]?.(dashboard, all) ?? []).filter(
    (problem) => !excused.some((title) => problem.startsWith(`panel "${title}"`)),
  );
}

describe('the committed dashboards', () => {
  for (const name of Object.keys(RULES)) {
    it(`keep ${name}`, () => {
      for (const [file, dashboard] of files) assert.deepEqual(problemsOf(name, dashboard), [], file);
    });
  }

  it('need every exception', () => {
    for (const [name, titles] of Object.entries(EXCEPTIONS)) {
      const problems = all.flatMap((dashboard) => RULES[name]?.(dashboard, all) ?? []);
      for (const title of Object.keys(titles))
        assert.ok(
          problems.some((problem) => problem.startsWith(`panel "${title}"`)),
          `${name} says nothing about "${title}"`,
        );
    }
  });
});

/** Damage that a rule has to notice, done to a copy of the dashboard of workers. */
const DAMAGE: Readonly<Record<string, (dashboard: DashboardJson, panel: PanelJson) => unknown>> = {
  'template-datasource-rule': ({ templating }) => templating.list?.shift(),
  'template-filters-rule': ({ templating }) => templating.list?.pop(),
  'template-label-promql-rule': ({ templating }) =>
    Object.assign(templating.list?.[1] ?? {}, { query: 'label_values(x{, instance)' }),
  'template-on-time-change-reload-rule': ({ templating }) => Object.assign(templating.list?.[1] ?? {}, { refresh: 1 }),
  'template-uses-datasource-rule': ({ templating }) =>
    Object.assign(templating.list?.[1] ?? {}, { datasource: { type: 'prometheus', uid: 'P1' } }),
  'template-used-rule': (_dashboard, panel) => change(panel, 'sum(blindfit_threads)'),
  'panel-datasource-rule': (_dashboard, panel) =>
    Object.assign(panel, { datasource: { type: 'prometheus', uid: 'PBFA97CFB590B2093' } }),
  'panel-title-description-rule': (_dashboard, panel) => Object.assign(panel, { description: '' }),
  'panel-units-rule': (_dashboard, panel) => Object.assign(panel.fieldConfig?.defaults ?? {}, { unit: 'seconds' }),
  'panel-no-targets-rule': (_dashboard, panel) => Object.assign(panel, { targets: [] }),
  'panel-legend-rule': (_dashboard, panel) => Object.assign(panel.targets?.[0] ?? {}, { legendFormat: '' }),
  'panel-legend-label-rule': (_dashboard, panel) =>
    Object.assign(panel.targets?.[0] ?? {}, { legendFormat: '{{pod}}' }),
  'panel-empty-state-rule': (_dashboard, panel) => Object.assign(panel.fieldConfig?.defaults ?? {}, { noValue: '' }),
  'panel-thresholds-rule': (_dashboard, panel) =>
    Object.assign(panel.fieldConfig?.defaults ?? {}, {
      thresholds: {
        mode: 'absolute',
        steps: [
          { value: null, color: 'green' },
          { value: 3, color: 'red' },
          { value: 2, color: 'red' },
        ],
      },
    }),
  'target-promql-rule': (_dashboard, panel) =>
    change(panel, 'sum(rate(blindfit_tasks_total{instance=~"$instance"}[$__rate_interval])'),
  'target-variables-rule': (_dashboard, panel) => change(panel, 'sum(blindfit_threads{instance=~"$worker"})'),
  'target-rate-interval-rule': (_dashboard, panel) =>
    change(panel, 'sum(rate(blindfit_tasks_total{instance=~"$instance"}[5m]))'),
  'target-counter-agg-rule': (_dashboard, panel) => change(panel, 'sum(blindfit_tasks_total{instance=~"$instance"})'),
  'target-gauge-rate-rule': (_dashboard, panel) =>
    change(panel, 'sum(rate(blindfit_threads{instance=~"$instance"}[$__rate_interval]))'),
  'target-aggregation-rule': (_dashboard, panel) => change(panel, 'blindfit_threads{instance=~"$instance"}'),
  'uneditable-dashboard-rule': (dashboard) => Object.assign(dashboard, { editable: true }),
  'dashboard-uid-rule': (dashboard) => Object.assign(dashboard, { uid: 'abc' }),
  'dashboard-time-rule': (dashboard) => Object.assign(dashboard, { time: { from: '2026-01-01', to: 'now' } }),
  'panel-id-rule': (_dashboard, panel) => Object.assign(panel, { id: 1 }),
  'panel-overlap-rule': (_dashboard, panel) => Object.assign(panel.gridPos ?? {}, { x: 1 }),
  'link-rule': (dashboard) =>
    Object.assign(dashboard.links?.[0] ?? {}, {
      url: '/d/blindfit-jobs?var-datasource=${datasource}&${__url_time_range}',
    }),
};

function change(panel: PanelJson, expr: string): unknown {
  return Object.assign(panel.targets?.[0] ?? {}, { expr });
}

describe('a damaged dashboard', () => {
  for (const name of Object.keys(RULES)) {
    it(`breaks ${name}`, () => {
      const copy = structuredClone(files.get('workers.json'));
      assert.ok(copy !== undefined);
      const panel = panelsOf(copy).find(({ title }) => title === 'Utilisation');
      assert.ok(panel !== undefined);
      DAMAGE[name]?.(copy, panel);
      assert.notDeepEqual(problemsOf(name, copy), [], 'nobody noticed');
    });
  }
});
