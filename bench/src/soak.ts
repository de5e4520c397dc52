/** Measures whether memory grows with the iterations of a job (500, each refreshed, in a small ring) or its samples. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { at, required, valueOf } from '@blindfit/base';
import { BlindfitClient } from '@blindfit/client';
import { createDataset } from '@blindfit/data';
import { prepareData, train, type TrainingData } from '@blindfit/owner';
import { directoryKeys } from '@blindfit/owner/node';
import { startStack, type RunningStack } from '@blindfit/stack';
import { DEFAULT_HYPERPARAMETERS, fitSigmoid } from '@blindfit/training';
import { print } from './measure.ts';

const ITERATIONS = 500;
const WARM_UP = 50;
const SAMPLES = 40;
const FEATURES = 6;

export async function run(): Promise<void> {
  await iterations();
  await samples();
}

async function iterations(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'blindfit-bench-'));
  const stack = await startStack({ dataDir: join(directory, 'data'), threads: 1, log: () => undefined });
  const client = new BlindfitClient({ server: stack.url, token: stack.token });
  const stop = new AbortController();
  try {
    const looks: { readonly iteration: number; readonly bytes: ReadonlyMap<string, number> }[] = [];
    let job = '';
    const watch = setInterval(() => {
      if (job !== '')
        void client
          .job(job)
          .then(async ({ progress }) => looks.push({ iteration: progress.iteration, bytes: await memoryOf(stack) }))
          .catch(() => undefined);
    }, 2_000);
    const data = dataOf(SAMPLES, FEATURES, 2);
    const started = performance.now();
    const report = await train(client, {
      data,
      // A straight line for a sigmoid takes three levels an iteration, which fit the ring of 8192.
      hyperparameters: { ...DEFAULT_HYPERPARAMETERS, iterations: ITERATIONS, sigmoid: fitSigmoid(1, 8) },
      precision: 0.1,
      refreshEvery: 1,
      keys: directoryKeys(join(directory, 'keys')),
      onSubmitted: (submitted) => {
        job = submitted.id;
      },
      signal: stop.signal,
    });
    clearInterval(watch);
    const after = (first: number): ReadonlyMap<string, number> =>
      required(
        looks.find(({ iteration }) => iteration >= first),
        `measurement after iteration ${first}`,
      ).bytes;
    const [warm, middle] = [after(WARM_UP), after(ITERATIONS / 2)];
    const last = at(looks, looks.length - 1, 'measurements').bytes;
    print(
      `Soak: ${SAMPLES} x ${data.shape.features} x 2, ${ITERATIONS} iterations, ${report.refresh.count} ` +
        `refreshes, ${report.parameters.name}, ${((performance.now() - started) / 1000).toFixed(0)} s; weight ` +
        `error ${report.maxWeightError.toExponential(1)}; resident memory in MiB`,
      [
        ['process', `iteration ${WARM_UP}`, `iteration ${ITERATIONS / 2}`, `iteration ${ITERATIONS}`, 'end / half'],
        ...[...last].map(([name, bytes]) => [
          name,
          mib(valueOf(warm, name, 'processes')),
          mib(valueOf(middle, name, 'processes')),
          mib(bytes),
          (bytes / valueOf(middle, name, 'processes')).toFixed(2),
        ]),
      ],
    );
  } finally {
    await client.close();
    await stack.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

/** The worker's largest resident memory in jobs of two iterations, with and without mapped files of inputs and keys. */
async function samples(): Promise<void> {
  const rows = [['samples', 'worker peak MiB', 'without files MiB', 'training s', 'weight error']];
  const directory = await mkdtemp(join(tmpdir(), 'blindfit-bench-'));
  try {
    for (const count of [1024, 16_384, 131_072]) {
      // Every job has a new process, because the largest memory of a process never falls.
      const stack = await startStack({ dataDir: join(directory, `data-${count}`), threads: 2, log: () => undefined });
      const client = new BlindfitClient({ server: stack.url, token: stack.token });
      const worker = required(
        stack.processes.find(({ name }) => name.startsWith('worker')),
        'worker',
      ).pid;
      let own = 0;
      const watch = setInterval(
        () => void fieldOf(worker, 'RssAnon').then((bytes) => (own = Math.max(own, bytes))),
        250,
      );
      try {
        const report = await train(client, {
          data: dataOf(count, 63, 4),
          hyperparameters: DEFAULT_HYPERPARAMETERS,
          refreshEvery: 1,
          keys: directoryKeys(join(directory, 'keys')),
        });
        rows.push([
          String(count),
          mib(await fieldOf(worker, 'VmHWM')),
          mib(own),
          report.seconds.train.toFixed(1),
          report.maxWeightError.toExponential(1),
        ]);
      } finally {
        clearInterval(watch);
        await client.close();
        await stack.stop();
      }
    }
    print('Memory by samples: 64 columns, 4 classes, 2 iterations, one worker of 2 threads', rows);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Standardised columns; the first one depends on the class. */
export function dataOf(count: number, width: number, classes: number): TrainingData {
  const features = Float64Array.from(
    { length: count * width },
    (_, at) => Math.sin(at * 1.7) + (at % width === 0 ? (Math.floor(at / width) % classes) - 0.5 : 0),
  );
  return prepareData({
    training: createDataset(
      features,
      width,
      Array.from({ length: count }, (_, i) => String(i % classes)),
    ),
    preprocessing: 'standardize',
  });
}

function mib(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(0);
}

/** @returns bytes; NaN for a process that has ended */
async function fieldOf(pid: number, field: 'VmRSS' | 'VmHWM' | 'RssAnon'): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return 1024 * Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]);
}

async function memoryOf(stack: RunningStack): Promise<Map<string, number>> {
  const memory = new Map<string, number>();
  for (const { name, pid } of stack.processes) memory.set(name, await fieldOf(pid, 'VmRSS'));
  return memory;
}
