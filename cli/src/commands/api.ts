import type { Command } from 'commander';
import { api } from '@blindfit/api/service';
import { serviceCommand } from '../service-command.ts';

export function register(program: Command): void {
  serviceCommand(program, api, {
    summary: 'run the API server',
    description:
      'Runs the API: takes blobs and jobs, tells their progress, hands out results. Any number may run on ' +
      'one Redis and one store.',
    notes: `The bearer token that clients must send comes from the environment: BLINDFIT_TOKEN. With another one in
BLINDFIT_OPERATOR_TOKEN operators see the queues at /admin/queues. BLINDFIT_WORK_TOKEN is for schedulers and workers
only, BLINDFIT_METRICS_TOKEN for Prometheus only.`,
    examples: [
      'export BLINDFIT_TOKEN=$(openssl rand -hex 32)',
      'blindfit api --redis redis://127.0.0.1:6379 --store file:///var/lib/blindfit/blobs',
      'blindfit api --redis rediss://queue.internal --store file:///mnt/shared/blobs --host 0.0.0.0 --port 8080',
    ],
  });
}
