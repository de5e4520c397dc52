/**
 * What autoscaling relies on, with real processes: a worker that gets SIGTERM takes no more tasks, ends the one it
 * computes, and exits with 0; the job goes on elsewhere to the same model. And the lists that KEDA asks Redis for hold
 * the tasks there are.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { decryptModel } from '@blindfit/owner';
import { connectRedis, createLogger, parseRedisUrl } from '@blindfit/service';
import type { RunningStack } from '@blindfit/stack';
import { fitSigmoid, type Hyperparameters } from '@blindfit/training';
import { finished, largestError, prepareJob, SHARED_KEYS, syntheticData, withStack } from '../integration/support.ts';
import { parseYaml, read, ROOT } from './support.ts';

/**
 * A straight line for a sigmoid, for which a small ring does: threads of node-seal load its keys in a tenth of the
 * time.
 */
const HYPERPARAMETERS: Partial<Hyperparameters> = { sigmoid: fitSigmoid(1, 8) };
const DATA = syntheticData(200, 130, 16);
// Tasks that last long enough to be met in the middle; the stack's own worker inherits it.
process.env['BLINDFIT_EVALUATOR'] = 'seal';

interface LogLine {
  readonly msg: string;
  readonly url?: string;
  readonly outcome?: string;
  readonly task?: string;
}

/** A worker as a pod would run it: settings from the environment, SIGTERM, an exit status. */
class Worker {
  readonly name: string;
  readonly exited: Promise<number | NodeJS.Signals>;
  readonly #child;
  #log = '';

  constructor(name: string, stack: RunningStack) {
    this.name = name;
    const env = {
      PATH: process.env['PATH'],
      BLINDFIT_REDIS_URL: stack.redisUrl,
      BLINDFIT_STORE: stack.storeUrl,
      BLINDFIT_TOKEN: stack.token,
      BLINDFIT_CACHE_DIR: join(stack.dataDir, name),
      BLINDFIT_THREADS: '1',
      BLINDFIT_STOP_SECONDS: '120',
      BLINDFIT_LOG_LEVEL: 'debug',
      BLINDFIT_EVALUATOR: 'seal',
    };
    this.#child = spawn(process.execPath, [join(ROOT, 'cli/src/main.ts'), 'worker'], {
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#child.stderr.on('data', (chunk: Buffer) => (this.#log += chunk.toString()));
    this.exited = new Promise((resolve) =>
      this.#child.once('close', (code, signal) => resolve(code ?? signal ?? 'SIGKILL')),
    );
  }

  get lines(): LogLine[] {
    return this.#log
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as LogLine);
  }

  /** Resolves when it has just begun a task. */
  async begins(): Promise<void> {
    const begun = (): number => this.lines.filter(({ msg }) => msg === 'task begun').length;
    const deadline = Date.now() + 60_000;
    for (const before = begun(); begun() === before; await sleep(5))
      assert.ok(Date.now() < deadline, `${this.name} gets no task: the job is too short`);
  }

  terminate(): void {
    this.#child.kill('SIGTERM');
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

/** How KEDA counts what is at a key. */
const KEDA_LENGTH = `
  local commands = { zset = 'zcard', set = 'scard', list = 'llen', hash = 'hlen', none = 'llen' }
  return redis.call(commands[redis.call('type', KEYS[1]).ok], KEYS[1])`;

/** Lists that the ScaledObject of the production overlay asks for. */
async function scaledLists(): Promise<string[]> {
  const documents = parseYaml(await read('deploy/kubernetes/components/autoscaling/scaled-object.yaml')) as {
    kind: string;
    spec: { triggers?: { metadata: { listName: string } }[] };
  }[];
  return documents.flatMap(({ spec }) => (spec.triggers ?? []).map(({ metadata }) => metadata.listName));
}

it(
  'three workers become one during a job: tasks are finished or handed on, and the model is the same',
  { timeout: 300_000 },
  async (t) => {
    await withStack({ threads: 1 }, async (stack, client) => {
      const lists = await scaledLists();
      assert.equal(lists.length, 3);
      const redis = connectRedis(parseRedisUrl(stack.redisUrl), createLogger({ service: 'test', level: 'silent' }));
      const leaving = [new Worker('leaving-1', stack), new Worker('leaving-2', stack)];
      try {
        using prepared = await prepareJob(client, SHARED_KEYS, DATA, HYPERPARAMETERS);
        while ((await client.cluster()).workers < 3) await sleep(50);

        const { id } = await client.submit(prepared.manifest);
        // As KEDA does: all lists, added up, all the time.
        const demand: number[] = [];
        let mostWaiting = 0;
        const over = new AbortController();
        const watcher = (async () => {
          for (; !over.signal.aborted; await sleep(20)) {
            const [waiting = 0, prioritized = 0, running = 0] = await Promise.all(
              lists.map((list) => redis.eval(KEDA_LENGTH, 1, list) as Promise<number>),
            );
            const { state, progress } = await client.job(id);
            if (state === 'running' && progress.tasksDone < progress.tasksTotal) {
              demand.push(waiting + prioritized + running);
              mostWaiting = Math.max(mostWaiting, waiting + prioritized);
            }
          }
        })();
        // Should the test fail before it waits for it: the reason is what matters then.
        watcher.catch(() => undefined);
        // Both from the beginning: while one ends its task the others may come to the end of the job.
        await Promise.all(
          leaving.map(async (worker) => {
            await worker.begins();
            worker.terminate();
            assert.equal(await worker.exited, 0, worker.name);
          }),
        );
        const job = await finished(client, id);
        over.abort();
        await watcher;
        assert.ok(mostWaiting > 0, 'tasks that wait are seen');

        assert.equal(job.state, 'succeeded', job.error?.message);
        const { keyset, plan, clear } = prepared;
        assert.deepEqual(job.result?.operations, plan.operations, 'no task counts twice');
        const weights = decryptModel(keyset, plan, await client.result(id, job.result.models));
        const error = largestError(weights, clear);
        assert.ok(error < 1e-4, `the model is that of the clear twin, but for ${error}`);
        for (const { name, lines } of leaving) {
          const signalled = lines.findIndex(({ msg }) => msg === 'shutting down');
          const after = lines.slice(signalled).filter(({ msg }) => msg === 'task done');
          assert.equal(after.length, 1, `${name} ends the task that it computes, and takes no other`);
          assert.equal(lines.find(({ msg }) => msg === 'shut down')?.outcome, 'clean');
          assert.ok(!lines.some(({ msg }) => /failed|tried again/.test(msg)), `${name} gave no task up`);
        }
        t.diagnostic(
          `demand in ${demand.length} looks: at most ${Math.max(...demand)}, zero in ` +
            `${demand.filter((each) => each === 0).length}`,
        );
        assert.ok(Math.max(...demand) >= 2, 'the lists hold the tasks that wait and run');
        assert.deepEqual(
          await Promise.all(lists.map((list) => redis.eval(KEDA_LENGTH, 1, list))),
          [0, 0, 0],
          'and nothing when there is nothing to do',
        );
      } finally {
        for (const worker of leaving) worker.kill();
        redis.disconnect();
      }
    });
  },
);
