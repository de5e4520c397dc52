import type { Command } from 'commander';
import { scheduler } from '@blindfit/scheduler/service';
import { serviceCommand } from '../service-command.ts';

export function register(program: Command): void {
  serviceCommand(program, scheduler, {
    summary: 'run a scheduler',
    description:
      'Runs a scheduler: cuts jobs into tasks, adds up what the workers found, and starts the next ' +
      'iteration. Needs no keys. Several may run.',
    notes: 'With an http(s) store, BLINDFIT_TOKEN must hold the token of that API.',
    examples: [
      'blindfit scheduler --redis redis://queue.internal:6379 --store file:///mnt/shared/blobs --metrics-port 9465',
    ],
  });
}
