/** Long trainings through API, queue, workers and scheduler with refreshes by the owner: times and errors. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { at, required, valueOf } from '@blindfit/base';
import { BlindfitClient } from '@blindfit/client';
import { CountingEvaluator } from '@blindfit/he';
import { train as trainEncrypted, type TrainingReport } from '@blindfit/owner';
import { directoryKeys } from '@blindfit/owner/node';
import { startStack, type RunningStack } from '@blindfit/stack';
import {
  choosePlan,
  DEFAULT_HYPERPARAMETERS,
  expand,
  fitSigmoid,
  type Hyperparameters,
  type Plan,
} from '@blindfit/training';
import { large, small, type NamedData } from './data-sets.ts';
import { note, print } from './measure.ts';
import { rotationMs } from './rotation.ts';

interface Cluster {
  readonly workers: number;
  readonly threads: number;
  /** @default auto */
  readonly evaluator?: 'seal';
}

interface Run {
  readonly cluster: Cluster;
  readonly report: TrainingReport;
  /** Seconds by kind of task, over all workers. */
  readonly byKind: ReadonlyMap<string, number>;
}

export async function run(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'blindfit-bench-'));
  try {
    // The paper's cubic falls beyond its range and diverges at this rate, also in the clear. A quintic does not.
    const fast = { ...DEFAULT_HYPERPARAMETERS, learningRate: 10, sigmoid: fitSigmoid(5, 12) };
    await one(directory, await small(), { ...fast, iterations: 16 }, [{ workers: 1, threads: 2 }]);
    await one(directory, await large(), { ...fast, iterations: 20 }, [
      { workers: 1, threads: 1 },
      { workers: 2, threads: 1 },
      { workers: 2, threads: 1, evaluator: 'seal' },
    ]);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function one(
  directory: string,
  { name, data }: NamedData,
  hyperparameters: Hyperparameters,
  clusters: readonly Cluster[],
): Promise<void> {
  const plan = choosePlan({ shape: data.shape, hyperparameters });
  const rotation = await rotationMs(plan);
  const runs: Run[] = [];
  for (const cluster of clusters)
    runs.push(await train(directory, data, hyperparameters, plan.schedule.refreshEvery, cluster));
  const { samples, features, classes } = data.shape;
  const percent = (value: number | undefined): string => (value === undefined ? '-' : `${(100 * value).toFixed(2)} %`);
  const seconds = (value: number): string => value.toFixed(1);
  const { iterations, learningRate, sigmoid } = hyperparameters;
  print(
    `${name}: ${samples} x ${features} x ${classes}, standardised, ${iterations} iterations, ` +
      `learning rate ${learningRate}, sigmoid of degree ${sigmoid.degree} on [-${sigmoid.range}, ${sigmoid.range}], ` +
      'keys loaded',
    [
      ['', 'training s', '/ one rotation', 'owner s', 'down MB', 'up MB', 'weight error', 'held out', 'in the clear'],
      ...runs.map(({ report, cluster }) => [
        clusterName(cluster),
        seconds(report.seconds.train),
        ((1000 * report.seconds.train) / rotation).toFixed(0),
        seconds(report.refresh.seconds),
        (report.refresh.down / 1e6).toFixed(1),
        (report.refresh.up / 1e6).toFixed(1),
        report.maxWeightError.toExponential(1),
        percent(report.accuracy.encrypted.validation),
        percent(report.accuracy.clear.validation),
      ]),
    ],
  );
  const [first, second, onSeal] = runs;
  if (first !== undefined) note(partsOf(first, plan, rotation));
  if (first !== undefined && second !== undefined)
    note([
      `parallel efficiency from 1 to 2 worker processes: ` +
        (first.report.seconds.train / (2 * second.report.seconds.train)).toFixed(2),
    ]);
  if (second !== undefined && onSeal !== undefined) {
    const slower = (onSeal.report.seconds.train / second.report.seconds.train).toFixed(1);
    const tasks = (total(onSeal.byKind) / total(second.byKind)).toFixed(1);
    note([`node-seal takes ${slower} times as long on as many workers; the servers' tasks alone ${tasks} times`]);
  }
}

function clusterName({ workers, threads, evaluator }: Cluster): string {
  const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;
  const each = threads === 1 ? '' : ' each';
  return (
    `${counted(workers, 'worker')}, ` +
    `${counted(threads, 'thread')}${each}${evaluator === 'seal' ? ', node-seal' : ''}`
  );
}

/** Sentences on the layout, the operations, and the parts of the time of a run. */
function partsOf({ report, byKind }: Run, plan: Plan, rotation: number): string[] {
  const { layout, parameters, schedule, segments, rotationEquivalents } = plan;
  const refreshes = segments.length - 1;
  const { refresh } = report;
  const operations = required(report.operations, 'operations');
  const share = (value: number): string => `${(100 * value).toFixed(0)} %`;
  const kinds = [...byKind].map(([kind, value]) => `${kind} ${share(value / total(byKind))}`);
  return [
    `${parameters.name}: ${layout.shards} x ${layout.blocks} blocks of ${layout.rows} x ${layout.columns}, ` +
      `${layout.turns} samples a row; a refresh every ${schedule.refreshEvery} iteration(s), ` +
      `in ${refresh.count / Math.max(1, refreshes)} parts`,
    `one rotation at the top level: ${rotation.toFixed(1)} ms; planned ${rotationEquivalents.toFixed(0)} ` +
      'rotation-equivalents',
    `rotations ${operations.rotations}, relinearisations ${operations.relinearisations}, products ` +
      `${operations.multiplications}`,
    `time of the tasks: ${kinds.join(', ')}; expanding the weights is ${share(expandShare(plan))} of an iteration`,
    `one refresh of all classes: ${(refresh.down / refreshes / 1e6).toFixed(2)} MB down, ` +
      `${(refresh.up / refreshes / 1e6).toFixed(2)} MB up, ` +
      `${(refresh.computeSeconds / refreshes).toFixed(2)} s of computing, ` +
      `${(refresh.seconds / refreshes).toFixed(2)} s in all`,
  ];
}

function total(byKind: ReadonlyMap<string, number>): number {
  return [...byKind.values()].reduce((sum, value) => sum + value, 0);
}

/** The share of an iteration that expanding the packed weights costs, by the planner's cost model. */
function expandShare(plan: Plan): number {
  const { layout, grouping, parameters, iterations } = plan;
  const level = required(at(iterations, 1, 'iterations').weights, 'level');
  const evaluator = new CountingEvaluator(parameters);
  expand(evaluator, layout, evaluator.input(level, plan.refreshScale), 0, grouping.pairsPerChain);
  const expanding = evaluator.cost * Math.ceil(layout.shardsPerBatch / grouping.shardsPerTask);
  return (expanding * layout.pairs * (iterations.length - 1)) / plan.transforms;
}

async function train(
  directory: string,
  data: NamedData['data'],
  hyperparameters: Hyperparameters,
  refreshEvery: number,
  cluster: Cluster,
): Promise<Run> {
  const { workers, threads, evaluator = 'auto' } = cluster;
  process.env['BLINDFIT_EVALUATOR'] = evaluator;
  const stack = await startStack({
    dataDir: join(directory, `data-${workers}-${threads}-${evaluator}-${data.shape.samples}`),
    workers,
    threads,
    log: () => undefined,
  });
  const client = new BlindfitClient({ server: stack.url, token: stack.token });
  const training = (chosen: Hyperparameters): Promise<TrainingReport> =>
    trainEncrypted(client, {
      data,
      hyperparameters: chosen,
      keys: directoryKeys(join(directory, 'keys')),
      refreshEvery,
    });
  try {
    // Two iterations bring the keys into every thread.
    await training({ ...hyperparameters, iterations: refreshEvery + 1 });
    const before = await secondsByKind(stack);
    const report = await training(hyperparameters);
    const after = await secondsByKind(stack);
    for (const [kind, value] of before) after.set(kind, valueOf(after, kind, 'kinds') - value);
    return { cluster, report, byKind: after };
  } finally {
    await client.close();
    await stack.stop();
  }
}

/** Reads the workers' own metrics. */
async function secondsByKind(stack: RunningStack): Promise<Map<string, number>> {
  const sums = new Map<string, number>();
  for (const { name, url } of stack.processes) {
    if (!name.startsWith('worker')) continue;
    const text = await (await fetch(`${url}/metrics`)).text();
    for (const [, kind = '', value] of text.matchAll(
      /^blindfit_task_duration_seconds_sum\{.*?kind="(\w+)".*?\} (\S+)$/gm,
    ))
      sums.set(kind, Number(value) + (sums.has(kind) ? valueOf(sums, kind, 'kinds') : 0));
  }
  return sums;
}
