/** SEAL's memory is freed by hand: a task that forgets a ciphertext shows here. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { at } from '@blindfit/base';
import { evaluatorName } from '@blindfit/he/native';
import type { Work } from '../src/index.ts';
import { EVALUATORS, firstTask, makeJob, makePlace, makePool, smallPlan } from './setup.ts';

const TASKS = 200;
const WARM_UP = 20;
const MB = 2 ** 20;

for (const evaluator of EVALUATORS)
  it(`${TASKS} tasks of all kinds leave no memory behind: ${evaluatorName(evaluator)}`, async (t) => {
    await using place = await makePlace();
    using job = await makeJob(place, smallPlan());
    await using watched = makePool(place, { evaluator });
    const { pool, statistics } = watched;
    const common = { job: 'job-000000000000', manifest: job.digest };
    const task = { ...common, pair: 0, shards: [0] };
    const chain = { ...common, chain: 0, segment: 0 };
    const only = async (work: Work): Promise<string> => at((await pool.run(work)).outputs, 0, 'outputs');
    const gradients = [{ pair: 0, gradient: await only(firstTask(job)) }];
    const weights = await only({ kind: 'step', ...chain, iteration: 1, gradients, history: [] });
    const errors = [await only({ kind: 'forward', ...task, iteration: 2, weights })];
    const second = [
      { pair: 0, gradient: await only({ kind: 'backward', ...task, iteration: 2, blocks: [0], errors }) },
    ];
    const last = await only({ kind: 'step', ...chain, iteration: 2, gradients: second, history: [weights] });
    const model = await only({ kind: 'finish', ...chain, iteration: 2, history: [weights, last] });
    const missing = `sha256:${'0'.repeat(64)}`;
    const kinds: (() => Promise<unknown>)[] = [
      () => pool.run({ kind: 'forward', ...task, iteration: 2, weights }),
      () => pool.run({ kind: 'backward', ...task, iteration: 2, blocks: [0], errors }),
      () => pool.run({ kind: 'backward', ...task, iteration: 1, blocks: [0] }),
      () => pool.run({ kind: 'step', ...chain, iteration: 2, gradients: second, history: [weights] }),
      () => pool.run({ kind: 'finish', ...chain, iteration: 2, history: [weights, last] }),
      () =>
        pool.run({
          kind: 'publish',
          ...common,
          chain: 0,
          iteration: 1,
          weights,
          level: at(job.plan.iterations, 0, 'iterations').gradient,
        }),
      () => pool.run({ kind: 'pack', ...common, iteration: 3, level: 0, to: 0, chains: [model, model] }),
      // What was loaded before a failure is freed, too.
      () =>
        assert.rejects(
          pool.run({
            kind: 'backward',
            ...task,
            iteration: 2,
            shards: [0, 0],
            blocks: [0],
            errors: [at(errors, 0, 'errors'), missing],
          }),
        ),
      () => assert.rejects(pool.run({ kind: 'step', ...chain, iteration: 2, gradients: second, history: [missing] })),
      () =>
        assert.rejects(pool.run({ kind: 'pack', ...common, iteration: 3, level: 0, to: 0, chains: [model, weights] })),
    ];
    const heaps: number[] = [];
    let resident = 0;
    for (let i = 0; i < TASKS; i++) {
      await kinds[i % kinds.length]?.();
      heaps.push(statistics.heapBytes);
      if (i === WARM_UP) resident = process.memoryUsage.rss();
    }
    const heap = at(heaps, WARM_UP, 'heaps');
    const grown = process.memoryUsage.rss() - resident;
    t.diagnostic(
      `WebAssembly memory ${(heap / MB).toFixed(1)} MiB, then ${(statistics.heapBytes / MB).toFixed(1)}; ` +
        `resident memory grew by ${(grown / MB).toFixed(1)} MiB`,
    );
    // The native evaluator loads no SEAL.
    assert.equal(heap > 0, evaluator.kind === 'seal');
    // One forgotten ciphertext a round of kinds would be 12 MiB here, and twenty-two rounds follow the warm-up.
    assert.equal(heaps.at(-1), heap, 'the heap is flat');
    // JavaScript's own memory comes and goes: 22 rounds of blobs are some 60 MiB.
    assert.ok(grown < 150 * MB, `resident memory grew by ${grown} bytes`);
  });
