/**
 * The rules of Grafana's dashboard-linter that apply to dashboards like ours, under its names, and some of our own. The
 * linter is a Go program without releases for npm or Debian; these read the same JSON.
 */
import * as units from '@grafana/grafana-foundation-sdk/units';
import { firstGroups } from '@blindfit/testkit';
import { selectorsOf, syntaxProblem } from './promql.ts';
import { filled, labelValues, panelsOf, type DashboardJson, type PanelJson } from './support.ts';

/** @returns what is wrong, a line each; none when the dashboard keeps the rule */
export type Rule = (dashboard: DashboardJson, all: readonly DashboardJson[]) => string[];

/** For reading an expression; values do not matter. */
const VARIABLES = { __rate_interval: '5m', __range: '1h', __interval: '1m', instance: 'host:1', blindfit_job: 'job-1' };
const KNOWN_UNITS = new Set<unknown>(Object.values(units));
const UID = '${datasource}';

const each = (dashboard: DashboardJson, problem: (panel: PanelJson) => string | undefined | false): string[] =>
  panelsOf(dashboard).flatMap((panel) => {
    const said = problem(panel);
    return said === undefined || said === false ? [] : [`panel "${panel.title ?? ''}": ${said}`];
  });

/** Of every target of every panel. */
const eachTarget = (
  dashboard: DashboardJson,
  problem: (expr: string, panel: PanelJson) => string | undefined | false,
): string[] =>
  panelsOf(dashboard).flatMap((panel) =>
    (panel.targets ?? []).flatMap(({ refId = '', expr = '' }) => {
      const said = problem(expr, panel);
      return said === undefined || said === false ? [] : [`panel "${panel.title ?? ''}", query ${refId}: ${said}`];
    }),
  );

const variablesOf = (dashboard: DashboardJson, type: string) =>
  (dashboard.templating.list ?? []).filter((variable) => (variable.type as string) === type);

export const RULES: Readonly<Record<string, Rule>> = {
  'template-datasource-rule': (dashboard) => {
    const [first, ...more] = variablesOf(dashboard, 'datasource');
    if (first === undefined || more.length > 0) return ['there must be one variable of type datasource'];
    return [
      ...(first.name === 'datasource' ? [] : [`the data source variable is called ${first.name}, not datasource`]),
      ...(first.label === 'Data source' ? [] : ['the data source variable must have the label "Data source"']),
      ...(first.query === 'prometheus' ? [] : ['the data source variable must be for prometheus']),
    ];
  },

  // The linter's template-job-rule and template-instance-rule want variables for these two labels, so that one
  // Prometheus can hold several clusters. Ours are told apart by any label.
  'template-filters-rule': (dashboard) =>
    variablesOf(dashboard, 'adhoc').some(({ datasource }) => datasource?.uid === UID)
      ? []
      : ['there must be a variable of type adhoc on the chosen data source'],

  'template-label-promql-rule': (dashboard) =>
    variablesOf(dashboard, 'query').flatMap(({ name, query }) => {
      const parts = labelValues(query);
      if (parts === undefined) return [`variable ${name}: its query is not label_values(selector, label)`];
      const problem = syntaxProblem(filled(parts.selector, VARIABLES));
      return problem === undefined ? [] : [`variable ${name}: ${problem}`];
    }),

  'template-on-time-change-reload-rule': (dashboard) =>
    variablesOf(dashboard, 'query')
      .filter(({ refresh }) => (refresh as number) !== 2)
      .map(({ name }) => `variable ${name} must be read again when the time range changes`),

  'template-uses-datasource-rule': (dashboard) =>
    variablesOf(dashboard, 'query')
      .filter(({ datasource }) => datasource?.uid !== UID)
      .map(({ name }) => `variable ${name} does not use the chosen data source`),

  'template-used-rule': (dashboard) =>
    variablesOf(dashboard, 'query')
      .filter(
        ({ name }) =>
          !panelsOf(dashboard).every(({ targets = [] }) =>
            targets.some(({ expr = '' }) => new RegExp(`\\$${name}\\b`).test(expr)),
          ),
      )
      .map(({ name }) => `not every panel heeds the variable ${name}`),

  'panel-datasource-rule': (dashboard) =>
    each(
      dashboard,
      ({ datasource, targets = [] }) =>
        [datasource, ...targets.map((target) => target.datasource)].some(
          (of) => of?.uid !== UID || of.type !== 'prometheus',
        ) && 'it must use the chosen data source',
    ),

  'panel-title-description-rule': (dashboard) =>
    each(
      dashboard,
      ({ title = '', description = '' }) =>
        (title === '' || description === '') && 'it must have a title and a description',
    ),

  'panel-units-rule': (dashboard) =>
    each(dashboard, ({ fieldConfig }) => {
      const unit = fieldConfig?.defaults.unit;
      const overrides = (fieldConfig?.overrides ?? []).flatMap(({ properties }) =>
        properties.filter(({ id }) => id === 'unit').map(({ value }) => value as unknown),
      );
      const bad = [unit, ...overrides].filter(
        (one) => typeof one !== 'string' || !(KNOWN_UNITS.has(one) || one.startsWith('suffix:')),
      );
      return bad.length > 0 && `${bad.map(String).join(', ')}: Grafana has no such unit`;
    }),

  'panel-no-targets-rule': (dashboard) =>
    each(dashboard, ({ targets = [] }) => targets.length === 0 && 'it has no query'),

  'panel-legend-rule': (dashboard) =>
    each(
      dashboard,
      ({ type, targets = [] }) =>
        type !== 'table' &&
        targets.some(({ legendFormat = '' }) => legendFormat === '' || legendFormat === '__auto') &&
        'every query must name its series',
    ),

  'panel-legend-label-rule': (dashboard) =>
    each(dashboard, ({ targets = [] }) => {
      const missing = targets.flatMap(({ legendFormat = '', expr = '' }) =>
        firstGroups(legendFormat, /\{\{(\w+)\}\}/g).filter(
          (label) => !new RegExp(`by \\([^)]*\\b${label}\\b[^)]*\\)`).test(expr),
        ),
      );
      return missing.length > 0 && `a legend uses ${missing.join(', ')}, which the query does not keep`;
    }),

  'panel-empty-state-rule': (dashboard) =>
    each(
      dashboard,
      ({ fieldConfig }) => !fieldConfig?.defaults.noValue && 'it must say something when there are no data',
    ),

  'panel-thresholds-rule': (dashboard) =>
    each(dashboard, ({ fieldConfig }) => {
      const [first, ...rest] = fieldConfig?.defaults.thresholds?.steps ?? [];
      const rising = rest.every(
        ({ value }, at) => value !== null && (at === 0 || value > (rest[at - 1]?.value ?? Infinity)),
      );
      return (first?.value !== null || !rising) && 'its thresholds must start from nothing and rise';
    }),

  'target-promql-rule': (dashboard) => eachTarget(dashboard, (expr) => syntaxProblem(filled(expr, VARIABLES))),

  'target-variables-rule': (dashboard) =>
    eachTarget(
      dashboard,
      (expr) => /\$/.test(filled(expr, VARIABLES)) && `it has a variable that nobody knows: ${expr}`,
    ),

  'target-rate-interval-rule': (dashboard) =>
    eachTarget(dashboard, (expr) => {
      const ranges = Array.from(expr.matchAll(/\[([^\]]*)\]/g), (match) => match[1]);
      return ranges.some((range) => range !== '$__rate_interval') && `ranges must be $__rate_interval: ${expr}`;
    }),

  'target-counter-agg-rule': (dashboard) =>
    eachTarget(dashboard, (expr) => {
      const bare = selectorsOf(filled(expr, VARIABLES)).filter(
        ({ metric, functions }) =>
          /_(total|count|bucket|sum)$/.test(metric) &&
          !functions.some((name) => ['rate', 'irate', 'increase'].includes(name)),
      );
      return (
        bare.length > 0 &&
        `the counter ${bare.map(({ metric }) => metric).join(', ')} must be within rate, irate or increase`
      );
    }),

  'target-gauge-rate-rule': (dashboard) =>
    eachTarget(dashboard, (expr) => {
      const wrong = selectorsOf(filled(expr, VARIABLES)).filter(
        ({ metric, functions }) =>
          !/_(total|count|bucket|sum)$/.test(metric) &&
          functions.some((name) => ['rate', 'irate', 'increase'].includes(name)),
      );
      return wrong.length > 0 && `${wrong.map(({ metric }) => metric).join(', ')} is no counter: it has no rate`;
    }),

  // A scrape of several APIs and schedulers gives the same figure several times.
  'target-aggregation-rule': (dashboard) =>
    eachTarget(
      dashboard,
      (expr) => !/\b(sum|max|min|count)\b/.test(expr) && `it must be aggregated over processes: ${expr}`,
    ),

  'uneditable-dashboard-rule': ({ editable }) =>
    editable === false ? [] : ['it must not be editable: changes to a provisioned dashboard cannot be saved'],

  'dashboard-uid-rule': ({ uid = '' }, all) => [
    ...(/^blindfit-[a-z]+$/.test(uid) ? [] : [`the uid ${JSON.stringify(uid)} is not blindfit-NAME`]),
    ...(all.filter((other) => other.uid === uid).length === 1 ? [] : [`the uid ${uid} is not unique`]),
  ],

  'dashboard-time-rule': ({ time, refresh }) =>
    time !== undefined && /^now-\d+[hmd]$/.test(time.from) && time.to === 'now' && refresh === '30s'
      ? []
      : ['it must show the time up to now, and be read again every 30 s'],

  'panel-id-rule': ({ panels = [] }) =>
    new Set(panels.map(({ id }) => id)).size === panels.length ? [] : ['two panels have the same id'],

  'panel-overlap-rule': ({ panels = [] }) => {
    const taken = new Map<string, string>();
    const problems: string[] = [];
    for (const { title = '', gridPos } of panels) {
      if (gridPos === undefined || gridPos.x < 0 || gridPos.x + gridPos.w > 24 || gridPos.w < 1 || gridPos.h < 1) {
        problems.push(`"${title}" lies outside of the 24 columns`);
        continue;
      }
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          const other = taken.get(`${x},${y}`);
          if (other !== undefined && other !== title) problems.push(`"${title}" overlaps "${other}"`);
          taken.set(`${x},${y}`, title);
        }
      }
    }
    return [...new Set(problems)];
  },

  'link-rule': (dashboard, all) => {
    const uids = new Set(all.map(({ uid }) => uid));
    const names = new Map(
      all.map(({ uid, templating }) => [uid, new Set((templating.list ?? []).map(({ name }) => name))]),
    );
    return linksOf(dashboard).flatMap((url) => {
      const match = /^\/d\/([^?]+)\?(.*)$/.exec(url);
      if (match === null) return url.startsWith('https://') ? [] : [`${url} leads nowhere`];
      const [, uid = '', query = ''] = match;
      const unknown = firstGroups(query, /var-(\w+)=/g).filter((name) => names.get(uid)?.has(name) !== true);
      return [
        ...(uids.has(uid) ? [] : [`${url}: there is no dashboard ${uid}`]),
        ...(uids.has(uid) ? unknown.map((name) => `${url}: ${uid} has no variable ${name}`) : []),
        ...(query.includes('${__url_time_range}') ? [] : [`${url} forgets the time range`]),
        ...(query.includes('var-datasource=${datasource}') ? [] : [`${url} forgets the data source`]),
      ];
    });
  },
};

/** URLs of all links: of the dashboard, of its panels, of values and columns. */
export function linksOf(dashboard: DashboardJson): string[] {
  const links = [
    ...(dashboard.links ?? []),
    ...panelsOf(dashboard).flatMap(({ links: own = [], fieldConfig }) => [
      ...own,
      ...(fieldConfig?.defaults.links ?? []),
      ...(fieldConfig?.overrides ?? []).flatMap(({ properties }) =>
        properties.filter(({ id }) => id === 'links').flatMap(({ value }) => value as { url?: string }[]),
      ),
    ]),
  ];
  return links.flatMap(({ url }) => (url === undefined ? [] : [url]));
}
