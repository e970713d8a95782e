// A dashboard file as Grafana's published types have it. They are more exact here than in the package, where a
// panel's options may be anything: each kind of panel that is used has its own, and nothing may be misspelt.
import type { AnnotationQuery, Dashboard, DataQuery, FieldConfig, MatcherConfig, Panel, RowPanel } from '@grafana/schema';
import type * as stat from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type * as timeline from '@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen';
import type * as table from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type * as timeseries from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

// JSON has the values of enums, not their names.
type Json<T> = T extends string ? `${T}` : T extends number | boolean | null | undefined ? T
  : T extends (infer Item)[] ? Json<Item>[] : T extends object ? { [Key in keyof T]: Json<T[Key]> } : T;

// What `@grafana/prometheus` adds to a query, and to an annotation.
interface Query extends DataQuery {
  editorMode: 'builder' | 'code';
  expr: string;
  format: 'time_series' | 'table' | 'heatmap';
  instant: boolean;
  legendFormat?: string;
  range: boolean;
}
interface PrometheusAnnotation extends Omit<AnnotationQuery, 'target'> {
  target: Query;
  tagKeys?: string;
  textFormat?: string;
  titleFormat?: string;
  useValueForTime?: 'on';
}

interface PanelOf<Kind extends string, Options, Custom> extends Omit<Panel, 'type' | 'options' | 'fieldConfig' | 'targets'> {
  type: Kind;
  description: string;
  options: Options;
  targets: Query[];
  fieldConfig: {
    defaults: Omit<FieldConfig, 'custom'> & { custom?: Custom };
    overrides: { matcher: MatcherConfig<string>; properties: { id: string; value?: unknown }[] }[];
  };
}
// Grafana fills in what is left out.
type Fields<T> = Partial<T>;
type AnyPanel = PanelOf<'stat', stat.Options, never> | PanelOf<'state-timeline', timeline.Options, Fields<timeline.FieldConfig>>
  | PanelOf<'table', table.Options, Fields<table.FieldConfig>> | PanelOf<'timeseries', timeseries.Options, Fields<timeseries.FieldConfig>>;

interface DashboardFile extends Omit<Dashboard, 'panels' | 'annotations'> {
  panels: (AnyPanel | RowPanel)[];
  annotations: { list: (PrometheusAnnotation | AnnotationQuery)[] };
}
export type Model = Json<DashboardFile>;
