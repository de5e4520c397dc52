/** Training past the modulus, through API, queue, workers and scheduler, with refreshes by the owner: time, error, and where the time goes. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
import { print } from './measure.ts';
import { rotationMs } from './rotation.ts';

interface Cluster {
  readonly workers: number;
  readonly threads: number;
  /** @default auto */
  readonly evaluator?: 'seal';
}

interface Run {
  readonly report: TrainingReport;
  /** Seconds by kind of task, over all workers. */
  readonly byKind: ReadonlyMap<string, number>;
}

export async function run(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'blindfit-bench-'));
  try {
    // At this rate the paper's cubic diverges, also in the clear: beyond its range it turns back. A quintic does not.
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
  print(
    `${name}: ${samples} x ${features} x ${classes}, standardised, ${hyperparameters.iterations} iterations, ` +
      `learning rate ${hyperparameters.learningRate}, sigmoid of degree ${hyperparameters.sigmoid.degree} on ` +
      `[-${hyperparameters.sigmoid.range}, ${hyperparameters.sigmoid.range}], keys loaded`,
    [
      ['', 'training s', '/ one rotation', 'owner s', 'down MB', 'up MB', 'weight error', 'held out', 'in the clear'],
      ...runs.map(({ report }, at) => [
        `${clusters[at]?.workers ?? 0} worker${clusters[at]?.workers === 1 ? '' : 's'}, ` +
          `${clusters[at]?.threads ?? 0} ` +
          `thread${clusters[at]?.threads === 1 ? '' : 's each'}${clusters[at]?.evaluator === 'seal' ? ', node-seal' : ''}`,
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
  if (first !== undefined) {
    const all = total(first.byKind);
    const refreshes = plan.segments.length - 1;
    const chains = first.report.refresh.count / Math.max(1, refreshes);
    process.stdout.write(
      '\n' +
        `${plan.parameters.name}: ${plan.layout.shards} x ${plan.layout.blocks} blocks of ${plan.layout.rows} ` +
        `x ${plan.layout.columns}, ${plan.layout.turns} samples a row; a refresh every ` +
        `${plan.schedule.refreshEvery} iteration(s), in ${chains} parts` +
        '\n' +
        `one rotation at the top level: ${rotation.toFixed(1)} ms; planned ` +
        `${plan.rotationEquivalents.toFixed(0)} rotation-equivalents` +
        '\n' +
        `rotations ${first.report.operations?.rotations ?? 0}, relinearisations ` +
        `${first.report.operations?.relinearisations ?? 0}, products ` +
        `${first.report.operations?.multiplications ?? 0}` +
        '\n' +
        'where it goes: ' +
        `${[...first.byKind].map(([kind, value]) => `${kind} ${((100 * value) / all).toFixed(0)} %`).join(', ')}; ` +
        `expanding the weights is ${(100 * expandShare(plan)).toFixed(0)} % of an iteration` +
        '\n' +
        `one refresh of all classes: ${(first.report.refresh.down / refreshes / 1e6).toFixed(2)} MB down, ` +
        `${(first.report.refresh.up / refreshes / 1e6).toFixed(2)} MB up, ` +
        `${(first.report.refresh.computeSeconds / refreshes).toFixed(2)} s of computing, ` +
        `${(first.report.refresh.seconds / refreshes).toFixed(2)} s in all\n`,
    );
  }
  if (first !== undefined && second !== undefined) {
    process.stdout.write(
      'parallel efficiency from 1 to 2 worker processes: ' +
        `${(first.report.seconds.train / (2 * second.report.seconds.train)).toFixed(2)}\n`,
    );
  }
  if (second !== undefined && onSeal !== undefined) {
    process.stdout.write(
      `node-seal takes ${(onSeal.report.seconds.train / second.report.seconds.train).toFixed(1)} times as ` +
        `long on as many workers; the servers' tasks alone ` +
        `${(total(onSeal.byKind) / total(second.byKind)).toFixed(1)} times\n`,
    );
  }
}

function total(byKind: ReadonlyMap<string, number>): number {
  return [...byKind.values()].reduce((sum, value) => sum + value, 0);
}

/** Part of an iteration that expanding the packed weights costs, by the planner's cost model. */
function expandShare(plan: Plan): number {
  const { layout, grouping, parameters, iterations } = plan;
  const level = iterations[1]?.weights ?? 0;
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
  { evaluator, ...cluster }: Cluster,
): Promise<Run> {
  process.env['BLINDFIT_EVALUATOR'] = evaluator ?? 'auto';
  const stack = await startStack({
    dataDir: join(directory, `data-${cluster.workers}-${cluster.threads}-${evaluator ?? 'auto'}-${data.shape.samples}`),
    ...cluster,
    log: () => undefined,
  });
  const client = new BlindfitClient({ server: stack.url, token: stack.token });
  const training = (of: Hyperparameters): Promise<TrainingReport> =>
    trainEncrypted(client, { data, hyperparameters: of, keys: directoryKeys(join(directory, 'keys')), refreshEvery });
  try {
    // Two iterations bring the keys into every thread.
    await training({ ...hyperparameters, iterations: refreshEvery + 1 });
    const before = await secondsByKind(stack);
    const report = await training(hyperparameters);
    const after = await secondsByKind(stack);
    return { report, byKind: new Map([...after].map(([kind, value]) => [kind, value - (before.get(kind) ?? 0)])) };
  } finally {
    await client.close();
    await stack.stop();
  }
}

/** From the workers' own metrics. */
async function secondsByKind(stack: RunningStack): Promise<Map<string, number>> {
  const sums = new Map<string, number>();
  for (const { name, url } of stack.processes) {
    if (!name.startsWith('worker')) continue;
    const text = await (await fetch(`${url}/metrics`)).text();
    for (const [, kind = '', value] of text.matchAll(
      /^blindfit_task_duration_seconds_sum\{.*?kind="(\w+)".*?\} (\S+)$/gm,
    ))
      sums.set(kind, (sums.get(kind) ?? 0) + Number(value));
  }
  return sums;
}
