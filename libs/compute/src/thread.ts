/** Entry of a compute thread: one SEAL instance, one task at a time. */
import { parentPort, workerData } from 'node:worker_threads';
import { describeError } from './errors.ts';
import type { RunMessage, ThreadData, ThreadMessage } from './messages.ts';
import { runWork } from './run-work.ts';
import { Session } from './session.ts';

const port = parentPort;
if (port === null) throw new Error('thread.ts runs in a worker thread only');

const session = Session.open(workerData as ThreadData);

async function run({ run: id, work }: RunMessage): Promise<ThreadMessage> {
  const opened = await session;
  try {
    const result = await runWork(opened, work);
    await opened.finishTask();
    return { run: id, result, statistics: { ...opened.statistics } };
  } catch (thrown) {
    await opened.finishTask();
    const { fatal, ...error } = describeError(thrown);
    return { run: id, error, fatal, statistics: { ...opened.statistics } };
  }
}

port.on('message', (message: RunMessage) => {
  run(message).then(
    (answer) => port.postMessage(answer),
    (error: unknown) => {
      // The session itself could not be opened: the pool sees the thread die with the reason.
      throw error;
    },
  );
});
