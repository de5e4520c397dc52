/** The kinds of panels the dashboards are made of, each with what all panels of a kind have in common. */
import { PanelBuilder as BarGauge } from '@grafana/grafana-foundation-sdk/bargauge';
import type { Builder } from '@grafana/grafana-foundation-sdk/cog';
import {
  BarGaugeDisplayMode,
  BigValueColorMode,
  BigValueGraphMode,
  BigValueTextMode,
  GraphDrawStyle,
  GraphThresholdsStyleConfigBuilder,
  GraphThresholdsStyleMode,
  LegendDisplayMode,
  LegendPlacement,
  ReduceDataOptionsBuilder,
  SortOrder,
  StackingConfigBuilder,
  StackingMode,
  TooltipDisplayMode,
  VisibilityMode,
  VizLegendOptionsBuilder,
  VizOrientation,
  VizTooltipOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common';
import {
  FieldColorBuilder,
  FieldColorModeId,
  MappingType,
  ThresholdsConfigBuilder,
  ThresholdsMode,
  type DashboardLinkBuilder,
  type DynamicConfigValue,
  type Panel,
  type ValueMapping,
} from '@grafana/grafana-foundation-sdk/dashboard';
import {
  HeatmapColorMode,
  HeatmapColorOptionsBuilder,
  PanelBuilder as Heatmap,
  YAxisConfigBuilder,
} from '@grafana/grafana-foundation-sdk/heatmap';
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as Stat } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as StateTimeline } from '@grafana/grafana-foundation-sdk/statetimeline';
import { PanelBuilder as Table } from '@grafana/grafana-foundation-sdk/table';
import { PanelBuilder as TimeSeries } from '@grafana/grafana-foundation-sdk/timeseries';
import { DATASOURCE } from './variables.ts';

/** One query of a panel. */
export interface Query {
  readonly expr: string;
  /** Grafana's template for the name of a series, e.g. `{{kind}}`. */
  readonly legend: string;
}

/** From this value on this colour; the first one counts from the beginning. */
export type Limit = readonly [from: number | null, colour: 'green' | 'yellow' | 'orange' | 'red' | 'blue' | 'text'];

/** What every panel says of itself. */
export interface PanelText {
  readonly title: string;
  /** What is shown, and what it should look like. */
  readonly description: string;
  /** Of Grafana's units, or `suffix:...`. */
  readonly unit: string;
  /** Columns of 24. */
  readonly width: number;
  readonly queries: readonly Query[];
  /** In the place of an empty panel. @default 'No data' */
  readonly empty?: string;
  readonly limits?: readonly Limit[];
  /** Followed by a click on a value. */
  readonly links?: readonly DashboardLinkBuilder[];
  /** In the corner of the panel. */
  readonly documents?: readonly DashboardLinkBuilder[];
}

const HEIGHT = { stat: 4, graph: 8 } as const;

/** The methods that all builders of panels share. */
interface AnyPanel extends Builder<Panel> {
  title(text: string): this;
  description(text: string): this;
  unit(unit: string): this;
  span(columns: number): this;
  height(rows: number): this;
  datasource(of: typeof DATASOURCE): this;
  noValue(text: string): this;
  thresholds(of: ThresholdsConfigBuilder): this;
  dataLinks(links: DashboardLinkBuilder[]): this;
  links(links: DashboardLinkBuilder[]): this;
  withTarget(query: DataqueryBuilder): this;
}

function common<T extends AnyPanel>(
  panel: T,
  text: PanelText,
  height: number,
  query: (builder: DataqueryBuilder) => DataqueryBuilder,
): T {
  const {
    title,
    description,
    unit,
    width,
    queries,
    empty = 'No data',
    limits = [[null, 'text']],
    links = [],
    documents = [],
  } = text;
  panel
    .title(title)
    .description(description)
    .unit(unit)
    .span(width)
    .height(height)
    .datasource(DATASOURCE)
    .noValue(empty)
    .thresholds(
      new ThresholdsConfigBuilder()
        .mode(ThresholdsMode.Absolute)
        .steps(limits.map(([value, color]) => ({ value, color }))),
    )
    .dataLinks([...links])
    .links([...documents]);
  for (const [at, { expr, legend }] of queries.entries()) {
    panel.withTarget(
      query(
        new DataqueryBuilder()
          .refId(String.fromCharCode(65 + at))
          .datasource(DATASOURCE)
          .expr(expr)
          .legendFormat(legend),
      ),
    );
  }
  return panel;
}

const overTime = (builder: DataqueryBuilder): DataqueryBuilder => builder.range();
const now = (builder: DataqueryBuilder): DataqueryBuilder => builder.instant();

export interface GraphText extends PanelText {
  /** Series on top of each other, when their sum means something. */
  readonly stacked?: boolean;
  /** Counts of things that happened, rather than a course. */
  readonly bars?: boolean;
  /** Largest value there can be, e.g. 1 for a share. */
  readonly max?: number;
}

/** Values over time. Limits other than the first are drawn as dashed lines. */
export function graph(text: GraphText): TimeSeries {
  const panel = common(new TimeSeries(), text, HEIGHT.graph, overTime)
    .min(0)
    .lineWidth(1)
    .fillOpacity(text.bars === true ? 80 : text.stacked === true ? 30 : 10)
    .showPoints(VisibilityMode.Never)
    // A gap means that nothing was scraped, and should look like it.
    .spanNulls(false)
    .colorScheme(new FieldColorBuilder().mode(FieldColorModeId.PaletteClassicByName))
    .legend(
      new VizLegendOptionsBuilder()
        .showLegend(true)
        .displayMode(LegendDisplayMode.Table)
        .placement(LegendPlacement.Bottom)
        .calcs(['mean', 'lastNotNull', 'max']),
    )
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending));
  if (text.bars === true) panel.drawStyle(GraphDrawStyle.Bars);
  if (text.stacked === true) panel.stacking(new StackingConfigBuilder().mode(StackingMode.Normal).group('A'));
  if (text.max !== undefined) panel.max(text.max);
  if (text.limits !== undefined)
    panel.thresholdsStyle(new GraphThresholdsStyleConfigBuilder().mode(GraphThresholdsStyleMode.Dashed));
  return panel;
}

export interface StatText extends PanelText {
  /** Shows names of series instead of their values: for series that say which of several states holds. */
  readonly names?: boolean;
  readonly mappings?: readonly ValueMapping[];
  readonly max?: number;
}

/** The present as one large number for each series. */
export function stat(text: StatText): Stat {
  const panel = common(new Stat(), text, HEIGHT.stat, now)
    .graphMode(BigValueGraphMode.None)
    .colorMode(BigValueColorMode.Value)
    .textMode(text.names === true ? BigValueTextMode.Name : BigValueTextMode.Auto)
    .orientation(VizOrientation.Auto)
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']).values(false).fields(''))
    .colorScheme(new FieldColorBuilder().mode(FieldColorModeId.Thresholds));
  if (text.mappings !== undefined) panel.mappings([...text.mappings]);
  if (text.max !== undefined) panel.max(text.max);
  return panel;
}

/** The present as bars to compare. */
export function bars(text: PanelText & { readonly max?: number }): BarGauge {
  const panel = common(new BarGauge(), text, HEIGHT.graph, now)
    .min(0)
    .displayMode(BarGaugeDisplayMode.Basic)
    .orientation(VizOrientation.Horizontal)
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']).values(false).fields(''));
  if (text.max !== undefined) panel.max(text.max);
  return panel;
}

/** Which of several states held when; each query gives 1 for the state that holds. */
export function timeline(text: PanelText): StateTimeline {
  return common(new StateTimeline(), text, HEIGHT.graph, overTime)
    .showValue(VisibilityMode.Never)
    .mergeValues(true)
    .rowHeight(0.8)
    .legend(
      new VizLegendOptionsBuilder()
        .showLegend(false)
        .displayMode(LegendDisplayMode.List)
        .placement(LegendPlacement.Bottom)
        .calcs([]),
    )
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Single).sort(SortOrder.None))
    .mappings([valueNames({ 1: 'yes' })])
    .colorScheme(new FieldColorBuilder().mode(FieldColorModeId.Fixed).fixedColor('blue'));
}

/** How observations are distributed over time. The query gives the increase of each bucket, by `le`. */
export function heatmap(text: PanelText): Heatmap {
  return common(new Heatmap(), text, HEIGHT.graph, (builder) => builder.range().format(PromQueryFormat.Heatmap))
    .calculate(false)
    .color(new HeatmapColorOptionsBuilder().mode(HeatmapColorMode.Scheme).scheme('Blues').steps(64))
    .yAxis(new YAxisConfigBuilder().unit(text.unit))
    .showLegend()
    .cellGap(1);
}

/** What a column of a table is called, and how it is shown. */
export interface Column {
  /** The label, or `Value #A` for the first query's value. */
  readonly field: string;
  /** Of the table's head; without one the column is not shown. */
  readonly title?: string;
  readonly unit?: string;
  readonly links?: readonly DashboardLinkBuilder[];
}

/** The present as rows; queries that share labels are joined by them. */
export function table(text: PanelText & { readonly columns: readonly Column[] }): Table {
  const shown = text.columns.filter(({ title }) => title !== undefined);
  const panel = common(new Table(), text, HEIGHT.graph, (builder) => builder.instant().format(PromQueryFormat.Table))
    .showHeader(true)
    .withTransformation({ id: 'merge', options: {} })
    .withTransformation({
      id: 'organize',
      options: {
        excludeByName: Object.fromEntries(
          ['Time', ...text.columns.filter(({ title }) => title === undefined).map(({ field }) => field)].map(
            (field) => [field, true],
          ),
        ),
        indexByName: Object.fromEntries(shown.map(({ field }, at) => [field, at])),
        renameByName: Object.fromEntries(shown.map(({ field, title }) => [field, title ?? field])),
      },
    });
  for (const { title, unit, links } of shown) {
    const properties: DynamicConfigValue[] = [];
    if (unit !== undefined) properties.push({ id: 'unit', value: unit });
    if (links !== undefined) properties.push({ id: 'links', value: links.map((link) => link.build()) });
    if (title !== undefined && properties.length > 0) panel.overrideByName(title, properties);
  }
  return panel;
}

/** Texts for values, e.g. `{ 0: 'down', 1: 'up' }`. */
export function valueNames(names: Readonly<Record<number, string>>): ValueMapping {
  return {
    type: MappingType.ValueToText,
    options: Object.fromEntries(Object.entries(names).map(([value, text], index) => [value, { text, index }])),
  };
}
