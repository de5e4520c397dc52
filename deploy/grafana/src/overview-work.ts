/** Rows of the overview about the work: jobs, throughput, queues and refreshes. */
import { FIRING } from './annotation.ts';
import type { Section } from './layout.ts';
import { runbook, toDashboard, toJob, UIDS } from './links.ts';
import { graph, stat, table } from './panels.ts';

export function workSections(): Section[] {
  return [
    {
      title: 'Now',
      panels: [
        stat({
          title: 'Jobs running',
          width: 3,
          unit: 'none',
          empty: '0',
          description: 'Jobs that compute. Jobs that wait for their owner are not among them.',
          queries: [{ expr: 'max(blindfit_jobs{state="running"})', legend: 'running' }],
        }),
        stat({
          title: 'Jobs queued',
          width: 3,
          unit: 'none',
          empty: '0',
          limits: [
            [null, 'text'],
            [10, 'yellow'],
          ],
          description:
            'Accepted, not started. It should be 0 but for moments: a scheduler starts a job at once, whatever ' +
            'the workers have to do.',
          queries: [{ expr: 'max(blindfit_jobs{state="queued"})', legend: 'queued' }],
          documents: [runbook('BlindfitNoScheduler')],
        }),
        stat({
          title: 'Awaiting their owner',
          width: 3,
          unit: 'none',
          empty: '0',
          limits: [
            [null, 'text'],
            [1, 'blue'],
          ],
          description: 'Jobs that no chain can take further until their owner’s client has refreshed the weights.',
          queries: [{ expr: 'max(blindfit_jobs_awaiting_refresh)', legend: 'awaiting refresh' }],
          documents: [runbook('BlindfitAwaitingRefresh')],
        }),
        stat({
          title: 'Workers',
          width: 3,
          unit: 'none',
          empty: '0',
          limits: [
            [null, 'red'],
            [1, 'green'],
          ],
          description: 'Worker processes seen in the last 30 seconds.',
          queries: [{ expr: 'max(blindfit_cluster_workers)', legend: 'workers' }],
          links: [toDashboard('Workers', UIDS.workers)],
          documents: [runbook('BlindfitNoWorkers')],
        }),
        stat({
          title: 'Threads busy',
          width: 3,
          unit: 'percentunit',
          empty: 'No threads',
          max: 1,
          description: 'Share of the workers’ compute threads that work on a task at this moment.',
          queries: [
            {
              expr:
                'sum(blindfit_threads_busy and on (job, instance) blindfit_tasks_stalled_total) / ' +
                'sum(blindfit_threads and on (job, instance) blindfit_tasks_stalled_total)',
              legend: 'busy',
            },
          ],
          links: [toDashboard('Workers', UIDS.workers)],
        }),
        stat({
          title: 'Oldest waiting task',
          width: 3,
          unit: 's',
          empty: 'None',
          limits: [
            [null, 'text'],
            [60, 'yellow'],
            [600, 'red'],
          ],
          description:
            'How long the task that has waited longest has been in the queue. Seconds are normal; minutes mean ' +
            'that there are too few workers.',
          queries: [{ expr: 'max(blindfit_queue_oldest_wait_seconds{queue="tasks"})', legend: 'oldest' }],
          documents: [runbook('BlindfitQueueLag')],
        }),
        stat({
          title: 'Processes down',
          width: 3,
          unit: 'none',
          limits: [
            [null, 'green'],
            [1, 'red'],
          ],
          description: 'APIs, schedulers and workers that Prometheus knows of and cannot scrape.',
          queries: [{ expr: 'count(up{job=~"blindfit-(api|scheduler|worker)"} == 0) or vector(0)', legend: 'down' }],
          documents: [runbook('BlindfitTargetDown')],
        }),
        stat({
          title: 'Alerts firing',
          width: 3,
          unit: 'none',
          limits: [
            [null, 'green'],
            [1, 'red'],
          ],
          description: 'Of the rules in deploy/prometheus/rules. The graphs mark when each of them fired.',
          queries: [{ expr: `count(${FIRING}) or vector(0)`, legend: 'firing' }],
          documents: [runbook()],
        }),
      ],
    },
    {
      title: 'Jobs',
      panels: [
        table({
          title: 'Active jobs',
          width: 12,
          unit: 'none',
          empty: 'No job is active',
          description: 'Jobs that are active, or ended less than ten minutes ago. A click on one opens its dashboard.',
          queries: [
            { expr: 'max by (blindfit_job, state) (blindfit_job_state == 1)', legend: '' },
            { expr: 'max by (blindfit_job) (blindfit_job_progress_ratio)', legend: '' },
            { expr: 'max by (blindfit_job) (blindfit_job_iterations_done)', legend: '' },
            { expr: 'time() - max by (blindfit_job) (blindfit_job_submitted_timestamp_seconds)', legend: '' },
          ],
          columns: [
            { field: 'blindfit_job', title: 'Job', links: [toJob('${__data.fields.Job}')] },
            { field: 'state', title: 'State' },
            { field: 'Value #B', title: 'Progress', unit: 'percentunit' },
            { field: 'Value #C', title: 'Iterations', unit: 'none' },
            { field: 'Value #D', title: 'Age', unit: 's' },
            { field: 'Value #A' },
          ],
        }),
        graph({
          title: 'Jobs by state',
          width: 6,
          unit: 'none',
          stacked: true,
          empty: 'No jobs',
          description: 'Jobs that have not ended, by state.',
          queries: [
            { expr: 'max by (state) (blindfit_jobs{state=~"queued|running|awaiting-refresh"})', legend: '{{state}}' },
          ],
        }),
        graph({
          title: 'Jobs submitted and ended',
          width: 6,
          unit: 'none',
          bars: true,
          empty: 'No job was submitted or ended',
          description: 'Within the width of each bar: submissions by kind, and ends by how they ended.',
          queries: [
            {
              expr: 'sum by (kind) (increase(blindfit_jobs_submitted_total[$__rate_interval]))',
              legend: 'submitted: {{kind}}',
            },
            { expr: 'sum by (state) (increase(blindfit_jobs_ended_total[$__rate_interval]))', legend: '{{state}}' },
          ],
          documents: [runbook('BlindfitJobsFailing')],
        }),
      ],
    },
    {
      title: 'Throughput',
      panels: [
        graph({
          title: 'Iterations',
          width: 8,
          unit: 'suffix: iterations/s',
          empty: 'Nothing is trained',
          description: 'Iterations finished in a second, each counted once for each pair of classes.',
          queries: [{ expr: 'sum(rate(blindfit_iterations_total[$__rate_interval]))', legend: 'iterations' }],
          documents: [runbook('BlindfitNoProgress')],
        }),
        graph({
          title: 'Samples',
          width: 8,
          unit: 'suffix: samples/s',
          empty: 'Nothing is trained',
          description:
            'Rows of the batches of finished iterations in a second, each counted once for each pair of ' +
            'classes: comparable between jobs of different size.',
          queries: [{ expr: 'sum(rate(blindfit_samples_total[$__rate_interval]))', legend: 'samples' }],
        }),
        graph({
          title: 'Tasks by kind',
          width: 8,
          unit: 'suffix: tasks/s',
          stacked: true,
          empty: 'No tasks',
          description: 'Tasks that workers completed in a second.',
          queries: [
            {
              expr: 'sum by (kind) (rate(blindfit_tasks_total{outcome="completed"}[$__rate_interval]))',
              legend: '{{kind}}',
            },
          ],
          links: [toDashboard('Workers', UIDS.workers)],
        }),
      ],
    },
    {
      title: 'Queues',
      panels: [
        graph({
          title: 'Queue depth',
          width: 8,
          unit: 'none',
          empty: 'No queues',
          description:
            'Entries that wait, are tried again later, or are worked on. Autoscaling of workers looks at the ' +
            'waiting tasks.',
          queries: [
            {
              expr: 'max by (queue, state) (blindfit_queue_jobs{state=~"waiting|prioritized|delayed|active"})',
              legend: '{{queue}} {{state}}',
            },
          ],
        }),
        graph({
          title: 'Queue lag',
          width: 8,
          unit: 's',
          empty: 'No queues',
          limits: [
            [null, 'text'],
            [600, 'red'],
          ],
          description:
            'Age of the oldest waiting entry of each queue; 0 when none waits. Above the line for long: start ' +
            'more workers.',
          queries: [{ expr: 'max by (queue) (blindfit_queue_oldest_wait_seconds)', legend: '{{queue}}' }],
          documents: [runbook('BlindfitQueueLag')],
        }),
        graph({
          title: 'Wait of tasks',
          width: 8,
          unit: 's',
          empty: 'No task was taken',
          description:
            'How long the tasks that were taken had waited: half of them no longer than the median, 95 % no ' +
            'longer than the other.',
          queries: [
            {
              expr:
                'histogram_quantile(0.5, sum by (le) ' + '(rate(blindfit_task_wait_seconds_bucket[$__rate_interval])))',
              legend: 'median',
            },
            {
              expr:
                'histogram_quantile(0.95, sum by (le) ' +
                '(rate(blindfit_task_wait_seconds_bucket[$__rate_interval])))',
              legend: '95 %',
            },
          ],
        }),
      ],
    },
    {
      title: 'Refreshes',
      panels: [
        graph({
          title: 'Jobs that wait for their owner',
          width: 8,
          unit: 'none',
          empty: 'No jobs',
          description:
            'Jobs that no chain can take further. They hold no process and lose nothing, however long it takes.',
          queries: [{ expr: 'max(blindfit_jobs_awaiting_refresh)', legend: 'jobs' }],
        }),
        graph({
          title: 'Longest wait at present',
          width: 8,
          unit: 's',
          empty: 'No jobs',
          limits: [
            [null, 'text'],
            [3600, 'orange'],
          ],
          description:
            'Age of the oldest refresh request that nobody has answered; 0 when there is none. Above the line ' +
            'the owner’s client is probably not running.',
          queries: [{ expr: 'max(blindfit_refresh_oldest_wait_seconds)', legend: 'oldest request' }],
          documents: [runbook('BlindfitAwaitingRefresh')],
        }),
        graph({
          title: 'Answered refreshes',
          width: 8,
          unit: 's',
          empty: 'No refresh was answered',
          description:
            'From the request to the owner’s answer: half of them no longer than the median, 95 % no longer ' +
            'than the other.',
          queries: [
            {
              expr:
                'histogram_quantile(0.5, sum by (le) ' +
                '(rate(blindfit_refresh_wait_seconds_bucket[$__rate_interval])))',
              legend: 'median',
            },
            {
              expr:
                'histogram_quantile(0.95, sum by (le) ' +
                '(rate(blindfit_refresh_wait_seconds_bucket[$__rate_interval])))',
              legend: '95 %',
            },
          ],
        }),
      ],
    },
  ];
}
