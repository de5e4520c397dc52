import type { Queue } from 'bullmq';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { JOB_STATES } from '@blindfit/contracts';
import type { JobStore } from '@blindfit/jobs';

/** What a scheduler tells Prometheus. Gauges are read from Redis at each scrape, so every scheduler shows the same. */
export class SchedulerMetrics {
  private readonly iterations: Counter;
  private readonly ended: Counter<'state'>;
  private readonly aggregation: Histogram<'kind'>;
  private readonly jobSeconds: Histogram;
  private readonly stalledSteps: Counter<'queue'>;
  private readonly lostLocks: Counter<'queue'>;

  constructor(registry: Registry, jobs: JobStore, queues: readonly Queue[]) {
    const registers = [registry];
    this.iterations = new Counter({ name: 'blindfit_iterations_total', help: 'Iterations finished, counted once for each pair of classes.', registers });
    this.ended = new Counter({ name: 'blindfit_jobs_ended_total', help: 'Jobs that this scheduler brought to an end.', labelNames: ['state'], registers });
    this.aggregation = new Histogram({ name: 'blindfit_aggregation_duration_seconds', help: 'Adding gradients, momentum and packing.', labelNames: ['kind'], buckets: [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10], registers });
    this.jobSeconds = new Histogram({ name: 'blindfit_job_duration_seconds', help: 'From submission to success.', buckets: [1, 2, 5, 10, 30, 60, 300, 1800, 7200, 28800], registers });
    this.stalledSteps = new Counter({ name: 'blindfit_steps_stalled_total', help: 'Job steps taken back from a scheduler that stopped renewing its lock.', labelNames: ['queue'], registers });
    this.lostLocks = new Counter({ name: 'blindfit_scheduler_lock_renewals_lost_total', help: 'Job steps whose lock could not be renewed.', labelNames: ['queue'], registers });
    new Gauge({
      name: 'blindfit_jobs',
      help: 'Jobs by state.',
      labelNames: ['state'],
      registers,
      async collect() {
        const counts = await jobs.countByState();
        for (const state of JOB_STATES) this.set({ state }, counts.get(state) ?? 0);
      },
    });
    new Gauge({
      name: 'blindfit_queue_jobs',
      help: 'Entries of the queues by state.',
      labelNames: ['queue', 'state'],
      registers,
      async collect() {
        for (const queue of queues) {
          for (const [state, count] of Object.entries(await queue.getJobCounts('waiting', 'active', 'delayed', 'failed', 'waiting-children'))) {
            this.set({ queue: queue.name, state }, count);
          }
        }
      },
    });
    new Gauge({
      name: 'blindfit_cluster_threads',
      help: 'Compute threads of all workers seen lately.',
      registers,
      async collect() {
        this.set((await jobs.threads()).threads);
      },
    });
  }

  iteration(): void {
    this.iterations.inc();
  }

  jobEnded(state: 'succeeded' | 'failed', seconds?: number): void {
    this.ended.inc({ state });
    if (seconds !== undefined) this.jobSeconds.observe(seconds);
  }

  aggregated(kind: string, seconds: number): void {
    this.aggregation.observe({ kind }, seconds);
  }

  stall(queue: string): void {
    this.stalledSteps.inc({ queue });
  }

  lockLost(queue: string, count: number): void {
    this.lostLocks.inc({ queue }, count);
  }
}
