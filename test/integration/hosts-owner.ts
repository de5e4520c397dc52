/**
 * The owner's side of hosts.test.ts, a process in a network namespace of its own. Encrypts a job once and submits it
 * twice: undisturbed, then while a worker is cut off. Says on stdout, in lines of JSON, how far it is. Arguments:
 * address of the API, its token, and the addresses of the metrics of the worker that stays and of the one that is cut
 * off.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { BlindfitClient } from '@blindfit/client';
import { finished, prepareJob, SHARED_KEYS, syntheticData, waitFor } from './support.ts';

const [server = '', token = '', staying = '', cut = ''] = process.argv.slice(2);
const say = (event: string, more: object = {}): void =>
  void process.stdout.write(`${JSON.stringify({ event, ...more })}\n`);
const client = new BlindfitClient({ server, token });

async function seen(workers: number, timeoutMs: number): Promise<void> {
  for (const deadline = Date.now() + timeoutMs; ; await sleep(200)) {
    const { workers: now } = await client.cluster();
    if (now === workers) return;
    if (Date.now() > deadline) throw new Error(`${now} workers are seen instead of ${workers} after ${timeoutMs} ms`);
  }
}

/** The sum of a worker's samples whose names contain `name`. */
async function metric(worker: string, name: string): Promise<number> {
  const text = await (await fetch(`${worker}/metrics`)).text();
  const lines = text.split('\n').filter((line) => !line.startsWith('#') && line.split(/[{ ]/)[0] === name);
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

await seen(2, 60_000);
using prepared = await prepareJob(client, SHARED_KEYS, syntheticData(120, 20, 9));
const undisturbed = await finished(client, (await client.submit(prepared.manifest)).id);
say('undisturbed', { state: undisturbed.state, models: undisturbed.result?.models });

const { id } = await client.submit(prepared.manifest);
// Both workers are in the middle of it.
await waitFor(client, id, ({ progress }) => progress.tasksDone >= 3);
say('running');
await seen(1, 90_000);
say('cut-seen');
const disturbed = await finished(client, id);
say('disturbed', {
  stalled: await metric(staying, 'blindfit_tasks_stalled_total'),
  state: disturbed.state,
  models: disturbed.result?.models,
  error: disturbed.error?.message,
});
await seen(2, 240_000);
const before = await metric(cut, 'blindfit_tasks_total');
// It is seen again a little before its queue connection is: the worker that stayed may do a whole job by then.
for (const deadline = Date.now() + 60_000; ;) {
  const again = await finished(client, (await client.submit(prepared.manifest)).id);
  const tasks = (await metric(cut, 'blindfit_tasks_total')) - before;
  if (tasks === 0 && again.state === 'succeeded' && Date.now() < deadline) continue;
  say('back', { state: again.state, models: again.result?.models, tasks });
  break;
}
await client.close();
