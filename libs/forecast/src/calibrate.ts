/** Measures this machine, once per parameter set: the file it leaves answers the next time. */
import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { moduleUrl } from '@blindfit/base';
import { replaceFile } from '@blindfit/base/node';
import { type Parameters } from '@blindfit/he';
import { evaluatorName, resolveEvaluator, type ResolvedEvaluator } from '@blindfit/he/native';
import { OPERATIONS, type Calibration, type Machine } from './calibration.ts';
import type { Costs, MeasureReply, MeasureRequest } from './measure-messages.ts';

export interface CalibrateOptions {
  /** Where measurements are kept; created where needed. */
  readonly directory: string;
  /** Measures even what is known. @default false */
  readonly again?: boolean;
  /** @default the one that workers here use */
  readonly evaluator?: ResolvedEvaluator | undefined;
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Measured together at most; a thread takes some hundred megabytes. More are taken to get in each other's way as much.
 */
const MAX_THREADS = 16;
const BURST_SECONDS = 0.35;
/** Alone and together in turn, so that other work on the machine falls on both. The median counts. */
const BURSTS = 3;

/**
 * The costs of a parameter set on this machine, from the file or measured now (a few seconds; a minute for the largest
 * sets).
 * @throws Error when a measuring thread fails, for instance for want of memory
 */
export async function calibrate(parameters: Parameters, options: CalibrateOptions): Promise<Calibration> {
  const evaluator = options.evaluator ?? (await resolveEvaluator());
  const machine = await thisMachine(evaluator);
  const path = join(options.directory, `${fileNameOf(machine, parameters)}.json`);
  if (options.again !== true) {
    const known = await readCalibration(path);
    if (known !== undefined) return known;
  }
  const calibration = await measure(machine, evaluator, parameters, options.onProgress ?? (() => undefined));
  await mkdir(options.directory, { recursive: true });
  await replaceFile(path, `${JSON.stringify(calibration)}\n`, { mode: 0o666, sync: false });
  return calibration;
}

async function thisMachine(evaluator: ResolvedEvaluator): Promise<Machine> {
  // Pinned there, and nobody else loads it.
  const { dependencies } = JSON.parse(
    await readFile(new URL('../package.json', import.meta.resolve('@blindfit/he')), 'utf8'),
  ) as { dependencies: Record<string, string> };
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    threads: availableParallelism(),
    seal: dependencies['node-seal'] ?? 'unknown',
    node: process.version,
    evaluator: evaluatorName(evaluator),
  };
}

function fileNameOf(machine: Machine, { fingerprint }: Parameters): string {
  return createHash('sha256')
    .update(JSON.stringify([machine, fingerprint]))
    .digest('hex')
    .slice(0, 32);
}

/** @returns undefined for a file that is not there, or not one of ours: it is replaced */
async function readCalibration(path: string): Promise<Calibration | undefined> {
  try {
    const value = JSON.parse(await readFile(path, 'utf8')) as Partial<Calibration>;
    const complete =
      value.format === 'blindfit-calibration/1' &&
      OPERATIONS.every((name) => value.operations !== undefined && value.operations[name].length > 0);
    return complete ? (value as Calibration) : undefined;
  } catch {
    return undefined;
  }
}

async function measure(
  machine: Machine,
  evaluator: ResolvedEvaluator,
  parameters: Parameters,
  onProgress: (done: number, total: number) => void,
): Promise<Calibration> {
  const threads = Array.from(
    { length: Math.min(MAX_THREADS, machine.threads) },
    () => new MeasureThread(parameters, evaluator),
  );
  try {
    const [first] = threads;
    if (first === undefined) throw new Error('no threads');
    let total = 1 + BURSTS;
    const costs = await first.costs((done, steps) => onProgress(done, (total = steps + 1 + BURSTS)));
    onProgress(total - BURSTS, total);
    if (threads.length > 1) await Promise.all(threads.map((thread) => thread.rate({ kind: 'prepare' })));
    const ratios: number[] = [];
    for (let i = 0; i < BURSTS && threads.length > 1; i++) {
      const alone = await first.rate({ kind: 'burst', seconds: BURST_SECONDS });
      const together = await Promise.all(
        threads.map((thread) => thread.rate({ kind: 'burst', seconds: BURST_SECONDS })),
      );
      ratios.push(alone / (together.reduce((sum, rate) => sum + rate, 0) / together.length));
      onProgress(total - BURSTS + i + 1, total);
    }
    ratios.sort((a, b) => a - b);
    const contention = Math.max(1, ratios[Math.floor(ratios.length / 2)] ?? 1);
    onProgress(total, total);
    return {
      format: 'blindfit-calibration/1',
      machine,
      fingerprint: parameters.fingerprint,
      measuredAt: new Date().toISOString(),
      ...costs,
      contention,
    };
  } finally {
    await Promise.all(threads.map((thread) => thread.end()));
  }
}

/** One thread, as a worker's. */
class MeasureThread {
  readonly #worker: Worker;

  constructor(parameters: Parameters, evaluator: ResolvedEvaluator) {
    this.#worker = new Worker(moduleUrl('./measure-thread.ts', import.meta.url), {
      workerData: { literal: parameters.toJSON(), security: parameters.security, evaluator },
    });
  }

  async costs(onProgress: (done: number, total: number) => void): Promise<Costs> {
    const reply = await this.#ask({ kind: 'operations' }, onProgress);
    if (reply.kind !== 'costs') throw new Error(`a measuring thread answered ${reply.kind}`);
    return reply.costs;
  }

  /** Operations per second. */
  async rate(request: MeasureRequest): Promise<number> {
    const reply = await this.#ask(request, () => undefined);
    if (reply.kind !== 'done') throw new Error(`a measuring thread answered ${reply.kind}`);
    return reply.rate;
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }

  #ask(request: MeasureRequest, onProgress: (done: number, total: number) => void): Promise<MeasureReply> {
    return new Promise((resolve, reject) => {
      const done = (body: () => void) => (): void => {
        this.#worker.off('message', onMessage).off('error', reject).off('exit', onExit);
        body();
      };
      const onMessage = (reply: MeasureReply): void => {
        if (reply.kind === 'progress') onProgress(reply.done, reply.total);
        else
          done(() =>
            reply.kind === 'failed' ? reject(new Error(`measuring failed: ${reply.message}`)) : resolve(reply),
          )();
      };
      const onExit = (): void => reject(new Error('a measuring thread died'));
      this.#worker.on('message', onMessage).once('error', reject).once('exit', onExit);
      this.#worker.postMessage(request);
    });
  }
}
