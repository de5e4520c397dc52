/** What is recorded of a job's chains, and how the job's state follows from it. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { required } from '@blindfit/base';
import type { RefreshAnswer, RefreshRequest } from '@blindfit/protocol';
import {
  AWAITING,
  DONE,
  JobChanges,
  openQueue,
  addSegment,
  RUNNING,
  type ChainPayload,
  type ChainRecord,
  type JobStore,
} from '../src/index.ts';
import { jobsByState, newJob, newStore, redis } from './support.ts';

const ID = 'job-a';

const digest = (of: string): string => `sha256:${createHash('sha256').update(of).digest('hex')}`;
const idOf = (of: string): string => digest(of).slice(7, 39);

function requestOf(chain: number, iteration = 1): RefreshRequest {
  const name = `${chain} ${iteration}`;
  return { id: idOf(name), chain, iteration, weights: digest(name), since: new Date(0).toISOString() };
}

const answerTo = ({ id }: RefreshRequest, name = 'first'): RefreshAnswer => ({
  id,
  weights: digest(`${id} ${name}`),
  momentum: digest(`${id} ${name} W`),
  signature: '0'.repeat(128),
});

const awaiting = (chain: number, segment = 0): ChainRecord => ({
  phase: AWAITING,
  segment,
  history: [],
  request: requestOf(chain, segment + 1),
});
const done: ChainRecord = { phase: DONE, segment: 1, history: [digest('V')], weights: digest('W') };

async function startedJob(chains: number): Promise<JobStore> {
  const jobs = newStore();
  await jobs.create(newJob(ID, { chains }));
  await jobs.start(ID);
  return jobs;
}

test('a chain’s record is replaced by whoever has seen the present one, and by nobody else', async () => {
  const jobs = newStore();
  assert.deepEqual(await jobs.chains(ID), []);
  assert.equal(await jobs.setChain(ID, 0, undefined, done), false, 'no such job');
  await jobs.create(newJob(ID, { chains: 2 }));
  assert.equal(await jobs.setChain(ID, 0, undefined, done), false, 'not running yet');
  await jobs.start(ID);
  assert.deepEqual(await jobs.chains(ID), [undefined, undefined]);
  assert.equal(await jobs.setChain(ID, 1, done, awaiting(1)), false, 'there is none yet');
  assert.equal(await jobs.setChain(ID, 1, undefined, awaiting(1)), true);
  assert.equal(await jobs.setChain(ID, 1, undefined, done), false, 'there is one now');
  assert.deepEqual(await jobs.chains(ID), [undefined, awaiting(1)]);
  // As it is read, whatever the order in which its fields were written.
  const [, seen] = await jobs.chains(ID);
  const next: ChainRecord = {
    history: [],
    segment: 1,
    phase: RUNNING,
    fresh: { momentum: digest('W'), weights: digest('V') },
  };
  assert.equal(await jobs.setChain(ID, 1, seen, next), true);
  assert.equal(await jobs.setChain(ID, 1, seen, done), false);
  assert.deepEqual((await jobs.chains(ID))[1], next);
  // Of twenty who have seen the same one wins.
  const outcomes = await Promise.all(
    Array.from({ length: 20 }, (_, i) => jobs.setChain(ID, 1, next, { ...done, weights: digest(String(i)) })),
  );
  assert.equal(outcomes.filter(Boolean).length, 1);
  assert.equal((await jobs.chains(ID))[1]?.weights, digest(String(outcomes.indexOf(true))));
});

test('a job awaits its owner when no chain can go on without, and runs again with the first answer', async () => {
  const jobs = await startedJob(3);
  const state = async (): Promise<string> =>
    `${(await jobs.get(ID))?.state} ${(await jobs.get(ID))?.refreshes.map(({ chain }) => chain).join(',')}`;
  await jobs.setPhase(ID, 'training');
  await jobs.setChain(ID, 0, undefined, awaiting(0));
  assert.equal(await state(), 'running 0');
  await jobs.setChain(ID, 1, undefined, awaiting(1));
  assert.equal(await state(), 'running 0,1');
  assert.equal((await jobs.get(ID))?.progress.phase, 'training');
  await jobs.setChain(ID, 2, undefined, awaiting(2));
  assert.equal(await state(), 'awaiting-refresh 0,1,2');
  assert.equal((await jobs.get(ID))?.progress.phase, 'awaiting-refresh');
  assert.deepEqual((await jobs.get(ID))?.refreshes, [requestOf(0), requestOf(1), requestOf(2)]);
  assert.equal(await jobs.start(ID), 'unchanged', 'only queued jobs start');
  assert.deepEqual(
    (await jobs.list(10, ['awaiting-refresh'])).map(({ id }) => id),
    [ID],
  );
  assert.deepEqual(await jobsByState(jobs), { 'awaiting-refresh': 1 });

  assert.ok(await jobs.answerRefresh(ID, answerTo(requestOf(1))));
  assert.equal(await state(), 'running 0,2');
  assert.equal((await jobs.get(ID))?.progress.phase, 'training');
  // A chain that is done does not run: the others wait.
  await jobs.setChain(ID, 1, (await jobs.chains(ID))[1], done);
  assert.equal(await state(), 'awaiting-refresh 0,2');
  for (const chain of [0, 2]) {
    assert.ok(await jobs.answerRefresh(ID, answerTo(requestOf(chain))));
    await jobs.setChain(ID, chain, (await jobs.chains(ID))[chain], done);
  }
  assert.equal(await state(), 'running ', 'what is left is packing');
  await jobs.setPhase(ID, 'packing');
  assert.equal(await jobs.succeed(ID, [digest('model')]), true);
  assert.deepEqual((await jobs.get(ID))?.refreshes, []);
});

test('only the time in which everything waited counts as waiting', async () => {
  const jobs = await startedJob(2);
  let [least, most] = [0, 0];
  let since = performance.now();
  const waits = async (change: () => Promise<unknown>): Promise<number> => {
    since = performance.now();
    await change();
    return performance.now();
  };
  await jobs.setChain(ID, 0, undefined, awaiting(0));
  await sleep(300);
  let from = await waits(() => jobs.setChain(ID, 1, undefined, awaiting(1)));
  for (const segment of [0, 1]) {
    await sleep(150);
    least += performance.now() - from;
    await jobs.answerRefresh(ID, answerTo(requestOf(0, segment + 1)));
    most += performance.now() - since;
    // The other one still waits, but something runs.
    await sleep(100);
    const chains = await jobs.chains(ID);
    if (segment === 0) from = await waits(() => jobs.setChain(ID, 0, chains[0], awaiting(0, 1)));
  }
  await jobs.succeed(ID, []);
  const milliseconds = 1000 * required((await jobs.get(ID))?.result, 'the result').seconds.refresh;
  // Clocks differ by the millisecond they count in, four times, and may be put right meanwhile.
  assert.ok(milliseconds >= least - 10 && milliseconds <= most + 10, `${least} <= ${milliseconds} <= ${most}`);
});

test('an answer is taken once; repeating it gives the same, anything else is refused', async () => {
  const jobs = await startedJob(2);
  const [request, other] = [requestOf(0), requestOf(1)];
  const answer = answerTo(request);
  const taken = {
    chain: 0,
    record: {
      phase: RUNNING,
      segment: 1,
      history: [],
      fresh: { weights: answer.weights, momentum: answer.momentum },
      answer: { ...answer, chain: 0, iteration: 1 },
    },
  };
  assert.equal(await jobs.answerRefresh('job-unknown', answer), undefined);
  assert.equal(await jobs.answerRefresh(ID, answer), undefined, 'nothing is awaited yet');
  await jobs.setChain(ID, 0, undefined, awaiting(0));
  assert.equal(await jobs.answerRefresh(ID, answerTo(other)), undefined, 'another chain’s, which does not wait');
  assert.equal(await jobs.answerRefresh(ID, { ...answer, id: idOf('of another job') }), undefined);
  assert.deepEqual((await jobs.chains(ID))[0], awaiting(0));

  assert.deepEqual(await jobs.answerRefresh(ID, answer), taken);
  assert.deepEqual((await jobs.chains(ID))[0], taken.record);
  for (let i = 0; i < 3; i++) assert.deepEqual(await jobs.answerRefresh(ID, answer), taken);
  for (const field of ['weights', 'momentum'] as const)
    assert.equal(await jobs.answerRefresh(ID, { ...answer, [field]: digest('another') }), undefined);
  assert.deepEqual((await jobs.chains(ID))[0], taken.record);

  // The same once the chain has got further, as the scheduler records it; until the next answer is taken.
  const further: ChainRecord = { ...awaiting(0, 1), answer: { ...answer, chain: 0, iteration: 1 } };
  await jobs.setChain(ID, 0, taken.record as unknown as ChainRecord, further);
  assert.deepEqual(await jobs.answerRefresh(ID, answer), { chain: 0, record: further });
  assert.ok(await jobs.answerRefresh(ID, answerTo(requestOf(0, 2))));
  assert.equal(await jobs.answerRefresh(ID, answer), undefined, 'an old one');
});

test('of two different answers at once one is taken, and only those who sent it are told so', async () => {
  for (let round = 0; round < 20; round++) {
    const jobs = await startedJob(1);
    await jobs.setChain(ID, 0, undefined, awaiting(0));
    const answers = ['a', 'b', 'a', 'b', 'a', 'b'].map((name) => answerTo(requestOf(0), name));
    const outcomes = await Promise.all(answers.map((answer) => jobs.answerRefresh(ID, answer)));
    const [record] = await jobs.chains(ID);
    assert.equal(record?.segment, 1);
    answers.forEach((answer, i) =>
      assert.deepEqual(outcomes[i], answer.weights === record.fresh?.weights ? { chain: 0, record } : undefined),
    );
    assert.equal(outcomes.filter((outcome) => outcome !== undefined).length, 3);
  }
});

test('jobs that have ended ask for nothing, take nothing and stay as they are', async () => {
  for (const end of ['cancel', 'fail', 'succeed'] as const) {
    const jobs = await startedJob(1);
    await jobs.setChain(ID, 0, undefined, awaiting(0));
    assert.equal((await jobs.get(ID))?.state, 'awaiting-refresh');
    await (end === 'cancel'
      ? jobs.cancel(ID)
      : end === 'fail'
        ? jobs.fail(ID, { code: 'X', message: 'y' })
        : jobs.succeed(ID, []));
    const view = await jobs.get(ID);
    assert.deepEqual(view?.refreshes, []);
    assert.equal(await jobs.answerRefresh(ID, answerTo(requestOf(0))), undefined);
    assert.equal(await jobs.setChain(ID, 0, awaiting(0), done), false);
    // Only a job that has failed may go on.
    const left = end === 'succeed' ? undefined : awaiting(0);
    assert.deepEqual(await jobs.chains(ID), [left]);
    assert.deepEqual(await jobs.get(ID), view);
  }
});

test('chains are announced; a segment is queued once, with what its record says', async (t) => {
  const jobs = await startedJob(1);
  const changes = await JobChanges.open(redis(), jobs.keys);
  t.after(() => changes.close());
  const heard: string[] = [];
  changes.listen((id) => heard.push(id));
  await jobs.setChain(ID, 0, undefined, awaiting(0));
  await jobs.setChain(ID, 0, undefined, done);
  const answer = answerTo(requestOf(0));
  const taken = await jobs.answerRefresh(ID, answer);
  await jobs.answerRefresh(ID, answer);
  for (let i = 0; i < 200 && heard.length < 2; i++) await sleep(10);
  assert.deepEqual(heard, [ID, ID], 'what changed nothing is not announced');

  const queue = openQueue<ChainPayload>('chains', redis(), '{chains-test}');
  t.after(() => queue.close());
  const job = { job: ID, manifest: digest('manifest') };
  for (let i = 0; i < 3; i++) await addSegment(queue, jobs.turns, job, 0, undefined);
  for (let i = 0; i < 3; i++) await addSegment(queue, jobs.turns, job, 0, taken?.record);
  assert.equal(await queue.getPrioritizedCount(), 2);
  assert.deepEqual((await queue.getJob(`${ID}.chain.0.0`))?.data, {
    ...job,
    protocol: 2,
    chain: 0,
    segment: 0,
    history: [],
  });
  const { weights, momentum } = answer;
  assert.deepEqual((await queue.getJob(`${ID}.chain.0.1`))?.data, {
    ...job,
    chain: 0,
    segment: 1,
    protocol: 2,
    history: [],
    fresh: { weights, momentum },
  });
});

test('the start scores are kept once all chains are planned', async () => {
  const jobs = await startedJob(2);
  assert.equal(await jobs.isPlanned(ID), false);
  assert.deepEqual(await jobs.scores(ID), []);
  await jobs.setPlanned(ID, [digest('shard 0'), digest('shard 1')]);
  assert.equal(await jobs.isPlanned(ID), true);
  assert.deepEqual(await jobs.scores(ID), [digest('shard 0'), digest('shard 1')]);
});
