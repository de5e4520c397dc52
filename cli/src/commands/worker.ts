import type { Command } from 'commander';
import { worker } from '@blindfit/worker/service';
import { serviceCommand } from '../service-command.ts';

export function register(program: Command): void {
  serviceCommand(program, worker, {
    summary: 'run a worker',
    description:
      'Runs a worker: computes on ciphertexts, with as many threads as the machine has cores. Any number may ' +
      'run, on any number of machines.',
    notes: 'With an http(s) store, BLINDFIT_TOKEN must hold the token of that API.',
    examples: [
      'blindfit worker --redis redis://queue.internal:6379 --store file:///mnt/shared/blobs',
      'BLINDFIT_TOKEN=... blindfit worker --redis redis://queue.internal:6379 --store https://api.internal ' +
        '--threads 64 --metrics-port 9464',
    ],
  });
}
