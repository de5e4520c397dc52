import { batchOf, groups, predictionGroups, shardsOfBatch, type Plan, type PredictionPlan } from '@blindfit/training';

/** How many tasks the workers of a job compute in all, from its plan: what progress is measured against. */
export function countTasks({
  layout,
  grouping,
  hyperparameters,
}: Pick<Plan, 'layout' | 'grouping' | 'hyperparameters'>): number {
  const blockGroups = groups(layout.blocks, grouping.blocksPerTask).length;
  const shardGroups = (iteration: number): number =>
    groups(shardsOfBatch(layout, batchOf(layout.batches, hyperparameters, iteration)).length, grouping.shardsPerTask)
      .length;
  const { iterations, initialWeight } = hyperparameters;
  // A public constant start has the same scores for all classes; a start at zero has none to compute.
  let perPair = shardGroups(1) * blockGroups;
  for (let iteration = 2; iteration <= iterations; iteration++) perPair += shardGroups(iteration) * (1 + blockGroups);
  return (initialWeight === 0 ? 0 : shardGroups(1)) + layout.pairs * perPair;
}

/** As {@link countTasks}, of a prediction job. */
export function countPredictTasks(plan: Pick<PredictionPlan, 'layout' | 'grouping'>): number {
  return plan.layout.pairs * predictionGroups(plan).length;
}
