import type { ClassicDashboard } from './classic.ts';
import { job } from './job.ts';
import { overview } from './overview.ts';
import { workers } from './workers.ts';

export { DOCS_URL, UIDS } from './links.ts';

/** All dashboards, by the name of their file in `dashboards/`. */
export function dashboards(): Map<string, ClassicDashboard> {
  return new Map([
    ['overview.json', overview()],
    ['job.json', job()],
    ['workers.json', workers()],
  ]);
}

/** A dashboard as its file holds it. */
export function fileOf(dashboard: ClassicDashboard): string {
  return `${JSON.stringify(dashboard, null, 2)}\n`;
}
