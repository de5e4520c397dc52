/** What the tests of dashboards share: the committed files, and the expressions in them. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ClassicDashboard } from '../src/classic.ts';

export const DIRECTORY = join(import.meta.dirname, '..', 'dashboards');

export interface Target {
  readonly refId?: string;
  readonly expr?: string;
  readonly legendFormat?: string;
  readonly format?: string;
  readonly instant?: boolean;
  readonly datasource?: { readonly type?: string; readonly uid?: string };
}

/** A panel, as Grafana reads it. */
export type PanelJson = Omit<Exclude<NonNullable<ClassicDashboard['panels']>[number], { type: 'row' }>, 'targets'> & {
  readonly targets?: readonly Target[];
};
export type DashboardJson = ClassicDashboard;

/** The committed dashboards, by file. */
export function committed(): Map<string, DashboardJson> {
  const names = readdirSync(DIRECTORY).filter((name) => name.endsWith('.json'));
  return new Map(names.map((name) => [name, JSON.parse(readFileSync(join(DIRECTORY, name), 'utf8')) as DashboardJson]));
}

/** Panels without rows. */
export function panelsOf({ panels = [] }: DashboardJson): PanelJson[] {
  return panels.filter((panel) => panel.type !== 'row') as unknown as PanelJson[];
}

/** An expression, and where it stands: `overview.json: Queue lag A`. */
export interface Expression {
  readonly place: string;
  readonly expr: string;
}

/** Every expression of a dashboard: of panels, of variables (their selectors) and of annotations. */
export function expressionsOf(file: string, dashboard: DashboardJson): Expression[] {
  return [
    ...panelsOf(dashboard).flatMap(({ title = '', targets = [] }) =>
      targets.map(({ refId = '', expr = '' }) => ({ place: `${file}: ${title} ${refId}`, expr })),
    ),
    ...(dashboard.templating.list ?? []).flatMap((variable) => {
      const { selector } = labelValues(variable.query) ?? {};
      return selector === undefined ? [] : [{ place: `${file}: variable ${variable.name}`, expr: selector }];
    }),
    ...(dashboard.annotations.list ?? []).flatMap(({ name, expr }) =>
      expr === undefined ? [] : [{ place: `${file}: annotation ${name}`, expr }],
    ),
  ];
}

/** The parts of `label_values(selector, label)`. */
export function labelValues(query: unknown): { selector: string; label: string } | undefined {
  const text = typeof query === 'object' && query !== null && 'query' in query ? query.query : query;
  const match = typeof text === 'string' ? /^label_values\((.+), ?([a-z_]+)\)$/.exec(text) : null;
  if (match === null) return undefined;
  const [, selector = '', label = ''] = match;
  return { selector, label };
}

/** With Grafana's variables put in, as Prometheus gets it. */
export function filled(expr: string, variables: Readonly<Record<string, string>>): string {
  return expr.replace(/\$(\w+)/g, (whole, name: string) => variables[name] ?? whole);
}
