/** Entry of a compute thread, which runs one task at a time. */
import { parentPort, workerData } from 'node:worker_threads';
import type { Manifest } from '@blindfit/protocol';
import { describeError, isFatal, taskErrorOf } from './errors.ts';
import type { PoolMessage, RunMessage, ThreadData, ThreadMessage } from './messages.ts';
import { runWork } from './run-work.ts';
import { noStatistics, Session } from './session.ts';

const port = parentPort;
if (port === null) throw new Error('thread.ts runs in a worker thread only');

let session: Promise<Session> | undefined;
/** The question of the current task, which waits for the answer. */
let question: PromiseWithResolvers<Manifest> | undefined;

function askManifest(digest: string): Promise<Manifest> {
  question = Promise.withResolvers();
  send({ asked: digest });
  return question.promise;
}

async function run({ run: id, work }: RunMessage): Promise<ThreadMessage> {
  let opened: Session | undefined;
  try {
    // A store that cannot be opened now is opened with the next task.
    session ??= Session.open(workerData as ThreadData, askManifest);
    opened = await session.catch((error: unknown) => {
      session = undefined;
      throw error;
    });
    const result = await runWork(opened, work);
    await opened.finishTask();
    return { run: id, result, statistics: opened.report() };
  } catch (thrown) {
    await opened?.finishTask();
    const error = describeError(thrown);
    return { run: id, error, fatal: isFatal(thrown), statistics: opened?.report() ?? noStatistics() };
  }
}

function send(message: ThreadMessage): void {
  port?.postMessage(message);
}

port.on('message', (message: PoolMessage) => {
  if ('run' in message) void run(message).then(send);
  else if ('manifest' in message) question?.resolve(message.manifest);
  else question?.reject(taskErrorOf(message.error));
});
