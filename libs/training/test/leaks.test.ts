/** Every step of a job frees what it makes, also when the store fails in the middle of it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { at } from '@blindfit/base';
import { CountingEvaluator, type Ciphertext, type Plaintext } from '@blindfit/he';
import {
  answerBefore,
  bind,
  chainsOf,
  choosePlan,
  DEFAULT_HYPERPARAMETERS,
  derivePlan,
  fitSigmoid,
  inputsOf,
  predictionPlan,
  predictionSteps,
  refreshId,
  runPrediction,
  runStep,
  stepsOf,
  type Plan,
  type Shade,
  type Step,
  type StepIo,
} from '@blindfit/training';

/** Knows which of the ciphertexts and plaintexts that it has made are not freed yet. */
class TrackingEvaluator extends CountingEvaluator {
  readonly live = new Set<Disposable>();
  /** The most that were held at the same time. */
  peak = 0;

  #track<T extends Disposable>(made: T): T {
    this.live.add(made);
    this.peak = Math.max(this.peak, this.live.size);
    made[Symbol.dispose] = () => assert.ok(this.live.delete(made), 'freed twice');
    return made;
  }

  override encode(first: Float64Array, level: number, scale: number, second?: Float64Array): Plaintext {
    return this.#track(super.encode(first, level, scale, second));
  }
  override encodeEvery(step: number, value: number, level: number, scale: number): Plaintext {
    return this.#track(super.encodeEvery(step, value, level, scale));
  }
  override encodeConstant(value: number, level: number, scale: number): Plaintext {
    return this.#track(super.encodeConstant(value, level, scale));
  }
  override copy(a: Ciphertext): Ciphertext {
    return this.#track(super.copy(a));
  }
  override sumOfProducts(a: readonly Ciphertext[], b: readonly Ciphertext[]): Ciphertext {
    return this.#track(super.sumOfProducts(a, b));
  }
  protected override product(a: Ciphertext, b: Ciphertext, scale: number): Ciphertext {
    return this.#track(super.product(a, b, scale));
  }
  protected override plainProduct(a: Ciphertext, b: Plaintext, scale: number): Ciphertext {
    return this.#track(super.plainProduct(a, b, scale));
  }
  protected override dropped(a: Ciphertext, level: number): Ciphertext {
    return this.#track(super.dropped(a, level));
  }
  protected override rotated(a: Ciphertext, step: number): Ciphertext {
    return this.#track(super.rotated(a, step));
  }
}

/**
 * Eight turns together, and what their circuits need around them; a backward step holds the turned errors of its
 * shards.
 */
const MOST_HELD = 36;

/** Two shards of 16 rows in turns, two blocks, chains of two pairs, eight pairs in a model. */
function planWith(more: object, refreshEvery: number, modelLevel: 0 | 1 = 0, classes = 8): Plan {
  const hyperparameters = { ...DEFAULT_HYPERPARAMETERS, ...more };
  const shape = { samples: 400, features: 100, classes };
  const request = { shape, hyperparameters, refreshEvery, modelLevel };
  const { parameters } = choosePlan({ ...request, ring: 2048, security: 'none', precision: 10 });
  const grouping = { blocksPerTask: 1, shardsPerTask: 2, pairsPerChain: 2 };
  const block = { rows: 16, columns: 64, turns: 16 };
  return derivePlan(parameters, block, shape, hyperparameters, grouping, { refreshEvery, modelLevel });
}

interface Io extends StepIo<Shade> {
  readonly requests: number;
  readonly inputs: readonly string[];
  readonly results: readonly Shade[];
}

/** @param failing the number of the request that fails */
function ioOf(evaluator: CountingEvaluator, inputs: Record<string, Shade>, failing = Infinity): Io {
  const results: Shade[] = [];
  const read: string[] = [];
  let requests = 0;
  const count = async (): Promise<void> => {
    if (++requests === failing) throw new Error('the store is away');
    return Promise.resolve();
  };
  return {
    get requests() {
      return requests;
    },
    results,
    inputs: read,
    async input(name, shard, column) {
      read.push(`${name} ${shard} ${column}`);
      await count();
      const { level, scale } = inputs[name] ?? assert.fail(name);
      return evaluator.input(level, scale);
    },
    async result({ level, scale }, expected) {
      await count();
      assert.equal(level, expected);
      return evaluator.input(level, scale);
    },
    async write(ciphertext) {
      results.push({ level: ciphertext.level, scale: ciphertext.scale });
      ciphertext[Symbol.dispose]();
      await count();
    },
  };
}

/** Runs a step until its end, and once for each request that fails. */
async function checkStep(
  plan: Pick<Plan, 'parameters'>,
  inputs: Record<string, Shade>,
  what: string,
  run: (evaluator: CountingEvaluator, io: Io) => Promise<void>,
): Promise<Io> {
  const evaluator = new TrackingEvaluator(plan.parameters);
  const io = ioOf(evaluator, inputs);
  await run(evaluator, io);
  assert.ok(evaluator.peak <= MOST_HELD, `${what} holds ${evaluator.peak}`);
  assert.equal(evaluator.live.size, 0, `${what} leaves ciphertexts`);
  // The first requests and the last ones: those between are like them.
  const numbers = new Set([1, 2, 3, Math.ceil(io.requests / 2), io.requests - 1, io.requests]);
  for (const failing of numbers) {
    if (failing < 1 || failing > io.requests) continue;
    const other = new TrackingEvaluator(plan.parameters);
    await assert.rejects(run(other, ioOf(other, inputs, failing)), /the store is away/);
    assert.equal(other.live.size, 0, `${what} leaves ciphertexts when request ${failing} fails`);
  }
  return io;
}

/** The level that the circuits leave a result at. */
function levelOf({ iterations, schedule }: Plan, step: Exclude<Step, { readonly kind: 'refresh' }>): number {
  switch (step.kind) {
    case 'start':
      return at(iterations, 0, 'iterations').errors;
    case 'forward':
      return at(iterations, step.iteration - 1, 'iterations').errors;
    case 'backward':
    case 'step':
      return at(iterations, step.iteration - 1, 'iterations').gradient;
    case 'finish':
      return schedule.modelLevel;
    case 'publish':
      return 0;
    case 'pack':
      return step.to;
  }
}

const JOBS: readonly [string, Plan][] = [
  ['with a constant start, of degree 3', planWith({ iterations: 2, initialWeight: 0.01 }, 2)],
  ['with refreshes, of degree 1', planWith({ iterations: 4, sigmoid: fitSigmoid(1, 8) }, 2, 1)],
  ['of two models', planWith({ iterations: 1, sigmoid: fitSigmoid(1, 8) }, 1, 0, 20)],
  ['of degree 5', planWith({ iterations: 2, sigmoid: fitSigmoid(5, 8) }, 2)],
  ['of degree 7', planWith({ iterations: 2, initialWeight: 0.01, sigmoid: fitSigmoid(7, 8) }, 2)],
];

describe('steps free what they make', () => {
  for (const [name, plan] of JOBS)
    it(name, async () => {
      const results = new Map<string, readonly Shade[]>();
      for (const segment of plan.segments.keys())
        for (const chain of chainsOf(plan).keys())
          if (segment > 0) results.set(refreshId(plan, segment - 1, chain), answerBefore(plan, segment));
      const { features, gradientFeatures, labels } = plan;
      for (const step of stepsOf(plan)) {
        if (step.kind === 'refresh') continue;
        const work = bind(step, (id) => results.get(id) ?? assert.fail(id));
        const { results: made, inputs } = await checkStep(
          plan,
          { features, gradientFeatures, labels },
          step.id,
          (evaluator, io) => runStep(evaluator, plan, work, io),
        );
        const models = step.kind === 'pack' ? plan.layout.models : 1;
        assert.equal(made.length, 'shards' in step && step.kind !== 'backward' ? step.shards.length : models, step.id);
        for (const { level } of made) assert.equal(level, levelOf(plan, step), step.id);
        const foreseen = inputsOf(plan, work).map(({ name: input, shard, column }) => `${input} ${shard} ${column}`);
        assert.deepEqual(new Set(inputs), new Set(foreseen), step.id);
        results.set(step.id, made);
      }
    });

  it('of a prediction', async () => {
    const [, training] = at(JOBS, 1, 'jobs');
    const plan = predictionPlan(training, 1500);
    const models = [{ level: plan.model.level, scale: plan.model.maxScale }];
    for (const step of predictionSteps(plan))
      await checkStep(plan, { features: plan.features }, step.id, (evaluator, io) =>
        runPrediction(
          evaluator,
          plan,
          bind(step, () => models),
          io,
        ),
      );
  });
});

describe('steps refuse work that does not fit the plan', () => {
  const [, plan] = at(JOBS, 0, 'jobs');
  const { labels, iterations } = plan;
  const shade = (level: number): Shade => ({ level, scale: labels.scale });
  const errors = shade(at(iterations, 1, 'iterations').errors);
  const backward = { kind: 'backward', iteration: 2, pair: 0, shards: [0, 1], blocks: [0], errors: [errors, errors] };
  const run = async (work: object, message: RegExp): Promise<void> => {
    const evaluator = new TrackingEvaluator(plan.parameters);
    const { features, gradientFeatures } = plan;
    const io = ioOf(evaluator, { features, gradientFeatures, labels });
    await assert.rejects(runStep(evaluator, plan, work as never, io), message);
    assert.equal(evaluator.live.size, 0);
  };

  it('with other numbers of errors than of shards', async () => {
    await run({ ...backward, errors: [errors] }, /1 errors for 2 shards/);
    await run({ ...backward, errors: [errors, errors, errors] }, /3 errors for 2 shards/);
  });

  it('with blocks and iterations that are not there', async () => {
    await run({ ...backward, blocks: [0, 2] }, /there is no block 2/);
    await run({ ...backward, iteration: 3 }, /no iteration 3/);
    const forward = { kind: 'forward', iteration: 1, pair: 0, shards: [0], weights: shade(3) };
    await run(forward, /iteration 1 has no forward task/);
    await run({ ...forward, iteration: 3 }, /iteration 3 has no forward task/);
  });

  it('with pairs, shards and models of a prediction that are not there', async () => {
    const [, training] = at(JOBS, 1, 'jobs');
    const prediction = predictionPlan(training, 300);
    const { maxScale, level } = prediction.model;
    const predict = async (more: object, scale = maxScale): Promise<void> => {
      const evaluator = new TrackingEvaluator(prediction.parameters);
      const work = { kind: 'predict', iteration: 1, pair: 3, shards: [0], model: { level, scale }, ...more } as const;
      await runPrediction(evaluator, prediction, work, ioOf(evaluator, { features: prediction.features }));
    };
    await predict({});
    await assert.rejects(predict({ pair: 4 }), /there is no pair 4/);
    await assert.rejects(predict({ shards: [prediction.layout.shards] }), /there is no shard/);
    await assert.rejects(predict({}, 1.01 * maxScale), /a model of scale/);
    await assert.rejects(predict({}, 0), /a model of scale/);
  });
});
