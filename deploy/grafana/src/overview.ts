import type { ClassicDashboard } from './classic.ts';
import { dashboard } from './layout.ts';
import { UIDS } from './links.ts';
import { healthSections } from './overview-health.ts';
import { workSections } from './overview-work.ts';

/** The whole cluster: is it up, does it get on, is somebody waited for, does something fail. */
export function overview(): ClassicDashboard {
  return dashboard({
    uid: UIDS.overview,
    title: 'Blindfit: Overview',
    description:
      'Jobs, throughput, queues, refreshes and errors of a whole cluster. Figures of the cluster are read ' +
      'from Redis by the API and by every scheduler; the largest is shown, never the sum.',
    from: 'now-3h',
    variables: [],
    sections: [...workSections(), ...healthSections()],
  });
}
