/** The paper's job through API, queue, workers and scheduler, with one thread and with two, keys loaded. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Progress, runTraining, startStack, type TrainingReport } from '@blindfit/cli';
import { BlindfitClient } from '@blindfit/client';
import { DEFAULT_HYPERPARAMETERS } from '@blindfit/he';
import { print } from './measure.ts';
import { paperData } from './paper-job.ts';

/** Runs with keys loaded per number of threads; the median counts. */
const RUNS = 3;

interface Measured {
  readonly report: TrainingReport;
  /** Median seconds of the training, keys loaded. */
  readonly train: number;
  /** Largest resident memory of the worker process, bytes. */
  readonly peakMemory: number;
}

/** @param rotationMs milliseconds of one rotation, measured in the same run */
export async function run(rotationMs: number): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'blindfit-bench-'));
  try {
    const one = await measure(directory, 1);
    const two = await measure(directory, 2);
    const seconds = (value: number): string => value.toFixed(2);
    const rows = [one, two].map(({ report, train, peakMemory }, index) => [
      `${index + 1} thread${index === 0 ? '' : 's'}`,
      seconds(train),
      ((1000 * train) / rotationMs).toFixed(0),
      seconds(report.seconds.loadKeys),
      (peakMemory / 2 ** 20).toFixed(0),
      report.maxWeightError.toExponential(1),
    ]);
    print(`The paper's job (128 x 401 x 10, 2 iterations, start 0, standardised), median of ${RUNS} runs with keys loaded`, [
      ['', 'training s', '/ one rotation', 'key loading s', 'worker peak MiB', 'weight error'],
      ...rows,
    ]);
    const { bytes, operations } = two.report;
    if (operations === undefined) throw new Error('the job did not finish');
    process.stdout.write(
      `\ntwo threads / one thread: ${(two.train / one.train).toFixed(2)}` +
        `\none rotation at the top level: ${rotationMs.toFixed(1)} ms` +
        `\nrotations ${operations.rotations}, relinearisations ${operations.relinearisations}, products ${operations.multiplications}, plaintext products ${operations.plainMultiplications}, rescales ${operations.rescales}` +
        `\nupload: data ${(bytes.data / 1e6).toFixed(1)} MB, keys ${(bytes.keys / 1e6).toFixed(1)} MB; download: ${(bytes.model / 1e6).toFixed(2)} MB` +
        `\nthe paper, 64 vCPUs: ${(676.6 + 583).toFixed(1)} s; ratio to two threads here: ${((676.6 + 583) / two.train).toFixed(0)}\n`,
    );
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function measure(directory: string, threads: number): Promise<Measured> {
  const data = await paperData();
  const stack = await startStack({ dataDir: join(directory, `data-${threads}`), threads, log: () => undefined });
  const client = new BlindfitClient({ server: stack.url, token: stack.token });
  try {
    const train = (): Promise<TrainingReport> =>
      runTraining(client, { data, hyperparameters: DEFAULT_HYPERPARAMETERS, keysDirectory: join(directory, 'keys') }, new Progress({ mode: 'silent' }), new AbortController().signal);
    const first = await train();
    const reports: TrainingReport[] = [];
    for (let i = 0; i < RUNS; i++) reports.push(await train());
    reports.sort((a, b) => a.seconds.train - b.seconds.train);
    const median = reports[Math.floor(RUNS / 2)] ?? first;
    const worker = stack.processes.find((process) => process.name.startsWith('worker'));
    return {
      report: { ...median, seconds: { ...median.seconds, loadKeys: first.seconds.loadKeys } },
      train: median.seconds.train,
      peakMemory: await peakMemoryOf(worker?.pid ?? 0),
    };
  } finally {
    await client.close();
    await stack.stop();
  }
}

async function peakMemoryOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return 1024 * Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? NaN);
}

