/**
 * The committed dashboards fit Grafana's schema. Grafana publishes it as CUE and as what is generated from it; among
 * that the types of its SDK, by panel. The compiler checks the files against them: unknown fields, missing ones, wrong
 * values.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { it } from 'node:test';
import ts from 'typescript';
import { committed, panelsOf, type DashboardJson, type PanelJson } from './support.ts';

/**
 * Kinds of panels, and which of the SDK's types they have. Without `FieldConfig` their custom fields must be absent.
 */
const KINDS: Readonly<Record<string, { module: string; custom: boolean }>> = {
  bargauge: { module: 'bargauge', custom: false },
  heatmap: { module: 'heatmap', custom: true },
  stat: { module: 'stat', custom: false },
  'state-timeline': { module: 'statetimeline', custom: true },
  table: { module: 'table', custom: true },
  timeseries: { module: 'timeseries', custom: true },
};

const PREAMBLE = `
import type {
  Dashboard, FieldConfig, FieldConfigSource, Panel, RowPanel,
} from '@grafana/grafana-foundation-sdk/dashboard';
import type { Dataquery } from '@grafana/grafana-foundation-sdk/prometheus';
${Object.values(KINDS)
  .map(({ module }) => `import type * as ${module} from '@grafana/grafana-foundation-sdk/${module}';`)
  .join('\n')}

/** As JSON has it: enumerations are their values, methods are not there. */
type Plain<T> = 0 extends 1 & T ? T : T extends string ? \`\${T}\` : T extends number | boolean | null | undefined ? T
  : T extends readonly (infer U)[]
    ? Plain<U>[]
    : { [K in keyof T as T[K] extends (...args: never) => unknown ? never : K]: Plain<T[K]> };
type Target = Plain<Dataquery> & {
  refId: string;
  expr: string;
  legendFormat: string;
  datasource: { type: 'prometheus'; uid: '\${datasource}' };
};
type PanelOf<Type, Options, Custom> = Plain<Omit<Panel, 'type' | 'options' | 'targets' | 'fieldConfig'>> & {
  type: Type; id: number; options: Plain<Options>; targets: Target[];
  fieldConfig: Plain<Omit<FieldConfigSource, 'defaults'>> & { defaults: Plain<Omit<FieldConfig, 'custom'>> & Custom };
};
`;

function sourceOf(dashboard: DashboardJson): string {
  const { panels = [], ...rest } = dashboard;
  const lines = [`export const whole: Plain<Omit<Dashboard, 'panels'>> = ${JSON.stringify(rest)};`];
  for (const row of panels.filter(({ type }) => type === 'row'))
    lines.push(`export const row${row.id ?? ''}: Plain<RowPanel> = ${JSON.stringify(row)};`);
  for (const panel of panelsOf(dashboard)) {
    const kind = KINDS[panel.type];
    assert.ok(
      kind !== undefined,
      `panel "${panel.title ?? ''}" is of the kind ${panel.type}, which this test does not know`,
    );
    const custom = kind.custom ? `{ custom: Plain<${kind.module}.FieldConfig> }` : '{ custom?: never }';
    lines.push(
      `export const panel${panel.id ?? ''}: PanelOf<'${panel.type}', ${kind.module}.Options, ${custom}> = ` +
        `${JSON.stringify(panel)};`,
    );
  }
  return PREAMBLE + lines.join('\n');
}

/** What the compiler says about a dashboard, in one program for all of them. */
function problemsOf(dashboards: ReadonlyMap<string, DashboardJson>): Map<string, string[]> {
  const options: ts.CompilerOptions = {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    types: [],
    target: ts.ScriptTarget.ESNext,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
  };
  const host = ts.createCompilerHost(options);
  const sources = new Map(
    [...dashboards].map(([name, dashboard]) => [join(import.meta.dirname, `${name}.ts`), sourceOf(dashboard)]),
  );
  const [fileExists, readFile, getSourceFile] = [
    host.fileExists.bind(host),
    host.readFile.bind(host),
    host.getSourceFile.bind(host),
  ];
  host.fileExists = (path) => sources.has(path) || fileExists(path);
  host.readFile = (path) => sources.get(path) ?? readFile(path);
  host.getSourceFile = (path, version, ...rest) => {
    const source = sources.get(path);
    return source === undefined ? getSourceFile(path, version, ...rest) : ts.createSourceFile(path, source, version);
  };
  const program = ts.createProgram([...sources.keys()], options, host);
  return new Map(
    [...dashboards.keys()].map((name) => {
      const source = program.getSourceFile(join(import.meta.dirname, `${name}.ts`));
      return [
        name,
        ts
          .getPreEmitDiagnostics(program, source)
          .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' ')),
      ];
    }),
  );
}

it('the committed dashboards fit Grafana’s schema; damaged ones do not', () => {
  const files = committed();
  const [overview] = files.values();
  assert.ok(overview !== undefined);
  const damaged = (change: (dashboard: DashboardJson) => void): DashboardJson => {
    const copy = structuredClone(overview);
    change(copy);
    return copy;
  };
  const first = (dashboard: DashboardJson, type: string): PanelJson => {
    const found = panelsOf(dashboard).find((panel) => panel.type === type);
    assert.ok(found !== undefined, `no panel is a ${type}`);
    return found;
  };
  const damages: [string, RegExp, (dashboard: DashboardJson) => void][] = [
    [
      'a field that there is not',
      /gridpos"' does not exist/,
      (dashboard) => Object.assign(first(dashboard, 'stat'), { gridpos: {} }),
    ],
    [
      'a value that there is not',
      /"tablet"/,
      (dashboard) =>
        Object.assign(first(dashboard, 'timeseries').options as object, {
          legend: { displayMode: 'tablet', placement: 'bottom', showLegend: true, calcs: [] },
        }),
    ],
    [
      'a missing field',
      /'refId' is missing/,
      (dashboard) =>
        Object.assign(first(dashboard, 'stat'), {
          targets: [{ expr: 'up', legendFormat: '', datasource: { type: 'prometheus', uid: '${datasource}' } }],
        }),
    ],
    [
      'a cursor that there is not',
      /'7' is not assignable/,
      (dashboard) => Object.assign(dashboard, { graphTooltip: 7 }),
    ],
  ];
  const problems = problemsOf(
    new Map([...files, ...damages.map(([name, , change]): [string, DashboardJson] => [name, damaged(change)])]),
  );
  for (const name of files.keys()) assert.deepEqual(problems.get(name), [], name);
  for (const [name, expected] of damages) assert.match((problems.get(name) ?? []).join('\n'), expected, name);
});
