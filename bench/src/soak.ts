/** A job of 500 iterations, each refreshed by the owner, in a small ring: whether the memory of any process grows. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { prepareData, Progress, runTraining, startStack, type RunningStack } from '@blindfit/cli';
import { BlindfitClient } from '@blindfit/client';
import { createDataset } from '@blindfit/datasets';
import { DEFAULT_HYPERPARAMETERS, fitSigmoid } from '@blindfit/he';
import { print } from './measure.ts';

const ITERATIONS = 500;
const WARM_UP = 50;
const SAMPLES = 40;
const FEATURES = 6;

export async function run(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'blindfit-bench-'));
  const stack = await startStack({ dataDir: join(directory, 'data'), threads: 1, log: () => undefined });
  const client = new BlindfitClient({ server: stack.url, token: stack.token });
  const stop = new AbortController();
  try {
    const samples: { readonly iteration: number; readonly bytes: ReadonlyMap<string, number> }[] = [];
    let job = '';
    const watch = setInterval(() => {
      if (job !== '') void client.job(job).then(async ({ progress }) => samples.push({ iteration: progress.iteration, bytes: await memoryOf(stack) })).catch(() => undefined);
    }, 2_000);
    const features = Float64Array.from({ length: SAMPLES * FEATURES }, (_, at) => Math.sin(at * 1.7) + (at % FEATURES === 0 ? (Math.floor(at / FEATURES) % 2) - 0.5 : 0));
    const data = prepareData({ training: createDataset(features, FEATURES, Array.from({ length: SAMPLES }, (_, i) => String(i % 2))), preprocessing: 'standardize' });
    const started = performance.now();
    const report = await runTraining(
      client,
      {
        data,
        // A straight line for a sigmoid takes three levels an iteration, which fit the ring of 8192.
        hyperparameters: { ...DEFAULT_HYPERPARAMETERS, iterations: ITERATIONS, sigmoid: fitSigmoid(1, 8) },
        precision: 0.1,
        refreshEvery: 1,
        keysDirectory: join(directory, 'keys'),
        onSubmitted: (submitted) => {
          job = submitted.id;
          return Promise.resolve();
        },
      },
      new Progress(),
      stop.signal,
    );
    clearInterval(watch);
    const warm = samples.find(({ iteration }) => iteration >= WARM_UP)?.bytes ?? new Map<string, number>();
    const middle = samples.find(({ iteration }) => iteration >= ITERATIONS / 2)?.bytes ?? new Map<string, number>();
    const last = samples.at(-1)?.bytes ?? new Map<string, number>();
    const mib = (value: number | undefined): string => ((value ?? NaN) / 2 ** 20).toFixed(0);
    print(
      `Soak: ${SAMPLES} x ${data.shape.features} x 2, ${ITERATIONS} iterations, ${report.refresh.count} refreshes, ${report.parameters.name}, ${((performance.now() - started) / 1000).toFixed(0)} s; weight error ${report.maxWeightError.toExponential(1)}; resident memory in MiB`,
      [
        ['process', `iteration ${WARM_UP}`, `iteration ${ITERATIONS / 2}`, `iteration ${ITERATIONS}`, 'end / half'],
        ...[...last].map(([name, bytes]) => [name, mib(warm.get(name)), mib(middle.get(name)), mib(bytes), (bytes / (middle.get(name) ?? NaN)).toFixed(2)]),
      ],
    );
  } finally {
    await client.close();
    await stack.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

async function memoryOf(stack: RunningStack): Promise<Map<string, number>> {
  const memory = new Map<string, number>();
  for (const { name, pid } of stack.processes) {
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
    memory.set(name, 1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? NaN));
  }
  return memory;
}
