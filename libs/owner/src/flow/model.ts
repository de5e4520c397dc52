/** The one writer of trained models. */
import type { Input, JsonObject, Model, Preprocessing } from '@blindfit/data';
import type { Plan } from '@blindfit/training';

export interface TrainedWeights {
  readonly job: string;
  readonly classes: readonly string[];
  /** How rows of a file become features, where they were read from one. */
  readonly input?: Input | undefined;
  readonly preprocessing: Preprocessing;
  /** Classes x (features + 1). */
  readonly weights: readonly Float64Array[];
  /** The iteration whose weights these are. */
  readonly iteration: number;
  /** What turns scores into probabilities. */
  readonly temperature?: number | undefined;
  /** The network that made the features of images; predictions and exports use it. */
  readonly backbone?: string | undefined;
  /** How long the phases took. */
  readonly seconds?: JsonObject | undefined;
  /** Largest absolute difference to the clear twin's weights. */
  readonly maxWeightError?: number | undefined;
}

/** The parameter set as reports and model files name it. */
export interface ParametersSummary {
  readonly name: string;
  readonly ring: number;
  readonly log2QP: number;
  readonly levels: number;
  readonly scaleBits: number;
}

export function summaryOf({ name, ring, logQP, maxLevel, scaleBits }: Plan['parameters']): ParametersSummary {
  return { name, ring, log2QP: logQP, levels: maxLevel, scaleBits };
}

export function modelOf(plan: Plan, trained: TrainedWeights): Model {
  const { learningRate, initialWeight, sigmoid, batch, decay } = plan.hyperparameters;
  const training: Record<string, JsonObject[string] | undefined> = {
    job: trained.job,
    samples: plan.layout.samples,
    backbone: trained.backbone,
    iterations: trained.iteration,
    batch: batch === undefined ? undefined : { ...batch },
    learningRate,
    decay,
    initialWeight,
    sigmoid: { degree: sigmoid.degree, range: sigmoid.range, odd: [...sigmoid.odd] },
    parameters: { ...summaryOf(plan.parameters) },
    seconds: trained.seconds,
    maxWeightError: trained.maxWeightError,
  };
  return {
    classes: trained.classes,
    weights: trained.weights.map((row) => Array.from(row)),
    input: trained.input,
    preprocessing: trained.preprocessing,
    calibration: trained.temperature === undefined ? undefined : { temperature: trained.temperature },
    training: Object.fromEntries(
      Object.entries(training).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])),
    ),
  };
}
