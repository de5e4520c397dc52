/** Entry of a compute thread: one SEAL instance, one task at a time. */
import { parentPort, workerData } from 'node:worker_threads';
import { describeError } from './errors.ts';
import type { RunMessage, ThreadData, ThreadMessage } from './messages.ts';
import { runWork } from './run-work.ts';
import { noStatistics, Session } from './session.ts';

const port = parentPort;
if (port === null) throw new Error('thread.ts runs in a worker thread only');

let session: Promise<Session> | undefined;

async function run({ run: id, work }: RunMessage): Promise<ThreadMessage> {
  let opened: Session | undefined;
  try {
    // A store that cannot be opened now may be there for the next task.
    session ??= Session.open(workerData as ThreadData);
    opened = await session.catch((error: unknown) => {
      session = undefined;
      throw error;
    });
    const result = await runWork(opened, work);
    await opened.finishTask();
    return { run: id, result, statistics: { ...opened.statistics } };
  } catch (thrown) {
    await opened?.finishTask();
    const { fatal, ...error } = describeError(thrown);
    return { run: id, error, fatal, statistics: { ...(opened?.statistics ?? noStatistics()) } };
  }
}

port.on('message', (message: RunMessage) => void run(message).then((answer) => port.postMessage(answer)));
