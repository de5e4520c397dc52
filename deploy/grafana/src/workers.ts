import type { ClassicDashboard } from './classic.ts';
import { dashboard } from './layout.ts';
import { runbook, toDashboard, toWorker, UIDS } from './links.ts';
import { graph, heatmap, stat, table } from './panels.ts';
import { workerVariable } from './variables.ts';

const WORKER = 'instance=~"$instance"';

/** The processes that compute: threads, operations, caches, memory. */
export function workers(): ClassicDashboard {
  return dashboard({
    uid: UIDS.workers,
    title: 'Blindfit: Workers',
    description: 'Threads, homomorphic operations, caches and memory of the worker processes chosen above.',
    from: 'now-1h',
    variables: [workerVariable()],
    links: [toDashboard('Overview', UIDS.overview)],
    sections: [
      {
        title: 'Now',
        panels: [
          stat({
            title: 'Workers',
            width: 4,
            unit: 'none',
            empty: '0',
            limits: [
              [null, 'red'],
              [1, 'green'],
            ],
            description: 'Worker processes that Prometheus scrapes.',
            queries: [{ expr: `count(blindfit_tasks_stalled_total{${WORKER}})`, legend: 'workers' }],
            documents: [runbook('BlindfitNoWorkers')],
          }),
          stat({
            title: 'Threads',
            width: 4,
            unit: 'none',
            empty: '0',
            description: 'Compute threads, each with an instance of SEAL.',
            queries: [{ expr: `sum(blindfit_threads{${WORKER}})`, legend: 'threads' }],
          }),
          stat({
            title: 'Threads busy',
            width: 4,
            unit: 'none',
            empty: '0',
            description: 'Threads that work on a task at this moment.',
            queries: [{ expr: `sum(blindfit_threads_busy{${WORKER}})`, legend: 'busy' }],
          }),
          table({
            title: 'Processes',
            width: 12,
            unit: 'none',
            empty: 'No worker',
            description:
              'What evaluates ciphertexts in each worker, its threads and its memory. A click on an address ' +
              'shows that worker alone.',
            queries: [
              { expr: `max by (instance, evaluator, kernel) (blindfit_evaluator_info{${WORKER}})`, legend: '' },
              { expr: `max by (instance) (blindfit_threads{${WORKER}})`, legend: '' },
              { expr: `max by (instance) (process_resident_memory_bytes{${WORKER}})`, legend: '' },
              { expr: `time() - max by (instance) (process_start_time_seconds{${WORKER}})`, legend: '' },
            ],
            columns: [
              { field: 'instance', title: 'Worker', links: [toWorker('${__data.fields.Worker}')] },
              { field: 'evaluator', title: 'Evaluator' },
              { field: 'kernel', title: 'Kernel' },
              { field: 'Value #B', title: 'Threads', unit: 'none' },
              { field: 'Value #C', title: 'Memory', unit: 'bytes' },
              { field: 'Value #D', title: 'Up for', unit: 's' },
              { field: 'Value #A' },
            ],
          }),
        ],
      },
      {
        title: 'Threads',
        panels: [
          graph({
            title: 'Utilisation',
            width: 8,
            unit: 'percentunit',
            max: 1,
            empty: 'No worker',
            description:
              'Share of their time that threads spent on tasks. Low while tasks wait: look at Redis and the ' +
              'store. Low while none wait: there are more workers than work.',
            queries: [
              {
                expr:
                  `sum by (instance) (rate(blindfit_thread_busy_seconds_total{${WORKER}}[$__rate_interval])) / sum ` +
                  `by (instance) (blindfit_threads{${WORKER}})`,
                legend: '{{instance}}',
              },
            ],
          }),
          graph({
            title: 'Threads busy',
            width: 8,
            unit: 'none',
            stacked: true,
            empty: 'No worker',
            description: 'Threads at work when they were asked.',
            queries: [{ expr: `sum by (instance) (blindfit_threads_busy{${WORKER}})`, legend: '{{instance}}' }],
          }),
          graph({
            title: 'Duration of tasks',
            width: 8,
            unit: 's',
            empty: 'No task ended',
            description: '95 % of the tasks of a kind took no longer, from leaving the queue to the recorded result.',
            queries: [
              {
                expr:
                  'histogram_quantile(0.95, sum by (le, kind) ' +
                  `(rate(blindfit_task_duration_seconds_bucket{${WORKER}}[$__rate_interval])))`,
                legend: '{{kind}}',
              },
            ],
          }),
        ],
      },
      {
        title: 'Homomorphic operations',
        panels: [
          graph({
            title: 'Operations',
            width: 8,
            unit: 'ops',
            stacked: true,
            empty: 'Nothing was computed',
            description: 'Homomorphic operations in a second; conjugations count as rotations.',
            queries: [
              {
                expr: `sum by (operation) (rate(blindfit_he_operations_total{${WORKER}}[$__rate_interval]))`,
                legend: '{{operation}}',
              },
            ],
          }),
          graph({
            title: 'Operations of a busy thread',
            width: 8,
            unit: 'ops',
            empty: 'Nothing was computed',
            description:
              'By worker: operations in a second of work. One that lies below the others has a slower machine, ' +
              'or shares it.',
            queries: [
              {
                expr:
                  `sum by (instance) (rate(blindfit_he_operations_total{${WORKER}}[$__rate_interval])) / (sum by ` +
                  `(instance) (rate(blindfit_thread_busy_seconds_total{${WORKER}}[$__rate_interval])) > 0)`,
                legend: '{{instance}}',
              },
            ],
          }),
          heatmap({
            title: 'Levels of results',
            width: 8,
            unit: 'none',
            empty: 'No result was written',
            description:
              'Multiplicative levels left in the ciphertexts that tasks wrote. They fall over an iteration and ' +
              'rise with each refresh.',
            queries: [
              {
                expr: `sum by (le) (increase(blindfit_ciphertext_level_bucket{${WORKER}}[$__rate_interval]))`,
                legend: '{{le}}',
              },
            ],
          }),
        ],
      },
      {
        title: 'Caches and blobs',
        panels: [
          graph({
            title: 'Hits of the caches',
            width: 8,
            unit: 'percentunit',
            max: 1,
            empty: 'Nothing was asked for',
            description:
              'Share of requests that a cache could serve. ciphertext: parsed, in a thread. blob: files, with an ' +
              'http or S3 store only.',
            queries: [
              {
                expr:
                  `sum by (cache) (rate(blindfit_cache_requests_total{${WORKER}, ` +
                  'outcome="hit"}[$__rate_interval])) / (sum by (cache) ' +
                  `(rate(blindfit_cache_requests_total{${WORKER}}[$__rate_interval])) > 0)`,
                legend: '{{cache}}',
              },
            ],
          }),
          graph({
            title: 'Keys',
            width: 8,
            unit: 'percentunit',
            max: 1,
            empty: 'No keys were asked for',
            description:
              'Share of tasks that found their keyset in their thread, and share of the threads’ time that went ' +
              'into loading keys. Few hits: jobs of many keysets take turns; more key memory helps.',
            queries: [
              {
                expr:
                  `sum(rate(blindfit_key_cache_requests_total{${WORKER}, outcome="hit"}[$__rate_interval])) / ` +
                  `(sum(rate(blindfit_key_cache_requests_total{${WORKER}}[$__rate_interval])) > 0)`,
                legend: 'hits',
              },
              {
                expr:
                  `sum(rate(blindfit_key_load_seconds_total{${WORKER}}[$__rate_interval])) / ` +
                  `sum(blindfit_threads{${WORKER}})`,
                legend: 'time spent loading',
              },
            ],
          }),
          graph({
            title: 'Traffic of blobs',
            width: 8,
            unit: 'Bps',
            empty: 'No worker',
            description: 'Intermediate results that threads read and wrote.',
            queries: [
              {
                expr: `sum by (direction) (rate(blindfit_blob_bytes_total{${WORKER}}[$__rate_interval]))`,
                legend: '{{direction}}',
              },
            ],
          }),
        ],
      },
      {
        title: 'Memory and event loop',
        panels: [
          graph({
            title: 'Memory against its limit',
            width: 6,
            unit: 'percentunit',
            max: 1,
            empty: 'No worker',
            limits: [
              [null, 'text'],
              [0.9, 'red'],
            ],
            description:
              'Resident memory as a share of what the process may use: the limit of its container, or the memory of ' +
              'the machine.',
            queries: [
              {
                expr:
                  `max by (instance) (process_resident_memory_bytes{${WORKER}} / on (job, instance) ` +
                  `blindfit_memory_limit_bytes{${WORKER}})`,
                legend: '{{instance}}',
              },
            ],
            documents: [runbook('BlindfitMemoryNearLimit')],
          }),
          graph({
            title: 'Memory',
            width: 6,
            unit: 'bytes',
            empty: 'No worker',
            description: 'Resident memory: the heaps of all threads, and Node itself.',
            queries: [{ expr: `max by (instance) (process_resident_memory_bytes{${WORKER}})`, legend: '{{instance}}' }],
          }),
          graph({
            title: 'WebAssembly heaps',
            width: 6,
            unit: 'bytes',
            stacked: true,
            empty: 'No thread has computed yet',
            description:
              'Memory of the SEAL instances, over the threads of a worker. It grows to what the largest task ' +
              'needs and is never given back.',
            queries: [{ expr: `sum by (instance) (blindfit_wasm_heap_bytes{${WORKER}})`, legend: '{{instance}}' }],
          }),
          graph({
            title: 'Event-loop lag',
            width: 6,
            unit: 's',
            empty: 'No worker',
            limits: [
              [null, 'text'],
              [1, 'orange'],
            ],
            description:
              '99 % of the turns of the main thread were late by no more than this. It only moves messages: ' +
              'beyond a second, locks are renewed late and tasks stall.',
            queries: [
              { expr: `max by (instance) (nodejs_eventloop_lag_p99_seconds{${WORKER}})`, legend: '{{instance}}' },
            ],
            documents: [runbook('BlindfitTasksStalled')],
          }),
        ],
      },
    ],
  });
}
