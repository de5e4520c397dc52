/** The paper's job through API, queue, workers and scheduler: threads, evaluators and memory, keys loaded. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { required } from '@blindfit/base';
import { BlindfitClient } from '@blindfit/client';
import { train as trainEncrypted, type TrainingReport } from '@blindfit/owner';
import { directoryKeys } from '@blindfit/owner/node';
import { startStack } from '@blindfit/stack';
import { DEFAULT_HYPERPARAMETERS } from '@blindfit/training';
import { note, print } from './measure.ts';
import { paperData } from './paper-job.ts';

/** Runs with keys loaded for each number of threads. The median is reported. */
const RUNS = 3;

interface Measured {
  readonly report: TrainingReport;
  /** Median seconds of the training, keys loaded. */
  readonly train: number;
  /** Largest resident memory of the worker process, bytes. */
  readonly peakMemory: number;
  /** Seconds until a new worker on the same host has its keys. */
  readonly again: number;
}

/** @param rotationMs milliseconds of one rotation, measured in the same run */
export async function run(rotationMs: number): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'blindfit-bench-'));
  try {
    const one = await measure(directory, 1);
    const two = await measure(directory, 2);
    const seal = await measure(directory, 2, 'seal');
    const eight = await measure(directory, 8);
    const seconds = (value: number): string => value.toFixed(2);
    const rows = (
      [
        ['1 thread', one],
        ['2 threads', two],
        ['2 threads, node-seal', seal],
        ['8 threads', eight],
      ] as const
    ).map(([name, { report, train, peakMemory }]) => [
      name,
      seconds(train),
      ((1000 * train) / rotationMs).toFixed(0),
      seconds(report.seconds.loadKeys),
      (peakMemory / 2 ** 20).toFixed(0),
      report.maxWeightError.toExponential(1),
    ]);
    print(
      `The paper's job (128 x 401 x 10, 2 iterations, start 0, standardised), median of ${RUNS} runs with keys loaded`,
      [['', 'training s', '/ one rotation', 'key loading s', 'worker peak MiB', 'weight error'], ...rows],
    );
    const { bytes, operations } = two.report;
    if (operations === undefined) throw new Error('the job did not finish');
    const slower = (seal.train / two.train).toFixed(1);
    const paper = 676.6 + 583;
    note([
      `evaluator: ${Object.keys(two.report.evaluators ?? {}).join(', ')}; node-seal takes ${slower} times as long`,
      `a new worker has keys that are on its host after ${(1000 * two.again).toFixed(0)} ms, its parameters included`,
      `memory of each of 6 more threads: ${((eight.peakMemory - two.peakMemory) / 6 / 2 ** 20).toFixed(0)} MiB`,
      `two threads / one thread: ${(two.train / one.train).toFixed(2)}`,
      `one rotation at the top level: ${rotationMs.toFixed(1)} ms`,
      `rotations ${operations.rotations}, relinearisations ${operations.relinearisations}, ` +
        `products ${operations.multiplications}, plaintext products ${operations.plainMultiplications}, ` +
        `rescales ${operations.rescales}`,
      `upload: data ${(bytes.data / 1e6).toFixed(1)} MB, keys ${(bytes.keys / 1e6).toFixed(1)} MB; ` +
        `download: ${(bytes.model / 1e6).toFixed(2)} MB`,
      `the paper, 64 vCPUs: ${paper.toFixed(1)} s; ratio to two threads here: ${(paper / two.train).toFixed(0)}`,
    ]);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function measure(directory: string, threads: number, evaluator = 'auto'): Promise<Measured> {
  process.env['BLINDFIT_EVALUATOR'] = evaluator;
  const dataDir = join(directory, `data-${threads}-${evaluator}`);
  const measured = await measureOn(directory, dataDir, threads, RUNS);
  // Keys are made where a stack has its data: the next one finds them.
  const { report } = await measureOn(directory, dataDir, threads, 0);
  return { ...measured, again: report.seconds.loadKeys };
}

async function measureOn(directory: string, dataDir: string, threads: number, runs: number): Promise<Measured> {
  const data = await paperData();
  const stack = await startStack({ dataDir, threads, log: () => undefined });
  const client = new BlindfitClient({ server: stack.url, token: stack.token });
  try {
    const train = (): Promise<TrainingReport> =>
      trainEncrypted(client, {
        data,
        hyperparameters: DEFAULT_HYPERPARAMETERS,
        keys: directoryKeys(join(directory, 'keys')),
      });
    const first = await train();
    const reports: TrainingReport[] = [];
    for (let i = 0; i < runs; i++) reports.push(await train());
    reports.sort((a, b) => a.seconds.train - b.seconds.train);
    const median = reports[Math.floor(runs / 2)] ?? first;
    const worker = stack.processes.find((process) => process.name.startsWith('worker'));
    return {
      report: { ...median, seconds: { ...median.seconds, loadKeys: first.seconds.loadKeys } },
      again: NaN,
      train: median.seconds.train,
      peakMemory: await peakMemoryOf(required(worker, 'worker').pid),
    };
  } finally {
    await client.close();
    await stack.stop();
  }
}

async function peakMemoryOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return 1024 * Number(required(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1], 'VmHWM'));
}
