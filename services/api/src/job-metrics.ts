import { Counter, Gauge, Registry } from 'prom-client';
import { JOB_STATES } from '@blindfit/protocol';
import type { JobFigures } from '@blindfit/queue';

const PHASES = ['queued', 'start', 'training', 'predicting', 'awaiting-refresh', 'packing', 'done'] as const;

/**
 * The metrics of one job, without its id: the scrape of a job is a target of its own, and its labels say which job it
 * is. Their number is bounded by the states, phases, kinds of tasks and operations there are.
 */
export function jobMetrics(figures: JobFigures): Registry {
  const { view, tasks } = figures;
  const { progress } = view;
  const registry = new Registry();
  const registers = [registry];
  oneOf('state', 'blindfit_job_state', 'Is 1 for the state the job is in, 0 for all others.', JOB_STATES, view.state);
  oneOf('phase', 'blindfit_job_phase', 'Is 1 for the phase the job is in, 0 for all others.', PHASES, progress.phase);
  gauge('blindfit_job_iterations_done', 'Iterations that every pair of classes has finished.', progress.iteration);
  gauge('blindfit_job_iterations_planned', 'Iterations in all.', progress.iterations);
  gauge('blindfit_job_tasks_planned', 'Tasks of workers in all.', progress.tasksTotal);
  gauge(
    'blindfit_job_progress_ratio',
    'Tasks of workers that are done, of all planned.',
    progress.tasksTotal === 0 ? 0 : Math.min(1, progress.tasksDone / progress.tasksTotal),
  );
  gauge(
    'blindfit_job_levels_left',
    'Multiplicative levels the slowest pair of classes still has.',
    progress.levelsLeft,
  );

  const done = new Counter({
    name: 'blindfit_job_tasks_done_total',
    help: 'Tasks done, the scheduler’s own included.',
    labelNames: ['kind'],
    registers,
  });
  const seconds = new Counter({
    name: 'blindfit_job_task_seconds_total',
    help: 'Time these tasks took in a compute thread.',
    labelNames: ['kind'],
    registers,
  });
  const slowest = new Gauge({
    name: 'blindfit_job_task_max_seconds',
    help: 'Time the slowest of them took.',
    labelNames: ['kind'],
    registers,
  });
  for (const { kind, done: count, seconds: sum, slowest: max } of tasks) {
    done.inc({ kind }, count);
    seconds.inc({ kind }, sum);
    slowest.set({ kind }, max);
  }
  const operations = new Counter({
    name: 'blindfit_job_operations_total',
    help: 'Homomorphic operations.',
    labelNames: ['operation'],
    registers,
  });
  for (const [operation, count] of Object.entries(figures.operations)) operations.inc({ operation }, count);

  new Counter({ name: 'blindfit_job_refreshes_total', help: 'Refreshes that the owner has answered.', registers }).inc(
    figures.refreshes,
  );
  new Counter({
    name: 'blindfit_job_refresh_wait_seconds_total',
    help: 'From each request to its answer, in all.',
    registers,
  }).inc(figures.refreshSeconds);
  gauge(
    'blindfit_job_awaiting_refresh_seconds',
    'Time the oldest open request for a refresh has waited; 0 when there is none.',
    figures.awaitingSeconds,
  );
  gauge('blindfit_job_submitted_timestamp_seconds', 'When the job was submitted.', Date.parse(view.createdAt) / 1000);
  const ended = gauge('blindfit_job_ended_timestamp_seconds', 'When it ended; no sample before.', 0);
  if (view.finishedAt === undefined) ended.remove({});
  else ended.set(Date.parse(view.finishedAt) / 1000);
  return registry;

  function gauge(name: string, help: string, value: number): Gauge {
    const made = new Gauge({ name, help, registers });
    made.set(value);
    return made;
  }

  function oneOf(label: 'state' | 'phase', name: string, help: string, all: readonly string[], current: string): void {
    const made = new Gauge({ name, help, labelNames: [label], registers });
    for (const value of all) made.set({ [label]: value }, value === current ? 1 : 0);
  }
}
