/** From a plan to expected seconds, and from seconds to tasks. */
import type { Layout } from '../layout/shape.ts';
import { chainsOf } from '../program.ts';
import type { Grouping, Plan } from './plan.ts';

/**
 * In transforms of N = 16384: the smallest task worth the queue's overhead, and the largest one that keeps progress and
 * recovery fine-grained.
 */
const MIN_TASK_TRANSFORMS = 400;
const MAX_TASK_TRANSFORMS = 7000;

/**
 * One transform of N = 16384 with the native evaluator. Transforms grow with N log N. Only the ratio to the other costs
 * matters.
 */
const TRANSFORM_SECONDS = 0.043e-3;
export const UPLOAD_BYTES_PER_SECOND = 50e6;
const REFRESH_BYTES_PER_SECOND = 10e6;
/**
 * The owner's answer to the refresh of one chain: the request, and the packing of weights, which grows with the blocks.
 */
const REFRESH_SECONDS = 0.1;
const REFRESH_SECONDS_PER_BLOCK = 1.1e-3;
/** Between the end of a task and the start of what waited for it. */
const QUEUE_SECONDS = 0.03;

/** Expected seconds of a job on `vcpus` threads: what plans are compared by. `blindfit plan` measures. */
export function expectedSeconds(plan: Plan, vcpus: number): number {
  const { bytes, segments, layout, iterations, grouping } = plan;
  const chains = chainsOf(plan).length;
  const refresh =
    (REFRESH_SECONDS + REFRESH_SECONDS_PER_BLOCK * layout.blocks * grouping.pairsPerChain) * chains +
    (bytes.refreshDown + bytes.refreshUp) / REFRESH_BYTES_PER_SECOND;
  const refreshes = segments.length - 1;
  const work = (plan.transforms * transformSeconds(plan)) / vcpus;
  // Other chains compute while one is refreshed. One chain takes this long on any number of threads.
  const criticalPath =
    iterations.length * (plan.span * transformSeconds(plan) + 3 * QUEUE_SECONDS) + (refreshes * refresh) / chains;
  return (
    Math.max(work, criticalPath) +
    0.2 * Math.min(work, criticalPath) +
    (bytes.data + bytes.keys) / UPLOAD_BYTES_PER_SECOND +
    refreshes * refresh * (chains > 1 ? 0.2 : 1)
  );
}

/** Seconds of one transform in the ring of a plan. */
export function transformSeconds({ parameters: { ring } }: Pick<Plan, 'parameters'>): number {
  return TRANSFORM_SECONDS * ((ring * Math.log2(ring)) / (16384 * 14));
}

/** Enough to keep workers busy with some chains while the owner refreshes others. More would cost the owner bytes. */
const REFRESHED_CHAINS = 4;

/** Pairs of a chain. @param refreshed whether the owner refreshes the job */
export function chainSize(layout: Layout, refreshed: boolean): number {
  let pairs = 1;
  while (refreshed && pairs < layout.pairsPerModel && Math.ceil(layout.pairs / pairs) > REFRESHED_CHAINS) pairs *= 2;
  return pairs;
}

/** Tasks to cut a pair's work into. @param transforms of that work @param most tasks it can be cut into */
export function tasksOf(
  { layout, parameters: { ring } }: Pick<Plan, 'layout' | 'parameters'>,
  transforms: number,
  most: number,
  vcpus: number,
): number {
  const work = transforms * ((ring * Math.log2(ring)) / (16384 * 14));
  const wanted = Math.max(Math.ceil(work / MAX_TASK_TRANSFORMS), Math.ceil(vcpus / layout.pairs));
  return Math.min(most, wanted, Math.max(1, Math.floor(work / MIN_TASK_TRANSFORMS)));
}

/** The most that one backward task holds of X~. */
const MAX_TASK_BYTES = 96e6;

/** Cuts a pair's work into tasks for every vCPU: none above the bounds and, where possible, none tiny. */
export function groupingFor(plan: Plan, vcpus: number): Pick<Grouping, 'blocksPerTask' | 'shardsPerTask'> {
  const { layout } = plan;
  const parts = (count: number): number =>
    tasksOf(plan, plan.transforms / (layout.pairs * plan.iterations.length), count, vcpus);
  const shardParts = parts(layout.shardsPerBatch);
  const shards = Math.ceil(layout.shardsPerBatch / shardParts);
  const bytes = shards * layout.cells * 2 * (plan.gradientFeatures.level + 1) * plan.parameters.ring * 8;
  const blockParts = Math.min(
    layout.blocks,
    Math.max(
      1,
      Math.floor(parts(layout.shardsPerBatch * layout.blocks) / shardParts),
      Math.ceil(bytes / MAX_TASK_BYTES),
    ),
  );
  return { blocksPerTask: Math.ceil(layout.blocks / blockParts), shardsPerTask: shards };
}
