import { hyperparametersOf, planChoicesOf, type TrainingChoices } from '@blindfit/owner';
import { choosePlan, type Plan } from '@blindfit/training';

export interface PlanOptions extends TrainingChoices {
  readonly samples: number;
  /** Features of a sample after preprocessing, without the bias. */
  readonly features: number;
  readonly classes: number;
  /** Threads to cut the tasks for. @default 1 */
  readonly vcpus?: number | undefined;
  /** Keeps a level in the trained model, so that servers can predict with it. @default false */
  readonly servable?: boolean | undefined;
}

/**
 * What a job needs, without running it: ring, modulus, levels, block shape, refreshes, tasks and operation counts.
 * @throws PlanError for a job that no secure parameters carry
 */
export function plan({ samples, features, classes, vcpus, servable = false, ...choices }: PlanOptions): Plan {
  return choosePlan({
    shape: { samples, features: features + 1, classes },
    hyperparameters: hyperparametersOf(choices),
    ...planChoicesOf(choices),
    vcpus,
    modelLevel: servable ? 1 : 0,
  });
}
