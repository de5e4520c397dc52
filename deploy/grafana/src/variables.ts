/** Variables at the top of the dashboards. */
import type { DataSourceRef } from '@grafana/grafana-foundation-sdk/common';
import {
  AdHocVariableBuilder,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard';

/** Whatever the reader chose: no dashboard knows the uid of a data source. */
export const DATASOURCE: DataSourceRef = { type: 'prometheus', uid: '${datasource}' };

export function datasourceVariable(): DatasourceVariableBuilder {
  return new DatasourceVariableBuilder('datasource')
    .label('Data source')
    .description('The Prometheus that scrapes Blindfit.')
    .type('prometheus');
}

/**
 * Narrows every query of a dashboard by any label, for a Prometheus that scrapes several clusters (namespace, cluster,
 * job): which label tells them apart is not for the dashboard to know.
 */
export function filtersVariable(): AdHocVariableBuilder {
  return new AdHocVariableBuilder('filters')
    .label('Filters')
    .description('Labels that all series must have, for example the namespace of one of several clusters.')
    .datasource(DATASOURCE);
}

/** Jobs that were active, or ended less than ten minutes before, at some time that the dashboard shows. */
export function jobVariable(): QueryVariableBuilder {
  return values('blindfit_job', 'label_values(blindfit_job_state, blindfit_job)')
    .label('Job')
    .description('Active jobs, and those that ended up to ten minutes before.')
    .sort(VariableSort.AlphabeticalDesc);
}

/** Processes that take tasks: the metric is one that no scheduler has. */
export function workerVariable(): QueryVariableBuilder {
  return values('instance', 'label_values(blindfit_tasks_stalled_total, instance)')
    .label('Worker')
    .description('Worker processes.')
    .sort(VariableSort.NaturalAsc)
    .multi(true)
    .includeAll(true)
    .allValue('.+')
    .current({ selected: true, text: ['All'], value: ['$__all'] });
}

function values(name: string, query: string): QueryVariableBuilder {
  return new QueryVariableBuilder(name)
    .datasource(DATASOURCE)
    .query({ query, refId: name })
    .definition(query)
    .refresh(VariableRefresh.OnTimeRangeChanged);
}
