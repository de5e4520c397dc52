/** Scores of one pair of classes on some shards: a task of a prediction job. */
import { WireError, type Evaluator } from '@blindfit/he';
import type { PlannedPrediction, PredictTask } from '@blindfit/protocol';
import { expandModel, predictScores, type PredictionPlan } from '@blindfit/training';
import type { Engine } from './engine.ts';
import { byShard } from './inputs.ts';
import { free, load } from './intermediate.ts';
import type { Session } from './session.ts';

interface Context {
  readonly session: Session;
  readonly planned: PlannedPrediction;
  readonly plan: PredictionPlan;
  readonly engine: Engine;
  readonly evaluator: Evaluator;
}

/** @returns digests by shard of the task */
export async function runPredict(context: Context, task: PredictTask): Promise<string[]> {
  const { evaluator, planned, plan } = context;
  const { layout, model: place } = plan;
  if (task.pair >= layout.pairs) throw new WireError(`there is no pair ${task.pair}`, `0 to ${layout.pairs - 1}`);
  const missing = task.shards.find((shard) => shard >= layout.shards);
  if (missing !== undefined) throw new WireError(`there is no shard ${missing}`, `0 to ${layout.shards - 1}`);
  using model = await load(context, task.model, { level: place.level });
  // A larger scale would leave no room for the scores, and show as nonsense to the owner only.
  if (!(model.scale > 0 && model.scale <= place.maxScale))
    throw new WireError(`a model of scale ${model.scale}`, `at most ${place.maxScale}`);
  const weights = expandModel(evaluator, layout, model, task.pair);
  try {
    const features = { name: 'features', digests: planned.manifest.blobs.features, place: plan.features };
    return await byShard(context, features, task.shards, (cells) =>
      predictScores(evaluator, { layout, features: cells, weights }),
    );
  } finally {
    free(weights);
  }
}
