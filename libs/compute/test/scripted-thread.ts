/** A thread that does what its work says, for tests of the pool. It computes nothing. */
import { parentPort, workerData } from 'node:worker_threads';
import type { ComputeResult, FailedMessage, RunMessage, ThreadData } from '../src/messages.ts';
import { noStatistics } from '../src/session.ts';

export interface Script {
  /** `stop`: waits for the flag and stops; `deaf`: never stops; `lose`: ends the thread. */
  readonly does: 'finish' | 'fail' | 'crash' | 'stop' | 'deaf' | 'lose';
  /** Milliseconds until then. */
  readonly after?: number;
}

const statistics = noStatistics();
const data = workerData as ThreadData;
const flag = new Int32Array(data.cancelFlag);

parentPort?.on('message', ({ run, work }: RunMessage) => {
  const { does, after = 0 } = work as unknown as Script;
  const post = (message: object): void => {
    statistics.keyHits += 1;
    statistics.bytesRead += 10;
    statistics.heapBytes = 1000 * run;
    statistics.levelsWritten = [1, 2 * statistics.keyHits];
    parentPort?.postMessage({ run, ...message, statistics: { ...statistics } });
  };
  const fail = (code: string, retryable: boolean, fatal = false): void =>
    post({
      error: { code, message: code.toLowerCase(), retryable, fault: fatal ? 'host' : 'task' },
      fatal,
    } satisfies Partial<FailedMessage>);
  if (does === 'stop') {
    // As between two homomorphic operations: the thread is blocked.
    while (Atomics.load(flag, 0) === 0) Atomics.wait(flag, 0, 0, 5);
    fail('TASK_CANCELLED', false);
    return;
  }
  if (does === 'deaf') for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
  setTimeout(() => {
    if (does === 'lose') process.exit(3);
    if (does === 'fail') fail('HE_WIRE', false);
    if (does === 'crash') fail('HE_SEAL_CRASHED', true, true);
    if (does === 'finish') {
      const outputs = [JSON.stringify({ run, flag: flag[0], ...data, cancelFlag: undefined })];
      post({ result: { outputs } as unknown as ComputeResult });
    }
  }, after);
});
