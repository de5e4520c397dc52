// Logs more than fits, in a child process with a limit on the size of files; see logger.test.ts.
import { setTimeout as sleep } from 'node:timers/promises';
import { createLogger } from '@blindfit/service';

const logger = createLogger({ service: 'test', destination: process.stderr });
for (let i = 0; i < 100; i++) {
  logger.info({ i, text: 'x'.repeat(400) });
  await sleep(1);
}
console.log('done');
