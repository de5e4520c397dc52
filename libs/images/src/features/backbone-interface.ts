import type { FeatureModel } from './backbone.ts';
import { Inference } from './inference.ts';
import { interfaceOf, type ModelInterface } from './model-interface.ts';

/** The input and output of a backbone, as onnxruntime sees them. */
export interface BackboneInterface extends ModelInterface {
  /** 2: features are N x d; 4: N x d x H x W, to be averaged over H x W; undefined if only running the model tells. */
  readonly featureRank: 2 | 4 | undefined;
}

/**
 * Loads a backbone and reads its input and output, without running it.
 * @param output which output holds the features. @default its only one
 * @throws FeatureError `bad-argument`, `bad-model` or `unknown-output`
 */
export async function backboneInterface(backbone: FeatureModel, output?: string): Promise<BackboneInterface> {
  const inference = await Inference.load(backbone.name, backbone.bytes, 1);
  try {
    const model = interfaceOf(backbone, inference.inputs, inference.outputs, output);
    const rank = inference.outputs.find(({ name }) => name === model.output)?.shape.length;
    return { ...model, featureRank: rank === 2 || rank === 4 ? rank : undefined };
  } finally {
    await inference.close();
  }
}
