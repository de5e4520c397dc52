/**
 * One step of a job: gets its inputs, runs its circuits, gives away its results. Written as a generator of requests, so
 * that compute threads serve it from a store (asynchronously) and the planner from a table (at once).
 */
import { at } from '@blindfit/base';
import { WireError, type Ciphertext, type Evaluator } from '@blindfit/he';
import { range } from './chunked.ts';
import { backward } from './circuits/backward.ts';
import { forward, startErrors, startScores } from './circuits/forward.ts';
import { expand, packModel } from './circuits/pack.ts';
import { expandModel, predictScores } from './circuits/predict.ts';
import { finalWeights, nesterovStep, type MomentumTerm } from './circuits/step.ts';
import { cellsOf, type Layout } from './layout/shape.ts';
import { momentumSchedule, stepFactor } from './method.ts';
import type { Plan, PredictionPlan } from './plan/plan.ts';
import { chainsOf } from './program.ts';
import { finalTerms, momentumTerms, type ChainState, type MomentumTerms, type Segment } from './schedule.ts';
import type {
  BackwardWork,
  FinishWork,
  ForwardWork,
  PackWork,
  PredictWork,
  RunWork,
  StartWork,
  UpdateWork,
} from './work.ts';

export type InputName = 'features' | 'gradientFeatures' | 'labels';

/** What a plan must say about a training for its steps to run. */
export type StepPlan = Pick<
  Plan,
  'layout' | 'hyperparameters' | 'grouping' | 'schedule' | 'segments' | 'iterations' | 'labels'
>;

/** What surrounds a step. */
export interface StepIo<R> {
  /** One of the owner's ciphertexts, which stays the property of the callee. */
  input(name: InputName, shard: number, column: number): Promise<Ciphertext>;
  /** An intermediate result at a level. It stays the property of the callee, and must live until the step ends. */
  result(reference: R, level: number): Promise<Ciphertext>;
  /** Takes over a result. Results come in order. */
  write(result: Ciphertext): Promise<void>;
}

/** {@link StepIo} without waiting. */
export interface ImmediateIo<R> {
  input(name: InputName, shard: number, column: number): Ciphertext;
  result(reference: R, level: number): Ciphertext;
  write(result: Ciphertext): void;
}

/** One of the owner's ciphertexts. */
export interface Input {
  readonly name: InputName;
  readonly shard: number;
  readonly column: number;
}

type Request<R> =
  | { readonly inputs: readonly Input[] }
  | { readonly results: readonly R[]; readonly level: number }
  | { readonly write: Ciphertext };

/** Requests, each answered with the ciphertexts that it asks for, in order. */
type Circuits<R, Result = void> = Generator<Request<R>, Result, readonly Ciphertext[]>;

/**
 * Runs one step of a training.
 * @throws WireError when the work does not fit the plan, CircuitError, and what `io` throws
 */
export function runStep<R>(evaluator: Evaluator, plan: StepPlan, work: RunWork<R>, io: StepIo<R>): Promise<void> {
  return serve(circuitsOf(evaluator, plan, work), io);
}

/** Runs one step of a prediction. @throws WireError when the work does not fit the plan, and what `io` throws */
export function runPrediction<R>(
  evaluator: Evaluator,
  plan: PredictionCircuits,
  work: PredictWork<R>,
  io: StepIo<R>,
): Promise<void> {
  return serve(predictionCircuits(evaluator, plan, work), io);
}

type PredictionCircuits = Pick<PredictionPlan, 'layout' | 'model'>;

async function serve<R>(circuits: Circuits<R>, io: StepIo<R>): Promise<void> {
  try {
    for (let next = circuits.next(); next.done !== true;) next = circuits.next(await answer(next.value, io));
  } finally {
    // After an error the generator frees what it holds.
    circuits.return();
  }
}

async function answer<R>(request: Request<R>, io: StepIo<R>): Promise<Ciphertext[]> {
  const answers: Ciphertext[] = [];
  if ('write' in request) await io.write(request.write);
  else if ('inputs' in request)
    for (const { name, shard, column } of request.inputs) answers.push(await io.input(name, shard, column));
  else for (const reference of request.results) answers.push(await io.result(reference, request.level));
  return answers;
}

/** Runs circuits without waiting. @throws CircuitError, and what `io` throws */
export function serveAtOnce<R>(circuits: Circuits<R>, io: ImmediateIo<R>): void {
  for (let next = circuits.next(); next.done !== true;) next = circuits.next(answerAtOnce(next.value, io));
}

function answerAtOnce<R>(request: Request<R>, io: ImmediateIo<R>): readonly Ciphertext[] {
  if ('inputs' in request) return request.inputs.map(({ name, shard, column }) => io.input(name, shard, column));
  if ('results' in request) return request.results.map((reference) => io.result(reference, request.level));
  io.write(request.write);
  return [];
}

/** The circuits of one step of a training. */
export function circuitsOf<R>(evaluator: Evaluator, plan: StepPlan, work: RunWork<R>): Circuits<R> {
  switch (work.kind) {
    case 'start':
      return start(evaluator, plan, work);
    case 'forward':
      return errors(evaluator, plan, work);
    case 'backward':
      return gradient(evaluator, plan, work);
    case 'step':
      return update(evaluator, plan, work);
    case 'finish':
      return finish(evaluator, plan, work);
    case 'publish':
      return publish(evaluator, work);
    case 'pack':
      return pack(evaluator, plan, work);
  }
}

/** The inputs of a name in some columns of a shard. */
function inputsIn(name: InputName, shard: number, columns: readonly number[]): Input[] {
  return columns.map((column) => ({ name, shard, column }));
}

/** All cells of X of a shard. */
function featuresIn({ cells }: Layout, shard: number): Input[] {
  return inputsIn('features', shard, range(cells));
}

/** One intermediate result. */
function* result<R>(reference: R, level: number): Circuits<R, Ciphertext> {
  return at(yield { results: [reference], level }, 0, 'results');
}

function levelsOf({ iterations }: StepPlan, iteration: number): StepPlan['iterations'][number] {
  const levels = iterations[iteration - 1];
  if (levels === undefined) throw new WireError(`no iteration ${iteration}`, `1 to ${iterations.length}`);
  return levels;
}

function* start<R>(evaluator: Evaluator, plan: StepPlan, work: StartWork): Circuits<R> {
  const { layout, hyperparameters, labels } = plan;
  const { sigmoid, initialWeight } = hyperparameters;
  const { errors: level } = levelsOf(plan, 1);
  for (const shard of work.shards) {
    const features = yield { inputs: featuresIn(layout, shard) };
    yield {
      write: startScores(evaluator, { layout, sigmoid, features, initialWeight, level, scale: labels.scale }),
    };
  }
}

function* errors<R>(evaluator: Evaluator, plan: StepPlan, work: ForwardWork<R>): Circuits<R> {
  const { layout, hyperparameters, grouping, iterations } = plan;
  const level = iterations[work.iteration - 1]?.weights;
  if (level === undefined)
    throw new WireError(`iteration ${work.iteration} has no forward task`, `2 to ${iterations.length} have`);
  using scope = new DisposableStack();
  const packed = yield* result(work.weights, level);
  const weights = expand(evaluator, layout, packed, work.pair, grouping.pairsPerChain);
  for (const block of weights) scope.use(block);
  for (const shard of work.shards) {
    const features = yield { inputs: featuresIn(layout, shard) };
    const labels = at(yield { inputs: inputsIn('labels', shard, [work.pair]) }, 0, 'labels');
    yield { write: forward(evaluator, { layout, sigmoid: hyperparameters.sigmoid, features, weights, labels }) };
  }
}

function* gradient<R>(evaluator: Evaluator, plan: StepPlan, work: BackwardWork<R>): Circuits<R> {
  const { layout, hyperparameters } = plan;
  const { errors: level } = levelsOf(plan, work.iteration);
  const references = work.errors ?? work.scores;
  if (references !== undefined && references.length !== work.shards.length)
    throw new WireError(`${references.length} errors for ${work.shards.length} shards`);
  using scope = new DisposableStack();
  const errorsByShard: Ciphertext[] = [];
  for (const [index, shard] of work.shards.entries()) {
    if (work.errors !== undefined) {
      errorsByShard.push(yield* result(at(work.errors, index, 'errors'), level));
      continue;
    }
    const labels = at(yield { inputs: inputsIn('labels', shard, [work.pair]) }, 0, 'labels');
    if (work.scores === undefined) {
      errorsByShard.push(scope.use(evaluator.dropTo(labels, level)));
    } else {
      const scores = yield* result(at(work.scores, index, 'scores'), level);
      errorsByShard.push(scope.use(startErrors(evaluator, hyperparameters.sigmoid, labels, scores)));
    }
  }
  const gradientFeatures = new Map<number, readonly Ciphertext[]>();
  for (const block of work.blocks) {
    if (block >= layout.blocks) throw new WireError(`there is no block ${block}`, `0 to ${layout.blocks - 1}`);
    const columns = cellsOf(layout, block);
    const cells = yield { inputs: work.shards.flatMap((shard) => inputsIn('gradientFeatures', shard, columns)) };
    gradientFeatures.set(block, cells);
  }
  yield { write: backward(evaluator, { layout, errors: errorsByShard, gradientFeatures }) };
}

interface Located<R> {
  readonly reference: R;
  readonly level: number;
}

/** A chain's segment, and its state with the level that each ciphertext is at. */
function located<R>(
  plan: StepPlan,
  { segment: number, history, fresh }: UpdateWork<R> | FinishWork<R>,
): { segment: Segment; state: ChainState<Located<R>> } {
  const { segments } = plan;
  const segment = segments[number];
  if (segment === undefined) throw new WireError(`there is no segment ${number}`, `0 to ${segments.length - 1}`);
  const { weights, gradient } = levelsOf(plan, segment.first);
  const state = {
    history: history.map((reference, i) => ({ reference, level: levelsOf(plan, segment.first + i).gradient })),
    fresh:
      fresh && weights !== undefined
        ? {
            weights: { reference: fresh.weights, level: weights },
            momentum: { reference: fresh.momentum, level: gradient + 1 },
          }
        : undefined,
  };
  return { segment, state };
}

function* loadTerms<R>({ momentum }: MomentumTerms<Located<R>>): Circuits<R, MomentumTerm[]> {
  const terms: MomentumTerm[] = [];
  for (const { coefficient, weights } of momentum)
    terms.push({ coefficient, weights: yield* result(weights.reference, weights.level) });
  return terms;
}

function* update<R>(evaluator: Evaluator, plan: StepPlan, work: UpdateWork<R>): Circuits<R> {
  const { layout, hyperparameters } = plan;
  const { iterations, initialWeight, decay } = hyperparameters;
  const { segment, state } = located(plan, work);
  const terms = momentumTerms(momentumSchedule(iterations), segment, work.iteration, state, initialWeight, decay);
  const { gradient: level } = levelsOf(plan, work.iteration);
  const ciphertexts = yield { results: work.gradients.map(({ gradient }) => gradient), level };
  const gradients = work.gradients.map(({ pair }, i) => ({ pair, ciphertext: at(ciphertexts, i, 'gradients') }));
  const momentum = yield* loadTerms(terms);
  yield {
    write: nesterovStep(evaluator, {
      layout,
      pairs: at(chainsOf(plan), work.chain, 'chains'),
      gradients,
      factor: stepFactor(hyperparameters, layout.batchSize, work.iteration),
      momentum,
      constant: terms.constant,
    }),
  };
}

function* finish<R>(evaluator: Evaluator, plan: StepPlan, work: FinishWork<R>): Circuits<R> {
  const { layout, hyperparameters, schedule } = plan;
  const { iterations, initialWeight } = hyperparameters;
  const { segment, state } = located(plan, work);
  const terms = finalTerms(momentumSchedule(iterations), segment, state, initialWeight);
  const newest = yield* result(at(work.history, work.history.length - 1, 'history'), schedule.modelLevel);
  const momentum = yield* loadTerms(terms);
  const pairs = at(chainsOf(plan), work.chain, 'chains');
  yield { write: finalWeights(evaluator, { ...terms, layout, pairs, newest, momentum }) };
}

function* publish<R>(evaluator: Evaluator, work: { readonly weights: R; readonly level: number }): Circuits<R> {
  yield { write: evaluator.dropTo(yield* result(work.weights, work.level), 0) };
}

function* pack<R>(evaluator: Evaluator, { layout, grouping }: StepPlan, work: PackWork<R>): Circuits<R> {
  const chains = yield { results: work.chains, level: work.level };
  const models = packModel(evaluator, layout, chains, grouping.pairsPerChain, work.to);
  try {
    for (let model = models.shift(); model !== undefined; model = models.shift()) yield { write: model };
  } finally {
    for (const model of models) model[Symbol.dispose]();
  }
}

/** The circuits of one step of a prediction. */
export function* predictionCircuits<R>(
  evaluator: Evaluator,
  plan: PredictionCircuits,
  work: PredictWork<R>,
): Circuits<R> {
  const { layout, model: expected } = plan;
  if (work.pair >= layout.pairs) throw new WireError(`there is no pair ${work.pair}`, `0 to ${layout.pairs - 1}`);
  const missing = work.shards.find((shard) => shard >= layout.shards);
  if (missing !== undefined) throw new WireError(`there is no shard ${missing}`, `0 to ${layout.shards - 1}`);
  const model = yield* result(work.model, expected.level);
  // A larger scale leaves no room for the scores: only the owner would see that they are nonsense.
  if (!(model.scale > 0 && model.scale <= expected.maxScale))
    throw new WireError(`a model of scale ${model.scale}`, `at most ${expected.maxScale}`);
  using scope = new DisposableStack();
  const weights = expandModel(evaluator, layout, model, work.pair).map((block) => scope.use(block));
  for (const shard of work.shards) {
    const features = yield { inputs: featuresIn(layout, shard) };
    yield { write: predictScores(evaluator, { layout, features, weights }) };
  }
}

/** The owner's ciphertexts that a step reads. */
export function inputsOf({ layout }: Pick<StepPlan, 'layout'>, work: RunWork<unknown>): Input[] {
  if (!('shards' in work)) return [];
  const { shards } = work;
  if (work.kind === 'start') return shards.flatMap((shard) => featuresIn(layout, shard));
  const labels = shards.flatMap((shard) => inputsIn('labels', shard, [work.pair]));
  if (work.kind === 'forward') return [...shards.flatMap((shard) => featuresIn(layout, shard)), ...labels];
  const gradientFeatures = work.blocks.flatMap((block) =>
    shards.flatMap((shard) => inputsIn('gradientFeatures', shard, cellsOf(layout, block))),
  );
  return work.errors === undefined ? [...labels, ...gradientFeatures] : gradientFeatures;
}
