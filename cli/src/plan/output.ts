/** A plan as people and programs read it. */
import type { Calibration, Prediction } from '@blindfit/forecast';
import { chainsOf, type Plan } from '@blindfit/training';
import { formatBytes, formatCount, formatSeconds } from '../format.ts';
import { formatPairs } from '../table.ts';

export interface Predicted {
  readonly prediction: Prediction;
  readonly calibration: Calibration;
  readonly vcpus: number;
  /** Whether the threads fit on the machine that was measured. */
  readonly here: boolean;
}

export function planJson(plan: Plan, predicted: Predicted | undefined): Record<string, unknown> {
  const {
    parameters,
    layout,
    grouping,
    schedule,
    segments,
    iterations,
    steps,
    operations,
    rotationEquivalents,
    bytes,
    threadMemoryBytes,
    maxWeight,
    hyperparameters,
  } = plan;
  return {
    parameters: {
      name: parameters.name,
      ...parameters.toJSON(),
      log2QP: parameters.logQP,
      levels: parameters.maxLevel,
      security: 128,
      fingerprint: parameters.fingerprint,
    },
    layout,
    grouping,
    chains: chainsOf(plan).length,
    ...schedule,
    refreshes: segments.length - 1,
    levels: iterations,
    hyperparameters,
    keys: steps.length + 1,
    rotationSteps: steps,
    operations,
    rotationEquivalents,
    bytes,
    threadMemoryBytes,
    maxWeight,
    predicted: predicted && predictionJson(predicted),
  };
}

function predictionJson({ prediction, calibration, vcpus, here }: Predicted): Record<string, unknown> {
  const { training, loadKeys, cold, criticalPath, owner } = prediction;
  const { machine, measuredAt, contention } = calibration;
  return {
    vcpus,
    onThisMachine: here,
    seconds: {
      train: training.makespan,
      loadKeys,
      trainFromCold: cold,
      criticalPath,
      ownerRefreshes: training.owner,
      ...owner,
    },
    tasks: training.tasks,
    spent: training.spent,
    calibration: { machine, measuredAt, contention },
  };
}

export function planText(plan: Plan, predicted: Predicted | undefined): string {
  const { parameters, layout, grouping, operations, bytes, segments, hyperparameters } = plan;
  const chains = chainsOf(plan).length;
  const refreshes = segments.length - 1;
  return formatPairs([
    ['ring', `N = ${parameters.ring}: ${formatCount(parameters.slots)} slots`],
    [
      'modulus',
      `log2 QP = ${parameters.logQP} bits: ${parameters.dataBits.join(' + ')}, special ` +
        `${parameters.specialBits} (128-bit secure by both tables)`,
    ],
    ['scale, levels', `2^${parameters.scaleBits}, ${parameters.maxLevel} levels; ${levelsText(plan)}`],
    [
      'refreshes',
      refreshes === 0
        ? `none: the levels last for all ${hyperparameters.iterations} iterations`
        : `${refreshes}, every ${plan.schedule.refreshEvery} iterations, of ${chains} chains; each ` +
          `${formatBytes(bytes.refreshDown)} to the owner and ${formatBytes(bytes.refreshUp)} back`,
    ],
    [
      'blocks',
      `${layout.rows} rows x ${layout.columns} features, ${layout.turns} samples a row: ${layout.shards} ` +
        `shards x ${layout.blocks} blocks, ${layout.pairs} pairs of classes` +
        (layout.batches === 1 ? '' : `; ${layout.batches} batches of ${layout.shardsPerBatch} shards`),
    ],
    [
      'tasks',
      `${grouping.shardsPerTask} shards and ${grouping.blocksPerTask} blocks each, ${grouping.pairsPerChain} ` +
        'pairs a ' +
        `chain${predicted === undefined ? '' : `: ${formatCount(predicted.prediction.training.tasks)} in all`}`,
    ],
    ['keys', `relinearisation and ${plan.steps.length} rotations (0 is the conjugation): ${plan.steps.join(' ')}`],
    [
      'operations',
      `${formatCount(operations.rotations)} rotations, ${formatCount(operations.relinearisations)} ` +
        `relinearisations, ${formatCount(operations.multiplications)} products, ` +
        `${formatCount(operations.plainMultiplications)} plaintext products, ` +
        `${formatCount(operations.rescales)} rescales`,
    ],
    ['cost', `about ${formatCount(plan.rotationEquivalents)} rotations at the top level`],
    [
      'bytes',
      `at most ${formatBytes(bytes.data)} of data and ${formatBytes(bytes.keys)} of keys up, ` +
        `${formatBytes(bytes.model)} of model down`,
    ],
    ['store', `${formatBytes(bytes.intermediates)} of intermediate results until a day after the end`],
    // Expanded keys are twice what is uploaded: half of each is a seed there.
    [
      'memory',
      `at most ${formatBytes(plan.threadMemoryBytes)} a compute thread, which on node-seal holds its own ` +
        `keys; threads of the native evaluator share ${formatBytes(2 * bytes.keys)} of them on a host`,
    ],
    ['weights', `|w| < ${plan.maxWeight}`],
    ...(predicted === undefined ? [] : predictionRows(predicted)),
  ]);
}

/** What every iteration begins and ends at; once where all segments are alike. */
function levelsText({ iterations, segments }: Plan): string {
  const used = iterations.map(({ weights, errors, gradient }) => `${weights ?? errors} to ${gradient}`);
  const [first, second] = segments;
  if (first === undefined || second === undefined || segments.length <= 2)
    return `iterations from levels ${used.join(', ')}`;
  const later = used.slice(second.first - 1, second.first - 1 + second.count);
  return `iterations from levels ${used.slice(0, first.count).join(', ')}; after each refresh ${later.join(', ')}`;
}

function predictionRows({ prediction, calibration, vcpus, here }: Predicted): [string, string][] {
  const { training, loadKeys, owner } = prediction;
  const where = here ? 'on this machine' : 'on machines like this one';
  return [
    [
      'time',
      `about ${formatSeconds(training.makespan)} of training with ${vcpus} vCPUs ${where}, keys loaded` +
        (training.owner === 0 ? '' : `; the owner computes and transfers for ${formatSeconds(training.owner)} of it`),
    ],
    [
      'before it',
      `keys ${formatSeconds(owner.keys)}, encryption ${formatSeconds(owner.encrypt)}, upload ` +
        `${formatSeconds(owner.upload)}, loading the keys ${formatSeconds(loadKeys)}`,
    ],
    [
      'measured',
      `${calibration.measuredAt.slice(0, 16).replace('T', ' ')} UTC on ${calibration.machine.threads} ` +
        `threads of ${calibration.machine.cpu}, evaluator ${calibration.machine.evaluator}; --recalibrate ` +
        'measures again',
    ],
  ];
}
