import type { ClassicDashboard } from './classic.ts';
import { dashboard } from './layout.ts';
import { runbook, toDashboard, UIDS } from './links.ts';
import { bars, graph, stat, timeline } from './panels.ts';
import { jobVariable } from './variables.ts';

/** Which job. Every API tells the same of it, hence the maximum everywhere below. */
const JOB = 'blindfit_job="$blindfit_job"';
/** Seconds since its submission, until its end. */
const ELAPSED =
  `max(blindfit_job_ended_timestamp_seconds{${JOB}} or 0 * ` +
  `blindfit_job_submitted_timestamp_seconds{${JOB}} + time()) - ` +
  `max(blindfit_job_submitted_timestamp_seconds{${JOB}})`;

/** One job: how far it is, what it does, and what holds it up. */
export function job(): ClassicDashboard {
  return dashboard({
    uid: UIDS.job,
    title: 'Blindfit: Job',
    description:
      'One job, chosen above. Its series exist while it is active and for ten minutes after its end; ' +
      'choose a time at which it was.',
    from: 'now-1h',
    variables: [jobVariable()],
    links: [toDashboard('Overview', UIDS.overview)],
    sections: [
      {
        title: 'Now',
        panels: [
          stat({
            title: 'State',
            width: 4,
            unit: 'none',
            names: true,
            empty: 'Not active',
            description: 'queued, running, awaiting-refresh, succeeded, failed or cancelled.',
            queries: [{ expr: `max by (state) (blindfit_job_state{${JOB}}) == 1`, legend: '{{state}}' }],
          }),
          stat({
            title: 'Phase',
            width: 4,
            unit: 'none',
            names: true,
            empty: 'Not active',
            description:
              'What it is at: queued, start, training, awaiting-refresh, packing, done; predicting for a prediction.',
            queries: [{ expr: `max by (phase) (blindfit_job_phase{${JOB}}) == 1`, legend: '{{phase}}' }],
          }),
          stat({
            title: 'Progress',
            width: 4,
            unit: 'percentunit',
            empty: 'Not active',
            max: 1,
            description: 'Tasks of workers that are done, of all that are planned.',
            queries: [{ expr: `max(blindfit_job_progress_ratio{${JOB}})`, legend: 'progress' }],
          }),
          stat({
            title: 'Elapsed',
            width: 4,
            unit: 's',
            empty: 'Not active',
            description: 'Since the submission, until the end if it has ended.',
            queries: [{ expr: ELAPSED, legend: 'elapsed' }],
          }),
          stat({
            title: 'Remaining, about',
            width: 4,
            unit: 's',
            empty: 'Too early to say',
            description: 'If the rest goes as quickly as what is done, waits for the owner included.',
            queries: [
              {
                expr:
                  `(${ELAPSED}) * (1 - max(blindfit_job_progress_ratio{${JOB}})) / ` +
                  `(max(blindfit_job_progress_ratio{${JOB}}) > 0)`,
                legend: 'remaining',
              },
            ],
          }),
          stat({
            title: 'Oldest open refresh',
            width: 4,
            unit: 's',
            empty: 'Not active',
            limits: [
              [null, 'text'],
              [60, 'yellow'],
              [3600, 'orange'],
            ],
            description:
              'How long the oldest request for a refresh has waited; 0 when there is none. The owner’s client ' +
              'answers it: blindfit attach, on the owner’s machine.',
            queries: [{ expr: `max(blindfit_job_awaiting_refresh_seconds{${JOB}})`, legend: 'waits' }],
            documents: [runbook('BlindfitAwaitingRefresh')],
          }),
        ],
      },
      {
        title: 'Progress',
        panels: [
          graph({
            title: 'Progress',
            width: 8,
            unit: 'percentunit',
            max: 1,
            empty: 'Not active at this time',
            description:
              'A straight line is a job that gets on evenly; a level stretch is a wait for the owner or for workers.',
            queries: [{ expr: `max(blindfit_job_progress_ratio{${JOB}})`, legend: 'progress' }],
            documents: [runbook('BlindfitNoProgress')],
          }),
          graph({
            title: 'Iterations',
            width: 8,
            unit: 'none',
            empty: 'Not active at this time',
            description: 'Done by the slowest chain of classes, and planned.',
            queries: [
              { expr: `max(blindfit_job_iterations_done{${JOB}})`, legend: 'done' },
              { expr: `max(blindfit_job_iterations_planned{${JOB}})`, legend: 'planned' },
            ],
          }),
          timeline({
            title: 'States and phases',
            width: 8,
            unit: 'none',
            empty: 'Not active at this time',
            description: 'When the job was in which state, and in which phase.',
            queries: [
              { expr: `max by (state) (blindfit_job_state{${JOB}}) == 1`, legend: '{{state}}' },
              { expr: `max by (phase) (blindfit_job_phase{${JOB}}) == 1`, legend: 'phase: {{phase}}' },
            ],
          }),
        ],
      },
      {
        title: 'Tasks',
        panels: [
          graph({
            title: 'Tasks by kind',
            width: 6,
            unit: 'suffix: tasks/s',
            stacked: true,
            empty: 'No task was done at this time',
            description: 'Tasks of workers and steps of schedulers that were recorded in a second.',
            queries: [
              {
                expr: `max by (kind) (rate(blindfit_job_tasks_done_total{${JOB}}[$__rate_interval]))`,
                legend: '{{kind}}',
              },
            ],
          }),
          graph({
            title: 'Duration of a task by kind',
            width: 6,
            unit: 's',
            empty: 'No task was done at this time',
            description: 'Mean over the tasks that ended at this time. Tasks are cut to take 0.2 to 2 s.',
            queries: [
              {
                expr:
                  `max by (kind) (rate(blindfit_job_task_seconds_total{${JOB}}[$__rate_interval])) / (max by ` +
                  `(kind) (rate(blindfit_job_tasks_done_total{${JOB}}[$__rate_interval])) > 0)`,
                legend: '{{kind}}',
              },
            ],
          }),
          bars({
            title: 'Slowest task by kind',
            width: 6,
            unit: 's',
            empty: 'No task is done',
            description: 'The longest that a task of this job took in its thread.',
            queries: [{ expr: `max by (kind) (blindfit_job_task_max_seconds{${JOB}})`, legend: '{{kind}}' }],
          }),
          bars({
            title: 'Stragglers: slowest to mean',
            width: 6,
            unit: 'suffix: x',
            empty: 'No task is done',
            limits: [
              [null, 'green'],
              [3, 'yellow'],
              [10, 'red'],
            ],
            description:
              'How many times the mean the slowest task took. Beyond 3 some worker is slower than the rest, or ' +
              'its machine has other things to do.',
            queries: [
              {
                expr:
                  `max by (kind) (blindfit_job_task_max_seconds{${JOB}}) / (max by (kind) ` +
                  `(blindfit_job_task_seconds_total{${JOB}} / blindfit_job_tasks_done_total{${JOB}}) > 0)`,
                legend: '{{kind}}',
              },
            ],
            links: [toDashboard('Workers', UIDS.workers)],
          }),
        ],
      },
      {
        title: 'Homomorphic operations and refreshes',
        panels: [
          graph({
            title: 'Operations',
            width: 8,
            unit: 'ops',
            stacked: true,
            empty: 'Nothing was computed at this time',
            description: 'Homomorphic operations of this job in a second; conjugations count as rotations.',
            queries: [
              {
                expr: `max by (operation) (rate(blindfit_job_operations_total{${JOB}}[$__rate_interval]))`,
                legend: '{{operation}}',
              },
            ],
          }),
          bars({
            title: 'Operations so far',
            width: 8,
            unit: 'none',
            empty: 'Nothing is computed yet',
            description:
              'At the end they are those that blindfit plan had counted, however often a task had to be repeated.',
            queries: [{ expr: `max by (operation) (blindfit_job_operations_total{${JOB}})`, legend: '{{operation}}' }],
          }),
          stat({
            title: 'Refreshes',
            width: 4,
            unit: 'none',
            empty: 'None',
            description: 'Answers of the owner so far, over all chains.',
            queries: [{ expr: `max(blindfit_job_refreshes_total{${JOB}})`, legend: 'refreshes' }],
          }),
          stat({
            title: 'Waited for the owner',
            width: 4,
            unit: 's',
            empty: 'Not active',
            description: 'From each request to its answer, in all; other chains go on meanwhile.',
            queries: [{ expr: `max(blindfit_job_refresh_wait_seconds_total{${JOB}})`, legend: 'waited' }],
          }),
        ],
      },
    ],
  });
}
