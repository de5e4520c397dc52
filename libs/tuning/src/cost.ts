/** What an encrypted training is expected to take, without planning every one of a thousand. */
import { choosePlan, expectedSeconds, PlanError, type PlanRequest, type SigmoidPolynomial } from '@blindfit/training';

export interface CostRequest extends Pick<PlanRequest, 'precision' | 'refreshEvery' | 'modelLevel'> {
  readonly samples: number;
  readonly classes: number;
  readonly threads: number;
}

/** Expected seconds of jobs that differ in features, degree and iterations. Infinite where no secure plan exists. */
export class Costs {
  readonly #request: CostRequest;
  readonly #planned = new Map<string, number>();

  constructor(request: CostRequest) {
    this.#request = request;
  }

  /** @param columns features and the bias */
  seconds(columns: number, sigmoid: SigmoidPolynomial, iterations: number): number {
    const width = padded(columns);
    if (iterations <= 4) return this.#plan(width, sigmoid, iterations);
    const [four, sixteen] = [this.#plan(width, sigmoid, 4), this.#plan(width, sigmoid, 16)];
    return four + ((sixteen - four) / 12) * (iterations - 4);
  }

  #plan(columns: number, sigmoid: SigmoidPolynomial, iterations: number): number {
    const key = `${columns} ${sigmoid.degree} ${iterations}`;
    const before = this.#planned.get(key);
    if (before !== undefined) return before;
    const seconds = this.#expected(columns, sigmoid, iterations);
    this.#planned.set(key, seconds);
    return seconds;
  }

  #expected(features: number, sigmoid: SigmoidPolynomial, iterations: number): number {
    const { samples, classes, threads, refreshEvery, ...choices } = this.#request;
    try {
      const plan = choosePlan({
        shape: { samples, features, classes },
        hyperparameters: { iterations, learningRate: 1, initialWeight: 0, sigmoid },
        vcpus: threads,
        // The usual best ones: two iterations fit into one modulus, more are renewed after each.
        refreshEvery: refreshEvery ?? (iterations <= 2 ? iterations : 1),
        ...choices,
      });
      return expectedSeconds(plan, threads);
    } catch (error) {
      if (error instanceof PlanError) return Infinity;
      throw error;
    }
  }
}

/** Columns fill blocks of powers of two. */
function padded(columns: number): number {
  let width = 8;
  while (width < columns && width < 512) width *= 2;
  return width >= columns ? width : Math.ceil(columns / 512) * 512;
}
