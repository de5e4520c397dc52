/** The entry of a child process: one service with its settings from the environment, as in `service-main.ts worker`. */
import { BlindfitError, messageOf, required, valueOf } from '@blindfit/base';
import { runService } from '@blindfit/service';
import { assertKnownVariables, readConfig, WRONG_SETTINGS, type ServiceDefinition } from '@blindfit/service/settings';

const DEFINITIONS: ReadonlyMap<string, () => Promise<ServiceDefinition>> = new Map([
  ['api', async (): Promise<ServiceDefinition> => (await import('@blindfit/api/service')).api],
  ['scheduler', async () => (await import('@blindfit/scheduler/service')).scheduler],
  ['worker', async () => (await import('@blindfit/worker/service')).worker],
]);

try {
  assertKnownVariables();
  const name = required(process.argv[2], 'the name of the service');
  const definition = await valueOf(DEFINITIONS, name, 'the services of a stack')();
  await runService(definition, readConfig(definition.table), { readyJson: true });
} catch (error) {
  const hint = error instanceof BlindfitError && error.hint !== undefined ? `hint: ${error.hint}\n` : '';
  process.stderr.write(`error: ${messageOf(error)}\n${hint}`);
  // A service that failed while starting may leave connections that retry without end.
  process.exit(error instanceof BlindfitError && WRONG_SETTINGS.includes(error.code) ? 2 : 1);
}
