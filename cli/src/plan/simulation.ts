/** `blindfit plan --simulate`: one job on clusters of every size. */
import {
  efficiency,
  losses,
  predict,
  remoteCluster,
  type Calibration,
  type Prediction,
  type Spent,
} from '@blindfit/forecast';
import { choosePlan, type Plan, type PlanRequest } from '@blindfit/training';
import { formatSeconds } from '../format.ts';
import { formatTable } from '../table.ts';

/** Powers of two up to the largest cluster Blindfit is meant for. */
export const SIMULATED_VCPUS = [1, 2, 4, 8, 16, 32, 64, 128, 256];

export interface Simulated {
  readonly vcpus: number;
  readonly plan: Plan;
  readonly prediction: Prediction;
  /** The time of one thread over the time of all together. */
  readonly efficiency: number;
  readonly losses: ReturnType<typeof losses>;
}

/**
 * A plan for every size, simulated.
 * @param ownerBytesPerSecond of the owner's line
 */
export async function simulateAll(
  request: PlanRequest,
  costsOf: (plan: Plan) => Promise<Calibration>,
  ownerBytesPerSecond: number,
): Promise<Simulated[]> {
  const results: Simulated[] = [];
  let one: Prediction | undefined;
  for (const vcpus of SIMULATED_VCPUS) {
    const plan = choosePlan({ ...request, vcpus });
    const prediction = predict(plan, await costsOf(plan), remoteCluster(vcpus, ownerBytesPerSecond));
    one ??= prediction;
    results.push({
      vcpus,
      plan,
      prediction,
      efficiency: efficiency(one.training, prediction.training, vcpus),
      losses: losses(one.training, prediction.training, vcpus),
    });
  }
  return results;
}

/** What a loss is called. */
const NAMES: Readonly<Record<keyof Spent, string>> = {
  compute: 'work that smaller tasks repeat',
  contention: 'threads of a machine slowing each other',
  store: 'results through the store',
  inputs: 'every thread reading the data',
  queue: 'tasks on their way through the queue',
  setup: 'loading keys',
  idleTasks: 'too few tasks at a time',
  idleScheduler: 'adding up between tasks',
  idleOwner: 'waiting for the owner',
  idleQueue: 'messages between iterations',
};

/** A loss below this share is not named. */
const WORTH_NAMING = 0.02;

/** The largest reasons why a cluster is not as many times as fast as it has threads. */
export function limitsOf({ losses }: Pick<Simulated, 'losses'>): string {
  const named = losses.filter(({ share }) => share >= WORTH_NAMING).slice(0, 3);
  return named.length === 0
    ? 'nothing'
    : named.map(({ what, share }) => `${NAMES[what]} ${Math.round(100 * share)} %`).join(', ');
}

export function simulationText(simulated: readonly Simulated[], ownerBytesPerSecond: number): string {
  const table = formatTable(
    [
      { title: 'vCPUs', align: 'right' },
      { title: 'training', align: 'right' },
      { title: 'keys included', align: 'right' },
      { title: 'speed-up', align: 'right' },
      { title: 'efficiency', align: 'right' },
      { title: 'tasks', align: 'right' },
      { title: 'block / turns' },
      { title: 'refresh every' },
      { title: 'limited by' },
    ],
    simulated.map((each) => [
      String(each.vcpus),
      formatSeconds(each.prediction.training.makespan),
      formatSeconds(each.prediction.cold),
      (each.efficiency * each.vcpus).toFixed(1),
      each.efficiency.toFixed(2),
      String(each.prediction.training.tasks),
      `${each.plan.layout.rows} x ${each.plan.layout.columns} / ${each.plan.layout.turns}`,
      each.plan.segments.length === 1 ? 'never' : String(each.plan.schedule.refreshEvery),
      limitsOf(each),
    ]),
  );
  const last = simulated.at(-1);
  const path =
    last === undefined
      ? ''
      : ` No number of threads trains by the last plan in less than ${formatSeconds(last.prediction.criticalPath)}.`;
  return (
    `${table}\n` +
    '\n' +
    `Machines like this one, an owner with ${Math.round((8 * ownerBytesPerSecond) / 1e6)} Mbit/s. ` +
    `Efficiency: the time of one vCPU over that of all together.${path}`
  );
}

export function simulationJson(simulated: readonly Simulated[]): Record<string, unknown>[] {
  return simulated.map(({ vcpus, plan, prediction, efficiency, losses }) => ({
    vcpus,
    seconds: {
      train: prediction.training.makespan,
      trainFromCold: prediction.cold,
      criticalPath: prediction.criticalPath,
      ownerRefreshes: prediction.training.owner,
    },
    efficiency,
    tasks: prediction.training.tasks,
    parameters: plan.parameters.name,
    block: { rows: plan.layout.rows, columns: plan.layout.columns, turns: plan.layout.turns },
    grouping: plan.grouping,
    refreshEvery: plan.schedule.refreshEvery,
    spent: prediction.training.spent,
    losses: Object.fromEntries(losses.map(({ what, share }) => [what, share])),
  }));
}
