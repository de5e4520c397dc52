import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InterruptedError } from '../src/errors.ts';
import { leaveJob } from '../src/train/leave.ts';

interface Outcome {
  readonly text: string;
  readonly cancelled: number;
}

async function leave(signal: NodeJS.Signals, again: AbortSignal, waitMs: number, refusal?: Error): Promise<Outcome> {
  let [text, cancelled] = ['', 0];
  const job = {
    id: 'job-1',
    flags: ['--server', 'http://127.0.0.1:1', '--keys', "my keys' place"],
    cancel: () => {
      cancelled++;
      return refusal === undefined ? Promise.resolve() : Promise.reject(refusal);
    },
  };
  await leaveJob(job, new InterruptedError(signal), again, (part) => (text += part), waitMs);
  return { text, cancelled };
}

const never = new AbortController().signal;
const at = AbortSignal.abort();

test('a job that is left goes on, and the way back can be pasted into a shell', async () => {
  const { text, cancelled } = await leave('SIGINT', never, 1);
  assert.equal(cancelled, 0);
  assert.match(
    text,
    /^\njob-1 goes on, .*\n {2}blindfit attach job-1 --server http:\/\/127\.0\.0\.1:1 --keys 'my keys'\\'' place'\n/,
  );
  assert.match(text, /Ctrl-C again within 0.001 s cancels it\.\n$/);
});

test('a second request cancels it, at once and also when it came before', async () => {
  const second = new AbortController();
  setTimeout(() => second.abort(), 5);
  for (const again of [second.signal, at]) {
    const { text, cancelled } = await leave('SIGINT', again, 3_600_000);
    assert.equal(cancelled, 1);
    assert.match(text, /\njob-1 is cancelled\n$/);
  }
  const { text } = await leave('SIGINT', at, 1, new Error('no connection'));
  assert.match(text, /error: job-1 was not cancelled: no connection\nhint: try again: blindfit cancel job-1\n$/);
});

test('who is ended by a supervisor does not wait', async () => {
  const { text, cancelled } = await leave('SIGTERM', never, 3_600_000);
  assert.equal(cancelled, 0);
  assert.doesNotMatch(text, /Ctrl-C/);
});
