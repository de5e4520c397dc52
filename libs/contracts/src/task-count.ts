import { groups, type Plan } from '@blindfit/he';

/** How many tasks the workers of a job compute in all, from its plan: what progress is measured against. */
export function countTasks({ layout, grouping, hyperparameters }: Pick<Plan, 'layout' | 'grouping' | 'hyperparameters'>): number {
  const shardGroups = groups(layout.shards, grouping.shardsPerTask).length;
  const blockGroups = groups(layout.blocks, grouping.blocksPerTask).length;
  const { iterations, initialWeight } = hyperparameters;
  // A public constant start has the same scores for all classes; a start at zero has none to compute.
  const start = initialWeight === 0 ? 0 : shardGroups;
  const perPair = iterations * shardGroups * blockGroups + (iterations - 1) * shardGroups;
  return start + layout.pairs * perPair;
}
