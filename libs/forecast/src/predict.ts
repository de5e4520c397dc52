/** From a plan and the costs of this machine to seconds, on this machine or on a cluster of its like. */
import { CIPHERTEXT_BYTES, INPUT_DISK_BYTES } from '@blindfit/compute/budgets';
import { MAX_PLAINTEXTS } from '@blindfit/he/native';
import { MAX_MONOMIALS } from '@blindfit/he/seal';
import type { Plan } from '@blindfit/training';
import { secondsOf, type Calibration } from './calibration.ts';
import { transferSeconds, type Cluster } from './cluster.ts';
import { criticalPath, simulate, type Simulation, type Spent } from './simulate.ts';
import { StepCosts } from './step-costs.ts';
import { taskGraph, type Node } from './task-graph.ts';

export interface Prediction {
  /** The training, with the evaluation keys loaded. */
  readonly training: Simulation;
  /** Seconds of a compute thread to load them, beforehand. */
  readonly loadKeys: number;
  /** Seconds of a training whose threads begin with nothing. */
  readonly cold: number;
  /** Seconds that no number of threads gets below. */
  readonly criticalPath: number;
  /** Of the owner, before the training: making keys, encrypting, uploading. */
  readonly owner: { readonly keys: number; readonly encrypt: number; readonly upload: number };
}

/** The caches of a thread, by the evaluator in use. */
const CACHES = {
  seal: { inputBytes: CIPHERTEXT_BYTES.seal, monomials: { capacity: MAX_MONOMIALS, evicts: 'all' } },
  native: { inputBytes: INPUT_DISK_BYTES, monomials: { capacity: MAX_PLAINTEXTS, evicts: 'oldest' } },
} as const;

export function predict(plan: Plan, calibration: Calibration, cluster: Cluster): Prediction {
  if (calibration.fingerprint !== plan.parameters.fingerprint)
    throw new Error('the calibration is of other parameters than the plan');
  const costs = new StepCosts(plan, calibration, cluster);
  const graph = taskGraph(plan, costs);
  const { threads, schedulerThreads } = cluster;
  // Where workers have all cores, others take from theirs.
  const others = cluster.shared && threads >= calibration.machine.threads ? shareOfOthers(graph) : 0;
  const contention = contentionOf(calibration, threads) * (1 + others);
  const options = {
    threads,
    schedulerThreads,
    contention,
    ...CACHES[calibration.machine.evaluator.startsWith('native') ? 'native' : 'seal'],
  };
  return {
    training: simulate(graph, options),
    loadKeys: contention * costs.setup,
    cold: simulate(graph, { ...options, setup: costs.setup }).makespan,
    criticalPath: criticalPath(graph),
    owner: ownerSeconds(plan, calibration, cluster),
  };
}

/** What schedulers and the owner compute, in relation to what workers do. */
function shareOfOthers(graph: readonly Node[]): number {
  let workers = 0;
  let others = 0;
  for (const { actor, seconds } of graph) {
    if (actor === 'worker') workers += seconds.compute + seconds.store;
    else others += seconds.compute + seconds.store;
  }
  return workers === 0 ? 0 : others / workers;
}

/** Grows with the threads of a machine; more threads are on more machines. */
function contentionOf({ contention, machine }: Calibration, threads: number): number {
  if (machine.threads === 1) return 1;
  return 1 + ((contention - 1) * (Math.min(threads, machine.threads) - 1)) / (machine.threads - 1);
}

function ownerSeconds(
  { layout, features, gradientFeatures, labels, steps, bytes }: Plan,
  calibration: Calibration,
  { owner }: Cluster,
): Prediction['owner'] {
  const cells = layout.shards * layout.cells;
  const blobs = layout.shards * (2 * layout.cells + layout.pairs) + steps.length + 1;
  return {
    keys: (steps.length + 1) * calibration.keyMake,
    encrypt:
      cells *
        (secondsOf(calibration, 'encrypt', features.level) +
          secondsOf(calibration, 'encrypt', gradientFeatures.level)) +
      layout.shards * layout.pairs * secondsOf(calibration, 'encryptPair', labels.level),
    upload: blobs * owner.latency + transferSeconds(owner, bytes.data + bytes.keys),
  };
}

/**
 * What keeps a number of threads from being that many times as fast as one, largest first. Shares of the threads' time;
 * with the efficiency they make 1.
 */
export function losses(
  one: Simulation,
  many: Simulation,
  threads: number,
): { readonly what: keyof Spent; readonly share: number }[] {
  const all = threads * many.makespan;
  return (Object.keys(many.spent) as (keyof Spent)[])
    .map((what) => ({ what, share: (many.spent[what] - one.spent[what]) / all }))
    .sort((a, b) => b.share - a.share);
}

export function efficiency(one: Simulation, many: Simulation, threads: number): number {
  return one.makespan / (threads * many.makespan);
}
