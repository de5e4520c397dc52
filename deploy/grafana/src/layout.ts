/** Panels in rows, one row of the grid after the other. */
import type { Builder } from '@grafana/grafana-foundation-sdk/cog';
import {
  DashboardCursorSync,
  RowBuilder,
  type DashboardLinkBuilder,
  type Panel,
  type VariableModel,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { alertAnnotation } from './annotation.ts';
import { ClassicBuilder, type ClassicDashboard } from './classic.ts';
import { menu, metricsPage, runbook, TAG } from './links.ts';
import { datasourceVariable, filtersVariable } from './variables.ts';

/** A headed row of panels. Their widths fill lines of 24 columns. */
export interface Section {
  readonly title: string;
  readonly panels: readonly Builder<Panel>[];
}

export interface DashboardText {
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  /** Shown at first, e.g. `now-3h`. */
  readonly from: string;
  /** Beside the data source and the filters. */
  readonly variables: readonly Builder<VariableModel>[];
  readonly links?: readonly DashboardLinkBuilder[];
  readonly sections: readonly Section[];
}

const COLUMNS = 24;

/**
 * A dashboard with our menu, variables and annotations.
 * @throws RangeError when the panels of a line do not fill it: the next one would overlap or leave a gap
 */
export function dashboard({
  uid,
  title,
  description,
  from,
  variables,
  links = [],
  sections,
}: DashboardText): ClassicDashboard {
  const builder = new ClassicBuilder(title)
    .uid(uid)
    .description(description)
    .tags([TAG])
    .timezone('browser')
    // Provisioned from files: what somebody changes in the browser could not be saved.
    .readonly()
    .tooltip(DashboardCursorSync.Crosshair)
    .time({ from, to: 'now' })
    .refresh('30s')
    .withVariable(datasourceVariable())
    .annotation(alertAnnotation());
  for (const variable of variables) builder.withVariable(variable);
  builder.withVariable(filtersVariable());
  for (const link of [menu(), runbook(), metricsPage(), ...links]) builder.link(link);

  let id = 0;
  for (const section of sections) {
    builder.withRow(new RowBuilder(section.title).id(++id));
    let line = 0;
    for (const panel of section.panels) {
      const built = { ...panel.build(), id: ++id };
      const { gridPos: { w } = { w: COLUMNS } } = built;
      line += w;
      if (line > COLUMNS)
        throw new RangeError(
          `${title}, ${section.title}: "${built.title ?? ''}" ends in column ${line} of ${COLUMNS}; make the ` +
            'panels of its line narrower',
        );
      if (line === COLUMNS) line = 0;
      builder.withPanel({ build: () => built });
    }
    if (line !== 0)
      throw new RangeError(
        `${title}, ${section.title}: the last line ends in column ${line} of ${COLUMNS}; make its panels wider`,
      );
  }
  return withoutPlacements(builder.build());
}

/** The SDK puts links and annotations into a menu, unseen, for want of another value; ours stand at the top. */
function withoutPlacements<T>(of: T): T {
  return JSON.parse(
    JSON.stringify(of, (key, value: unknown) =>
      key === 'placement' && value === 'inControlsMenu' ? undefined : value,
    ),
  ) as T;
}
