/**
 * What the steps of a program cost: runs the circuits of every different step once on a counting evaluator. The figures
 * cannot drift from what threads compute, because they are what threads compute.
 */
import { at, required, valueOf } from '@blindfit/base';
import {
  addOperations,
  CircuitError,
  CountingEvaluator,
  noOperations,
  type Ciphertext,
  type CostFunction,
  type OperationCounts,
} from '@blindfit/he';
import { batchOf } from '../batches.ts';
import { range } from '../chunked.ts';
import { pairsTogether } from '../circuits/predict.ts';
import { shardsOfBatch } from '../layout/shape.ts';
import {
  bind,
  chainsOf,
  packStage,
  predictionSteps,
  refreshId,
  segmentStages,
  startStage,
  type ShardGroup,
} from '../program.ts';
import { circuitsOf, predictionCircuits, serveAtOnce, type ImmediateIo, type InputName } from '../run-step.ts';
import type { PredictWork, RunWork, Source, Step, UpdateWork } from '../work.ts';
import type { PlanBase, PredictionPlan } from './plan.ts';

/** A ciphertext that is not there. */
export interface Shade {
  readonly level: number;
  readonly scale: number;
}

export interface StepCount {
  readonly operations: OperationCounts;
  /** In the unit of the cost function, without monomials. */
  readonly cost: number;
  /** The cost of each monomial, by name. Evaluators cache them. */
  readonly monomials: ReadonlyMap<string, number>;
  /** How many results of other steps it reads, by their level. */
  readonly reads: readonly number[];
  /** Every result of the step. */
  readonly result: Shade;
  /** How many results there are. */
  readonly results: number;
}

export type CountedPrediction = Pick<PredictionPlan, 'parameters' | 'layout' | 'grouping' | 'features' | 'model'>;

/** Counts steps, each shape once. Steps of many shards cost the same for every shard: two of them are run. */
class ShapeCounter<W extends { readonly kind: string }> {
  /** Rotation steps met so far. */
  readonly rotations = new Set<number>();
  readonly #plan: Pick<PlanBase, 'parameters'> & Readonly<Partial<Record<InputName, Shade>>>;
  readonly #costOf: CostFunction | undefined;
  readonly #shapeOf: (work: W) => string;
  readonly #run: (evaluator: CountingEvaluator, work: W, io: ImmediateIo<Shade>) => void;
  readonly #counts = new Map<string, StepCount>();

  constructor(
    plan: Pick<PlanBase, 'parameters'> & Readonly<Partial<Record<InputName, Shade>>>,
    costOf: CostFunction | undefined,
    shapeOf: (work: W) => string,
    run: (evaluator: CountingEvaluator, work: W, io: ImmediateIo<Shade>) => void,
  ) {
    this.#plan = plan;
    this.#costOf = costOf;
    this.#shapeOf = shapeOf;
    this.#run = run;
  }

  /** @throws CircuitError when the parameters do not carry the step */
  count(work: W): StepCount {
    const shape = this.#shapeOf(work);
    const counted = this.#counts.get(shape);
    if (counted !== undefined) return counted;
    const shards = shardsOf(work);
    const count =
      shards > 2
        ? extended(this.count(withShards(work, 1)), this.count(withShards(work, 2)), shards)
        : this.#measure(work);
    this.#counts.set(shape, count);
    return count;
  }

  #measure(work: W): StepCount {
    const evaluator = new CountingEvaluator(this.#plan.parameters, this.#costOf);
    const reads = new Array<number>(this.#plan.parameters.maxLevel + 1).fill(0);
    const inputs = new Map<InputName, Ciphertext>();
    let result: Shade | undefined;
    let results = 0;
    this.#run(evaluator, work, {
      // Circuits leave their inputs as they are: one stands for all.
      input: (name) => {
        const known = inputs.get(name);
        if (known !== undefined) return known;
        const { level, scale } = required(this.#plan[name], name);
        const input = evaluator.input(level, scale);
        inputs.set(name, input);
        return input;
      },
      result: (shade, level) => {
        if (shade.level !== level)
          throw new CircuitError(`a ciphertext at level ${shade.level}`, `level ${level} is expected`);
        reads[level] = at(reads, level, 'levels') + 1;
        return evaluator.input(shade.level, shade.scale);
      },
      write: ({ level, scale }) => {
        result = { level, scale };
        results++;
      },
    });
    for (const step of evaluator.steps) this.rotations.add(step);
    if (result === undefined) throw new CircuitError(`a step of kind ${work.kind} without a result`);
    const { counts: operations, cost, monomials } = evaluator;
    return { operations, cost, monomials, reads, result, results };
  }
}

function shardsOf(work: object): number {
  return 'shards' in work && Array.isArray(work.shards) ? work.shards.length : 1;
}

function withShards<W extends object>(work: W, count: number): W {
  const lists = Object.entries(work).filter(([name]) => name === 'shards' || name === 'errors' || name === 'scores');
  return { ...work, ...Object.fromEntries(lists.map(([name, list]) => [name, (list as unknown[]).slice(0, count)])) };
}

/** From the counts of some work and of twice as much to those of `times` as much. */
function extended(one: StepCount, two: StepCount, times: number): StepCount {
  const extend = (first: number, second: number): number => first + (times - 1) * (second - first);
  const operations = noOperations();
  for (const name of Object.keys(operations) as (keyof OperationCounts)[])
    operations[name] = extend(one.operations[name], two.operations[name]);
  return {
    operations,
    cost: extend(one.cost, two.cost),
    monomials: two.monomials,
    reads: one.reads.map((count, level) => extend(count, at(two.reads, level, 'levels'))),
    result: two.result,
    results: extend(one.results, two.results),
  };
}

/** Counts single steps of a training. */
export class StepCounter extends ShapeCounter<RunWork<Shade>> {
  /** @param costOf @default transforms of length N */
  constructor(plan: PlanBase, costOf?: CostFunction) {
    super(
      plan,
      costOf,
      (work) => shapeOf(plan, work),
      (evaluator, work, io) => serveAtOnce(circuitsOf(evaluator, plan, work), io),
    );
  }
}

/** Steps of one shape cost the same. */
function shapeOf(plan: PlanBase, work: RunWork<Shade>): string {
  const name = ({ level, scale }: Shade): string => `${level}@${scale}`;
  switch (work.kind) {
    case 'start':
      return `start ${work.shards.length}`;
    case 'forward':
      return `forward ${name(work.weights)} ${work.pair % plan.grouping.pairsPerChain} ${work.shards.length}`;
    case 'backward': {
      const source = work.errors !== undefined ? 'errors' : work.scores !== undefined ? 'scores' : 'labels';
      const { gradient } = at(plan.iterations, work.iteration - 1, 'iterations');
      const blocks = `${at(work.blocks, 0, 'blocks')}+${work.blocks.length}`;
      return `backward ${gradient} ${source} ${work.shards.length} ${blocks}`;
    }
    case 'step':
      return `step ${work.iteration} ${pairsOf(plan, work.chain)} ${work.gradients.length}`;
    case 'finish':
      return `finish ${pairsOf(plan, work.chain)}`;
    case 'publish':
      return `publish ${name(work.weights)}`;
    case 'pack':
      return `pack ${work.level} ${work.to} ${work.chains.length}`;
  }
}

function pairsOf(plan: PlanBase, chain: number): number {
  return Math.min(plan.grouping.pairsPerChain, plan.layout.pairs - chain * plan.grouping.pairsPerChain);
}

/** The owner's answer before a segment: V and W. */
export function answerBefore(
  { segments, iterations, refreshScale }: PlanBase,
  segment: number,
): readonly [Shade, Shade] {
  const { first } = at(segments, segment, 'segments');
  const { weights, gradient } = at(iterations, first - 1, 'iterations');
  return [
    { level: required(weights, `the weights of iteration ${first}`), scale: refreshScale },
    { level: gradient + 1, scale: refreshScale },
  ];
}

/** Totals of a whole job. */
export interface JobCount {
  readonly operations: OperationCounts;
  readonly cost: number;
  readonly rotations: ReadonlySet<number>;
  /** Steps that workers run. */
  readonly tasks: number;
  /** Polynomials modulo one prime, of N words each, that all results have together. */
  readonly rows: number;
  /**
   * Cost of a forward step and the backward step after it: one iteration cannot be faster, however many threads there
   * are.
   */
  readonly span: number;
}

class Total {
  operations = noOperations();
  cost = 0;
  tasks = 0;
  rows = 0;

  add({ operations, cost, result, results }: StepCount, times: number, isTask: boolean): void {
    const scaled = noOperations();
    for (const name of Object.keys(scaled) as (keyof OperationCounts)[]) scaled[name] = times * operations[name];
    this.operations = addOperations(this.operations, scaled);
    this.cost += times * cost;
    this.rows += times * results * 2 * (result.level + 1);
    if (isTask) this.tasks += times;
  }
}

/** A training job. Chains of one size, and segments of one kind, are counted once. @throws CircuitError */
export function countTraining(plan: PlanBase): JobCount {
  const counter = new StepCounter(plan);
  const total = new Total();
  const shades = new Map<string, readonly Shade[]>();
  /** Gradients that stand for several. */
  const gradientTimes = new Map<string, number>();
  const span = { forward: 0, backward: 0 };
  /** An update costs as much more for each gradient: those of a group stand for those of all groups of its size. */
  const updateCount = (step: Step<UpdateWork<Source>>, work: UpdateWork<Shade>): StepCount => {
    const one = counter.count(work);
    const gradients = step.gradients.reduce(
      (sum, { gradient }) => sum + valueOf(gradientTimes, gradient.step, 'gradients'),
      0,
    );
    if (gradients === work.gradients.length) return one;
    const two = counter.count({ ...work, gradients: [...work.gradients, ...work.gradients] });
    return extended(one, two, gradients / work.gradients.length);
  };
  const add = (step: Step, times: number): void => {
    if (step.kind === 'refresh') return;
    const work = bind(step, (id) => valueOf(shades, id, 'results'));
    const count = step.kind === 'step' && work.kind === 'step' ? updateCount(step, work) : counter.count(work);
    total.add(count, times, work.kind === 'start' || work.kind === 'forward' || work.kind === 'backward');
    shades.set(step.id, new Array<Shade>(count.results).fill(count.result));
    if (work.kind === 'forward') span.forward ||= count.cost;
    if (work.kind === 'backward' && work.errors !== undefined) span.backward ||= count.cost;
  };
  for (const step of startStage(plan)) add(step, 1);
  // Groups of as many shards cost the same: one of each size stands for all.
  let bySize = new Map<number, ShardGroup[]>();
  const oneOfEachSize = (groups: readonly ShardGroup[]): ShardGroup[] => {
    bySize = Map.groupBy(groups, ({ shards }) => shards.length);
    return [...bySize.values()].flatMap(([first]) => (first === undefined ? [] : [first]));
  };
  const sizes = Map.groupBy(chainsOf(plan).keys(), (chain) => pairsOf(plan, chain));
  for (const [chain = 0, ...otherChains] of sizes.values()) {
    for (const [segment = 0, ...otherSegments] of alikeSegments(plan).values()) {
      const times = (1 + otherChains.length) * (1 + otherSegments.length);
      if (segment > 0) shades.set(refreshId(plan, segment - 1, chain), answerBefore(plan, segment));
      for (const stage of segmentStages(plan, chain, segment, oneOfEachSize)) {
        for (const step of stage) {
          const groups = 'shards' in step ? valueOf(bySize, step.shards.length, 'groups of shards').length : 1;
          if (step.kind === 'backward') gradientTimes.set(step.id, groups);
          add(step, times * groups);
        }
      }
    }
  }
  for (const step of packStage(plan)) {
    const shade = { level: step.level, scale: plan.refreshScale };
    total.add(counter.count(bind(step, () => [shade])), 1, false);
  }
  const { operations, cost, tasks, rows } = total;
  return { operations, cost, tasks, rows, rotations: counter.rotations, span: span.forward + span.backward };
}

/**
 * Segments that cost the same: those between the first and the last, unless their batches have different numbers of
 * shards.
 */
function alikeSegments({ layout, hyperparameters, segments }: PlanBase): Map<string, number[]> {
  const shards = (iteration: number): number =>
    shardsOfBatch(layout, batchOf(layout.batches, hyperparameters, iteration)).length;
  return Map.groupBy(segments.keys(), (number) => {
    const { first, count } = at(segments, number, 'segments');
    const counts = range(count).map((position) => shards(first + position));
    return JSON.stringify([first === 1, first + count > hyperparameters.iterations, counts]);
  });
}

/** A prediction job. @throws CircuitError */
export function countPrediction(plan: CountedPrediction): Omit<JobCount, 'span'> {
  const { layout, model } = plan;
  const counter = new ShapeCounter<PredictWork<Shade>>(
    plan,
    undefined,
    ({ pair, shards }) => `${pair % pairsTogether(layout, pair)} of ${pairsTogether(layout, pair)} ${shards.length}`,
    (evaluator, work, io) => serveAtOnce(predictionCircuits(evaluator, plan, work), io),
  );
  const total = new Total();
  const models = new Array<Shade>(layout.models).fill({ level: model.level, scale: model.maxScale });
  // All pairs have the same groups of shards: full ones, and perhaps a smaller last one.
  const bySize = Map.groupBy(predictionSteps(plan, [0]), ({ shards }) => shards.length);
  for (let pair = 0; pair < layout.pairs; pair++) {
    for (const [step, ...others] of bySize.values())
      if (step !== undefined) total.add(counter.count({ ...bind(step, () => models), pair }), 1 + others.length, true);
  }
  const { operations, cost, tasks, rows } = total;
  return { operations, cost, tasks, rows, rotations: counter.rotations };
}
