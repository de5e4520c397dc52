/** Rows of the overview about the health of the cluster: errors, the API, Redis and the store. */
import type { Section } from './layout.ts';
import { runbook } from './links.ts';
import { graph } from './panels.ts';

/** Streams of events last as long as somebody watches, and say nothing about how quick the API is. */
const ANSWERS = 'route!~".*/events"';

export function healthSections(): Section[] {
  return [
    {
      title: 'Errors',
      panels: [
        graph({
          title: 'Tasks that did not succeed',
          width: 8,
          unit: 'suffix: tasks/s',
          stacked: true,
          empty: 'Every task succeeded',
          description:
            'Retried: tried again shortly. Failed: for good, and their job with them. Cancelled: their job had ' +
            'ended.',
          queries: [
            {
              expr: 'sum by (outcome) (rate(blindfit_tasks_total{outcome!="completed"}[$__rate_interval]))',
              legend: '{{outcome}}',
            },
          ],
          documents: [runbook('BlindfitTasksFailing')],
        }),
        graph({
          title: 'Stalled',
          width: 8,
          unit: 'none',
          bars: true,
          empty: 'Nothing stalled',
          description:
            'Tasks and job steps taken back from a process that died or stopped answering, and locks that ' +
            'could not be renewed. Nothing is lost; another process does them.',
          queries: [
            { expr: 'sum(increase(blindfit_tasks_stalled_total[$__rate_interval]))', legend: 'tasks' },
            { expr: 'sum(increase(blindfit_steps_stalled_total[$__rate_interval]))', legend: 'job steps' },
            { expr: 'sum(increase(blindfit_lock_renewals_lost_total[$__rate_interval]))', legend: 'locks of tasks' },
            {
              expr: 'sum(increase(blindfit_scheduler_lock_renewals_lost_total[$__rate_interval]))',
              legend: 'locks of job steps',
            },
          ],
          documents: [runbook('BlindfitTasksStalled')],
        }),
        graph({
          title: 'Longest time without progress',
          width: 8,
          unit: 's',
          empty: 'No job runs',
          limits: [
            [null, 'text'],
            [900, 'red'],
          ],
          description:
            'Of the jobs that run and do not wait for their owner: the longest time since one of their tasks ' +
            'or iterations was recorded.',
          queries: [{ expr: 'max(blindfit_job_oldest_progress_seconds)', legend: 'oldest progress' }],
          documents: [runbook('BlindfitNoProgress')],
        }),
      ],
    },
    {
      title: 'API',
      panels: [
        graph({
          title: 'Requests',
          width: 6,
          unit: 'reqps',
          stacked: true,
          empty: 'No requests',
          description: 'By status. 401 is a wrong token, 404 and 409 are usual answers, 5xx are errors of the server.',
          queries: [
            {
              expr: 'sum by (status) (rate(blindfit_http_request_duration_seconds_count[$__rate_interval]))',
              legend: '{{status}}',
            },
          ],
          documents: [runbook('BlindfitApiErrors')],
        }),
        graph({
          title: 'Latency',
          width: 6,
          unit: 's',
          empty: 'No requests',
          description:
            'From the request line to the last byte of the answer, uploads and downloads included, streams of ' +
            'events left out.',
          queries: [
            {
              expr:
                'histogram_quantile(0.5, sum by (le) ' +
                `(rate(blindfit_http_request_duration_seconds_bucket{${ANSWERS}}[$__rate_interval])))`,
              legend: 'median',
            },
            {
              expr:
                'histogram_quantile(0.95, sum by (le) ' +
                `(rate(blindfit_http_request_duration_seconds_bucket{${ANSWERS}}[$__rate_interval])))`,
              legend: '95 %',
            },
            {
              expr:
                'histogram_quantile(0.99, sum by (le) ' +
                `(rate(blindfit_http_request_duration_seconds_bucket{${ANSWERS}}[$__rate_interval])))`,
              legend: '99 %',
            },
          ],
        }),
        graph({
          title: 'Traffic of blobs',
          width: 6,
          unit: 'Bps',
          empty: 'No API',
          description: 'Ciphertexts and keys that clients, schedulers and workers send to the API and get from it.',
          queries: [
            { expr: 'sum(rate(blindfit_api_blob_received_bytes_total[$__rate_interval]))', legend: 'received' },
            { expr: 'sum(rate(blindfit_api_blob_sent_bytes_total[$__rate_interval]))', legend: 'sent' },
          ],
        }),
        graph({
          title: 'Clients that watch a job',
          width: 6,
          unit: 'none',
          empty: 'No API',
          description: 'Open streams of events.',
          queries: [{ expr: 'sum(blindfit_api_event_streams)', legend: 'streams' }],
        }),
      ],
    },
    {
      title: 'Redis and store',
      panels: [
        graph({
          title: 'Connections to Redis',
          width: 6,
          unit: 'none',
          empty: 'No process',
          max: 1,
          description: 'The smallest over all processes: 1 while every one of them is connected, 0 when one is not.',
          queries: [{ expr: 'min(blindfit_redis_up)', legend: 'connected' }],
          documents: [runbook('BlindfitRedisUnreachable')],
        }),
        graph({
          title: 'Redis memory',
          width: 6,
          unit: 'percentunit',
          empty: 'Redis cannot be asked',
          max: 1,
          limits: [
            [null, 'text'],
            [0.85, 'red'],
          ],
          description:
            'Share of maxmemory, or of the machine’s memory where none is set. A full Redis with noeviction ' +
            'refuses writes, and every job stops.',
          queries: [
            { expr: 'max(blindfit_redis_memory_used_bytes / blindfit_redis_memory_limit_bytes)', legend: 'used' },
          ],
          documents: [runbook('BlindfitRedisMemoryNearLimit')],
        }),
        graph({
          title: 'Free space of the store',
          width: 6,
          unit: 'percentunit',
          empty: 'The store is no directory',
          max: 1,
          limits: [
            [null, 'red'],
            [0.05, 'orange'],
            [0.15, 'text'],
          ],
          description: 'Of the file system that holds the blobs.',
          queries: [{ expr: 'min(blindfit_store_free_bytes / blindfit_store_size_bytes)', legend: 'free' }],
          documents: [runbook('BlindfitStoreNearlyFull')],
        }),
        graph({
          title: 'Blobs',
          width: 6,
          unit: 'bytes',
          empty: 'Nothing was collected yet',
          description:
            'Left in the store at the last collection, which comes a minute after the API’s start and every hour.',
          queries: [{ expr: 'max(blindfit_blob_bytes)', legend: 'in the store' }],
        }),
      ],
    },
  ];
}
