// A service that takes a while to stop; see shutdown.test.ts.
import { setTimeout as sleep } from 'node:timers/promises';
import { createLogger, createShutdown } from '@blindfit/service';

const shutdown = createShutdown({ logger: createLogger({ service: 'child', level: 'silent' }) });
const life = setInterval(() => undefined, 1000);
shutdown.onShutdown('life', async () => {
  process.stdout.write('stopping ');
  await sleep(1000);
  process.stdout.write('stopped ');
  clearInterval(life);
});
process.stdout.write('up ');
