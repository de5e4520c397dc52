/** Segments of chains: which tasks and steps, in which order, with which digests. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { UnrecoverableError } from 'bullmq';
import { runChain } from '../src/chain.ts';
import { answerAfter, chainData, entryOf, fakeScheduler, JOB, MANIFEST, planWith } from './support.ts';

const taskIds = (added: readonly { readonly id: string }[]): string[] =>
  added.map(({ id }) => id.slice(JOB.length + 1));

describe('a chain without refreshes', () => {
  it('adds the tasks of each iteration, a step after them, and finishes', async () => {
    const plan = planWith({ iterations: 2 }, 2);
    const { dependencies, tasks, jobs, works, metrics, queue } = fakeScheduler(plan);
    const { runToEnd } = entryOf(chainData({ chain: 1 }), tasks);
    assert.equal(await runToEnd((entry) => runChain(dependencies, entry, 'token')), 4, 'three stages of tasks');
    assert.deepEqual(taskIds(tasks.added), [
      'backward.1.1.0.0',
      'backward.1.1.0.1',
      'backward.1.1.1.0',
      'backward.1.1.1.1',
      'forward.2.1.0',
      'forward.2.1.1',
      'backward.2.1.0.0',
      'backward.2.1.0.1',
      'backward.2.1.1.0',
      'backward.2.1.1.1',
    ]);
    const dataOf = (id: string) => tasks.added.find((each) => each.id === `${JOB}.${id}`)?.data;
    assert.equal(
      JSON.stringify(dataOf('backward.1.1.1.0')),
      JSON.stringify({
        kind: 'backward',
        job: JOB,
        manifest: MANIFEST,
        iteration: 1,
        pair: 1,
        shards: [2],
        blocks: [0],
      }),
    );
    assert.equal(
      JSON.stringify(dataOf('forward.2.1.0')),
      JSON.stringify({
        kind: 'forward',
        job: JOB,
        manifest: MANIFEST,
        iteration: 2,
        pair: 1,
        shards: [0, 1],
        weights: 'of step.1.1',
      }),
    );
    assert.deepEqual(dataOf('backward.2.1.0.1')?.['errors'], [`${JOB}.forward.2.1.0/0`, `${JOB}.forward.2.1.0/1`]);
    assert.deepEqual(dataOf('backward.2.1.0.1')?.['blocks'], [1]);
    assert.deepEqual(
      works.map(([step]) => step),
      ['step.1.1', 'step.2.1', 'finish.2.1'],
    );
    const [, second] = works;
    assert.ok(second?.[1].kind === 'step');
    assert.deepEqual(second[1].history, ['of step.1.1']);
    assert.deepEqual(
      second[1].gradients,
      ['0.0', '0.1', '1.0', '1.1'].map((part) => ({ pair: 1, gradient: `${JOB}.backward.2.1.${part}` })),
    );
    assert.deepEqual(jobs.records[1], {
      segment: 0,
      fresh: undefined,
      answer: undefined,
      phase: 'done',
      history: ['of step.1.1', 'of step.2.1'],
      weights: 'of finish.2.1',
    });
    assert.deepEqual(jobs.calls, [
      ['iteration', 1, 1, plan.iterations[0]?.gradient],
      ['iteration', 1, 2, 0],
    ]);
    assert.deepEqual(metrics, [
      ['iteration', 1, 40],
      ['iteration', 1, 40],
    ]);
    assert.deepEqual(queue.added, [], 'the other chain is not done');
  });

  it('tasks are tried four times and fail their parent', async () => {
    const { dependencies, tasks } = fakeScheduler(planWith({ iterations: 1 }, 1));
    await entryOf(chainData(), tasks).runToEnd((entry) => runChain(dependencies, entry, 'token'));
    for (const options of tasks.options) {
      assert.equal(options['attempts'], 4);
      assert.equal(options['failParentOnFailure'], true);
      assert.deepEqual(options['parent'], { id: `${JOB}.entry`, queue: 'blindfit:chains' });
    }
  });

  it('adds the children that are missing, not those that are done', async () => {
    const { dependencies, tasks } = fakeScheduler(planWith({ iterations: 1 }, 1));
    await entryOf(chainData(), tasks).runToEnd((entry) => runChain(dependencies, entry, 'token'));
    const ids = tasks.options.map(({ jobId }) => jobId);
    assert.equal(new Set(ids).size, ids.length, 'nothing is added twice');
  });

  it('the last chain to finish has the model packed, once', async () => {
    const { dependencies, tasks, jobs, queue } = fakeScheduler(planWith({ iterations: 1 }, 1));
    jobs.records[0] = { segment: 0, phase: 'done', history: ['v'], weights: 'w' };
    await entryOf(chainData({ chain: 1 }), tasks).runToEnd((entry) => runChain(dependencies, entry, 'token'));
    assert.deepEqual(queue.added, [{ id: `${JOB}.finish`, data: { job: JOB, manifest: MANIFEST } }]);
    const [{ priority, attempts } = assert.fail('nothing added')] = queue.options;
    assert.deepEqual([priority, attempts], [1, 4], 'ahead of all that begins');
  });

  it('start scores reach the backward tasks of their shards', async () => {
    const { dependencies, tasks, jobs } = fakeScheduler(planWith({ iterations: 1, initialWeight: 0.01 }, 1));
    jobs.startScores = ['s0', 's1', 's2'];
    await entryOf(chainData(), tasks).runToEnd((entry) => runChain(dependencies, entry, 'token'));
    const scores = Object.fromEntries(tasks.added.map(({ id, data }) => [id.slice(JOB.length + 1), data['scores']]));
    assert.deepEqual(scores['backward.1.0.0.0'], ['s0', 's1']);
    assert.deepEqual(scores['backward.1.0.1.1'], ['s2']);
  });

  it('an iteration learns from its batch, and the samples of a short batch count', async () => {
    // 40 samples in batches of 25: two shards and one shard. Seed 1 begins with one of them and ends with the other.
    const { dependencies, tasks, metrics } = fakeScheduler(
      planWith({ iterations: 2, batch: { size: 25, seed: 1 } }, 2),
    );
    await entryOf(chainData(), tasks).runToEnd((entry) => runChain(dependencies, entry, 'token'));
    const shards = (iteration: number) =>
      tasks.added
        .filter(({ data }) => data['kind'] === 'backward' && data['iteration'] === iteration)
        .flatMap(({ data }) => data['shards']);
    const samples = metrics.map(([, , count]) => count);
    assert.deepEqual([...samples].sort(), [15, 25]);
    for (const iteration of [1, 2])
      assert.deepEqual([...new Set(shards(iteration))], samples[iteration - 1] === 25 ? [0, 1] : [2]);
  });
});

describe('a chain with refreshes', () => {
  const plan = planWith({ iterations: 3 }, 2);

  it('asks its owner after a segment: the id names job, chain, iteration and weights', async () => {
    const { dependencies, tasks, jobs, works } = fakeScheduler(plan);
    await entryOf(chainData(), tasks).runToEnd((entry) => runChain(dependencies, entry, 'token'));
    assert.deepEqual(
      works.map(([step]) => step),
      ['step.1.0', 'step.2.0', 'publish.2.0', 'publish.1.0'],
    );
    assert.deepEqual(works[2]?.[1], { kind: 'publish', chain: 0, iteration: 2, weights: 'of step.2.0', level: 0 });
    assert.deepEqual(works[3]?.[1], {
      kind: 'publish',
      chain: 0,
      iteration: 1,
      weights: 'of step.1.0',
      level: plan.iterations[0]?.gradient,
    });
    const record = jobs.records[0];
    assert.deepEqual([record?.phase, record?.segment, record?.history], ['awaiting', 0, []]);
    const id = createHash('sha256').update(`${JOB} 0 2 of publish.2.0`).digest('hex').slice(0, 32);
    assert.ok(record?.request !== undefined);
    const { since, ...request } = record.request;
    assert.deepEqual(request, { id, chain: 0, iteration: 2, weights: 'of publish.2.0', previous: 'of publish.1.0' });
    assert.ok(Math.abs(Date.parse(since) - Date.now()) < 10_000);
  });

  it('goes on with the answer, and keeps the answer in its record', async () => {
    const { dependencies, tasks, jobs, works } = fakeScheduler(plan);
    const fresh = { weights: 'V', momentum: 'W' };
    const answer = answerAfter(2, fresh);
    jobs.records[0] = { segment: 1, phase: 'running', history: [], fresh, answer };
    const { runToEnd } = entryOf(chainData({ segment: 1, fresh }), tasks);
    await runToEnd((entry) => runChain(dependencies, entry, 'token'));
    assert.deepEqual(
      tasks.added.filter(({ data }) => data['kind'] === 'forward').map(({ data }) => data['weights']),
      ['V', 'V'],
    );
    const [step] = works;
    assert.ok(step?.[1].kind === 'step');
    assert.deepEqual([step[1].segment, step[1].fresh, step[1].history], [1, fresh, []]);
    assert.deepEqual(jobs.records[0], {
      segment: 1,
      phase: 'done',
      fresh,
      answer,
      history: ['of step.3.0'],
      weights: 'of finish.3.0',
    });
  });

  it('with one iteration a segment the previous V is the owner’s own answer, at its level', async () => {
    const each = planWith({ iterations: 3 }, 1);
    const { dependencies, tasks, jobs, works } = fakeScheduler(each);
    const fresh = { weights: 'V', momentum: 'W' };
    const answer = answerAfter(1, fresh);
    jobs.records[0] = { segment: 1, phase: 'running', history: [], fresh, answer };
    await entryOf(chainData({ segment: 1, fresh }), tasks).runToEnd((entry) => runChain(dependencies, entry, 'token'));
    const previous = works.find(([step]) => step === 'publish.1.0.1')?.[1];
    assert.ok(previous?.kind === 'publish');
    assert.deepEqual([previous.weights, previous.level], ['V', each.iterations[1]?.weights]);
  });
});

describe('a segment that does not start from its owner’s answer', () => {
  const plan = planWith({ iterations: 3 }, 2);
  const fresh = { weights: 'V', momentum: 'W' };
  const good = answerAfter(2, fresh);
  for (const [what, answer, started] of [
    ['without an answer', undefined, fresh],
    ['from other weights than the signed ones', good, { ...fresh, weights: 'X' }],
    ['from another momentum than the signed one', good, { ...fresh, momentum: 'X' }],
    ['from an answer with another signature', { ...good, signature: '0'.repeat(128) }, fresh],
    ['from an answer for another iteration', answerAfter(1, fresh), fresh],
    ['from an answer with weights that were not signed', { ...good, weights: 'X' }, { ...fresh, weights: 'X' }],
    ['from an answer to another request', { ...good, id: '1'.repeat(32) }, fresh],
  ] as const) {
    it(`is not computed: ${what}`, async () => {
      const { dependencies, tasks, jobs } = fakeScheduler(plan);
      jobs.records[0] = { segment: 1, phase: 'running', history: [], fresh: started, answer };
      const { entry } = entryOf(chainData({ segment: 1, fresh: started }), tasks);
      await assert.rejects(runChain(dependencies, entry, 'token'), /NOT_SIGNED_BY_OWNER/);
      assert.deepEqual(tasks.added, []);
    });
  }

  it('is not computed: from the answer for another chain', async () => {
    const { dependencies, tasks, jobs } = fakeScheduler(plan);
    jobs.records[1] = { segment: 1, phase: 'running', history: [], fresh, answer: good };
    const { entry } = entryOf(chainData({ chain: 1, segment: 1, fresh }), tasks);
    await assert.rejects(runChain(dependencies, entry, 'token'), /NOT_SIGNED_BY_OWNER: .* chain 1 after iteration 2/);
    assert.deepEqual(tasks.added, []);
  });

  it('is not computed: signed by another owner', async () => {
    const { dependencies, tasks, jobs } = fakeScheduler(plan);
    jobs.records[0] = { segment: 1, phase: 'running', history: [], fresh, answer: good };
    const { entry } = entryOf(chainData({ segment: 1, fresh }), tasks);
    const foreign = { ...dependencies, signerOf: () => Promise.resolve(`ed25519:${'1'.repeat(64)}`) };
    await assert.rejects(runChain(foreign, entry, 'token'), /NOT_SIGNED_BY_OWNER/);
    assert.deepEqual(tasks.added, []);
  });
});

describe('an entry that runs again', () => {
  it('after a crash goes on where its history ends', async () => {
    const { dependencies, tasks, works } = fakeScheduler(planWith({ iterations: 2 }, 2));
    const { runToEnd } = entryOf(chainData({ history: ['v1'] }), tasks);
    await runToEnd((entry) => runChain(dependencies, entry, 'token'));
    assert.deepEqual([...new Set(tasks.added.map(({ data }) => data['iteration']))], [2]);
    assert.deepEqual(
      works.map(([step]) => step),
      ['step.2.0', 'finish.2.0'],
    );
    const [step] = works;
    assert.ok(step?.[1].kind === 'step');
    assert.deepEqual(step[1].history, ['v1']);
  });

  for (const [what, record] of [
    ['awaits its owner', { segment: 0, phase: 'awaiting', history: [] }],
    ['is over, and the next one runs', { segment: 1, phase: 'running', history: [] }],
    ['is over and was the last one', { segment: 0, phase: 'done', history: [], weights: 'w' }],
  ] as const) {
    it(`does nothing when its segment ${what}`, async () => {
      const { dependencies, tasks, jobs, works } = fakeScheduler(planWith({ iterations: 3 }, 2));
      jobs.records[0] = record;
      await entryOf(chainData(), tasks).runToEnd((entry) => runChain(dependencies, entry, 'token'));
      assert.deepEqual([tasks.added, works, jobs.records[0]], [[], [], record]);
    });
  }

  it('still has the model packed when a scheduler died before that', async () => {
    const { dependencies, tasks, jobs, queue } = fakeScheduler(planWith({ iterations: 1 }, 1));
    jobs.records = [0, 1].map(() => ({ segment: 0, phase: 'done', history: ['v'], weights: 'w' }));
    await entryOf(chainData(), tasks).runToEnd((entry) => runChain(dependencies, entry, 'token'));
    assert.deepEqual(
      queue.added.map(({ id }) => id),
      [`${JOB}.finish`],
    );
  });

  for (const state of ['cancelled', 'failed', 'succeeded', undefined] as const) {
    it(`of a job that is ${state ?? 'unknown'} is given up for good`, async () => {
      const { dependencies, tasks, jobs, works } = fakeScheduler(planWith({ iterations: 1 }, 1));
      jobs.current = state;
      await assert.rejects(
        entryOf(chainData(), tasks).runToEnd((entry) => runChain(dependencies, entry, 'token')),
        (error) => error instanceof UnrecoverableError && error.message === `the job is ${state ?? 'unknown'}`,
      );
      assert.deepEqual([tasks.added, works], [[], []]);
    });
  }

  it('of a segment that the plan does not have is given up for good', async () => {
    const { dependencies, tasks } = fakeScheduler(planWith({ iterations: 1 }, 1));
    await assert.rejects(
      entryOf(chainData({ segment: 1 }), tasks).runToEnd((entry) => runChain(dependencies, entry, 'token')),
      UnrecoverableError,
    );
  });
});
