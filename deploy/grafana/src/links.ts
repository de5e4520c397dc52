/** Where dashboards and documents are found: from panels, from other dashboards, from outside. */
import { DashboardLinkBuilder, DashboardLinkType } from '@grafana/grafana-foundation-sdk/dashboard';

/** Stable for ever: bookmarks, links and permissions hang on them. */
export const UIDS = { overview: 'blindfit-overview', job: 'blindfit-job', workers: 'blindfit-workers' } as const;

/** What all dashboards of ours carry, and the menu between them lists. */
export const TAG = 'blindfit';

/**
 * Where this project's `docs` folder can be read. A place holder: deploy/README.md says how to put yours in, here and
 * in the alerting rules.
 */
export const DOCS_URL = 'https://blindfit.example.org/docs';

/** A section of the runbook. @param heading as it is written there; the page itself without one */
export function runbook(heading?: string): DashboardLinkBuilder {
  const anchor = heading === undefined ? '' : `#${heading.toLowerCase().replaceAll(' ', '-')}`;
  return toUrl(
    heading === undefined ? 'Runbook' : `Runbook: ${heading}`,
    `${DOCS_URL}/operations/runbook.md${anchor}`,
  ).targetBlank(true);
}

/** What a metric means. */
export function metricsPage(): DashboardLinkBuilder {
  return toUrl('What the metrics mean', `${DOCS_URL}/reference/metrics.md`).targetBlank(true);
}

/** The dashboard of one job, over the same time. @param job a Grafana variable that holds its id */
export function toJob(job: string): DashboardLinkBuilder {
  return toUrl(
    'Open this job',
    `/d/${UIDS.job}?var-blindfit_job=${job}&var-datasource=\${datasource}&\${__url_time_range}`,
  );
}

/** The dashboard of workers, narrowed to one process. @param instance a Grafana variable that holds its address */
export function toWorker(instance: string): DashboardLinkBuilder {
  return toUrl(
    'Open this worker',
    `/d/${UIDS.workers}?var-instance=${instance}&var-datasource=\${datasource}&\${__url_time_range}`,
  );
}

/** All dashboards, over the same time and from the same data source. */
export function toDashboard(title: string, uid: string): DashboardLinkBuilder {
  return toUrl(title, `/d/${uid}?var-datasource=\${datasource}&\${__url_time_range}`);
}

/** The menu at the top of every dashboard: our other dashboards. */
export function menu(): DashboardLinkBuilder {
  return new DashboardLinkBuilder('Blindfit')
    .type(DashboardLinkType.Dashboards)
    .tags([TAG])
    .icon('external link')
    .asDropdown(false)
    .includeVars(false)
    .keepTime(true)
    .tooltip('');
}

function toUrl(title: string, url: string): DashboardLinkBuilder {
  return new DashboardLinkBuilder(title).type(DashboardLinkType.Link).url(url).icon('doc').tooltip(title);
}
