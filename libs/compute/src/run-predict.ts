/** Scores of one pair of classes on some shards: a task of a prediction job. */
import type { PlannedPrediction, PredictTask } from '@blindfit/contracts';
import { expandModel, predictScores, WireError, type Ciphertext, type PredictionPlan, type Scheme, type SealEvaluator } from '@blindfit/he';
import { named } from './errors.ts';
import { free, load } from './intermediate.ts';
import type { Session } from './session.ts';

interface Context {
  readonly session: Session;
  readonly planned: PlannedPrediction;
  readonly plan: PredictionPlan;
  readonly scheme: Scheme;
  readonly evaluator: SealEvaluator;
}

/** @returns digests by shard of the task */
export async function runPredict(context: Context, task: PredictTask): Promise<string[]> {
  const { evaluator, plan, session, scheme } = context;
  const { layout, model: place } = plan;
  if (task.pair >= layout.pairs) throw new WireError(`there is no pair ${task.pair}`, `0 to ${layout.pairs - 1}`);
  using model = await load(context, task.model, { level: place.level });
  // A larger scale would leave no room for the scores, and show as nonsense to the owner only.
  if (!(model.scale > 0 && model.scale <= place.maxScale)) throw new WireError(`a model of scale ${model.scale}`, `at most ${place.maxScale}`);
  const weights = expandModel(evaluator, layout, model, task.pair);
  const outputs: string[] = [];
  try {
    for (const shard of task.shards) {
      const features = await featuresOf(context, shard);
      using scores = predictScores(evaluator, { layout, features, weights });
      outputs.push(await session.write(scheme, scores));
    }
  } finally {
    free(weights);
  }
  return outputs;
}

/** All blocks of one shard, owned by the cache. */
async function featuresOf({ session, planned, plan, scheme }: Context, shard: number): Promise<Ciphertext[]> {
  const blocks: Ciphertext[] = [];
  const row = planned.manifest.blobs.features[shard];
  if (row === undefined) throw new WireError(`there is no shard ${shard}`, `0 to ${plan.layout.shards - 1}`);
  for (const [block, digest] of row.entries()) {
    blocks.push(await named(`blobs.features[${shard}][${block}]`, digest, () => session.ciphertexts.get(scheme, session.store, digest, plan.features)));
  }
  return blocks;
}
