/**
 * The program of a job: which circuit runs when, on which shards, and on which earlier results. Written once. The
 * planner counts its steps (`plan/count.ts`), the scheduler turns its stages into queue entries, compute threads run
 * single steps (`run-step.ts`), the forecast prices them, and the local evaluation runs them with a map of results.
 *
 * Stages are made one after the other, so that a large job never has all of its steps in memory.
 */
import { at } from '@blindfit/base';
import { batchOf } from './batches.ts';
import { chunked, range } from './chunked.ts';
import { shardsOfBatch } from './layout/shape.ts';
import type { Plan, PredictionPlan } from './plan/plan.ts';
import type { Segment } from './schedule.ts';
import type {
  BackwardWork,
  ChainWork,
  ForwardWork,
  PackWork,
  PredictWork,
  PublishWork,
  RunWork,
  Source,
  StartWork,
  Step,
  UpdateWork,
  Work,
} from './work.ts';

/** The part of a plan that determines the program. */
export type ProgramPlan = Pick<
  Plan,
  'layout' | 'hyperparameters' | 'grouping' | 'schedule' | 'segments' | 'iterations'
>;

function idOf(kind: string, ...parts: readonly number[]): string {
  return [kind, ...parts].join('.');
}

function firstOf(step: string): Source {
  return { step, output: 0 };
}

/** The name of the update that makes V of an iteration. */
export function updateId(iteration: number, chain: number): string {
  return idOf('step', iteration, chain);
}

/** The name of the step that makes the final weights of a chain. */
export function finishId({ iterations }: Pick<ProgramPlan, 'iterations'>, chain: number): string {
  return idOf('finish', iterations.length, chain);
}

/** The name of the owner's answer after a segment. */
export function refreshId({ segments }: Pick<ProgramPlan, 'segments'>, segment: number, chain: number): string {
  return idOf('refresh', lastOf(at(segments, segment, 'segments')), chain);
}

/** The last iteration of a segment. */
export function lastOf({ first, count }: Segment): number {
  return first + count - 1;
}

/** The pairs of classes of every chain. */
export function chainsOf({ layout, grouping }: Pick<ProgramPlan, 'layout' | 'grouping'>): number[][] {
  return chunked(range(layout.pairs), grouping.pairsPerChain);
}

/** The shards of one task, and its number within the iteration. */
export interface ShardGroup {
  readonly group: number;
  readonly shards: readonly number[];
}

/** The shards that an iteration learns from, as its tasks divide them. */
function shardGroups({ layout, hyperparameters, grouping }: ProgramPlan, iteration: number): ShardGroup[] {
  const shards = shardsOfBatch(layout, batchOf(layout.batches, hyperparameters, iteration));
  return chunked(shards, grouping.shardsPerTask).map((members, group) => ({ group, shards: members }));
}

/** All steps in an order in which they can run. */
export function* stepsOf(plan: ProgramPlan): Generator<Step> {
  yield* startStage(plan);
  for (const chain of chainsOf(plan).keys())
    for (const segment of plan.segments.keys()) for (const stage of segmentStages(plan, chain, segment)) yield* stage;
  yield* packStage(plan);
}

/** The scores of a constant start; none for a start at zero. */
export function startStage(plan: ProgramPlan): Step<StartWork>[] {
  if (plan.hyperparameters.initialWeight === 0) return [];
  return shardGroups(plan, 1).map(({ shards, group }) => {
    return { id: idOf('start', group), kind: 'start', iteration: 1, shards };
  });
}

/**
 * One segment of one chain, in stages: the steps of a stage depend on earlier stages only.
 * @param choose the groups of shards that get steps @default all
 */
export function* segmentStages(
  plan: ProgramPlan,
  chain: number,
  segment: number,
  choose: (groups: readonly ShardGroup[]) => readonly ShardGroup[] = (groups) => groups,
): Generator<readonly Step[]> {
  const { segments, iterations } = plan;
  const { first, count } = at(segments, segment, 'segments');
  const answer = segment === 0 ? undefined : refreshId(plan, segment - 1, chain);
  const fresh = answer === undefined ? undefined : { weights: firstOf(answer), momentum: { step: answer, output: 1 } };
  const history: Source[] = [];
  const state = (): ChainWork<Source> => ({ chain, segment, history: [...history], fresh });
  for (let iteration = first; iteration < first + count; iteration++) {
    const groups = choose(shardGroups(plan, iteration));
    const gradients = yield* gradientStages(plan, chain, iteration, groups, history.at(-1) ?? fresh?.weights);
    const id = updateId(iteration, chain);
    yield [{ id, kind: 'step', ...state(), iteration, gradients }];
    history.push(firstOf(id));
  }
  const last = first + count - 1;
  if (last === iterations.length) {
    yield [{ id: finishId(plan, chain), kind: 'finish', ...state(), iteration: last }];
    return;
  }
  const levels = at(iterations, last - 1, 'iterations');
  const publish = (iteration: number, weights: Source, level: number, ...part: number[]): Step<PublishWork<Source>> => {
    const id = idOf('publish', iteration, chain, ...part);
    return { id, kind: 'publish', chain, iteration, weights, level };
  };
  // V of the last iteration and of the one before, from which the owner computes the momentum.
  const published = [publish(last, at(history, count - 1, 'iterations of the segment'), levels.gradient)];
  if (count > 1)
    published.push(publish(last - 1, at(history, count - 2, 'history'), at(iterations, last - 2, 'levels').gradient));
  else if (fresh !== undefined && levels.weights !== undefined)
    // The segment before has published V of that iteration, as it was before the refresh.
    published.push(publish(last - 1, fresh.weights, levels.weights, segment));
  yield published;
  const [weights, previous] = published.map(({ id }) => firstOf(id));
  if (weights !== undefined)
    yield [{ id: refreshId(plan, segment, chain), kind: 'refresh', chain, iteration: last, weights, previous }];
}

/**
 * The keyed steps of one iteration of a chain, in stages.
 * @param weights V as the iteration finds it; none in the first one
 * @returns the gradients
 */
function* gradientStages(
  plan: ProgramPlan,
  chain: number,
  iteration: number,
  groups: readonly ShardGroup[],
  weights: Source | undefined,
): Generator<readonly Step[], UpdateWork<Source>['gradients']> {
  const { layout, grouping, hyperparameters } = plan;
  const cells = at(chainsOf(plan), chain, 'chains').flatMap((pair) => groups.map((group) => ({ ...group, pair })));
  const parts = chunked(range(layout.blocks), grouping.blocksPerTask);
  const forwardId = (pair: number, group: number): string => idOf('forward', iteration, pair, group);
  const inputs = (pair: number, group: number) => {
    if (weights !== undefined) return { errors: forwardId(pair, group) };
    return hyperparameters.initialWeight === 0 ? {} : { scores: idOf('start', group) };
  };
  if (weights !== undefined)
    yield cells.map(({ pair, shards, group }): Step<ForwardWork<Source>> => {
      return { id: forwardId(pair, group), kind: 'forward', iteration, pair, shards, weights };
    });
  const backwards = cells.flatMap(({ pair, shards, group }) =>
    parts.map((blocks, part): Step<BackwardWork<Source, string>> => {
      const id = idOf('backward', iteration, pair, group, part);
      return { id, kind: 'backward', iteration, pair, shards, blocks, ...inputs(pair, group) };
    }),
  );
  yield backwards;
  return backwards.map(({ id, pair }) => ({ pair, gradient: firstOf(id) }));
}

/** The packed V of every iteration, unless refreshes have shown V to the owner; the packed model is the last step. */
export function packStage(plan: ProgramPlan): Step<PackWork<Source>>[] {
  const { segments, iterations, schedule } = plan;
  const chains = [...chainsOf(plan).keys()];
  const iterates = segments.length > 1 ? [] : iterations;
  const { modelLevel } = schedule;
  return [
    ...iterates.map(({ gradient }, index): Step<PackWork<Source>> => ({
      id: idOf('pack', index + 1),
      kind: 'pack',
      iteration: index + 1,
      chains: chains.map((chain) => firstOf(updateId(index + 1, chain))),
      level: gradient,
      to: 0,
    })),
    {
      id: idOf('pack', iterations.length + 1),
      kind: 'pack',
      iteration: iterations.length + 1,
      chains: chains.map((chain) => firstOf(finishId(plan, chain))),
      level: modelLevel,
      to: modelLevel,
    },
  ];
}

/** The steps of a prediction, which do not depend on each other. Model ciphertext m is output m of step `model`. */
export function predictionSteps(
  { layout, grouping }: Pick<PredictionPlan, 'layout' | 'grouping'>,
  pairs: readonly number[] = range(layout.pairs),
): Step<PredictWork<Source>>[] {
  return pairs.flatMap((pair) =>
    chunked(range(layout.shards), grouping.shardsPerTask).map((shards, group): Step<PredictWork<Source>> => {
      const model = { step: 'model', output: Math.floor(pair / layout.pairsPerModel) };
      return { id: idOf('predict', pair, group), kind: 'predict', iteration: 1, pair, shards, model };
    }),
  );
}

/** All results of a step, in order. */
type OutputsOf<R> = (step: string) => readonly R[];

/** The work of a step over the results of earlier steps, without the id. @throws RangeError when a result is missing */
export function bind<R>(step: Step<PredictWork<Source>>, outputsOf: OutputsOf<R>): PredictWork<R>;
export function bind<R>(step: Step<StartWork>, outputsOf: OutputsOf<R>): StartWork;
export function bind<R>(step: Step<PackWork<Source>>, outputsOf: OutputsOf<R>): PackWork<R>;
export function bind<R>(step: Step<RunWork<Source, string>>, outputsOf: OutputsOf<R>): RunWork<R>;
export function bind<R>(step: Step, outputsOf: OutputsOf<R>): Work<R>;
export function bind<R>(
  { id: _id, ...work }: Step | Step<PredictWork<Source>>,
  outputsOf: OutputsOf<R>,
): Work<R> | PredictWork<R> {
  const of = ({ step, output }: Source): R => at(outputsOf(step), output, `results of ${step}`);
  const state = ({ history, fresh }: ChainWork<Source>) => ({
    history: history.map(of),
    fresh: fresh && { weights: of(fresh.weights), momentum: of(fresh.momentum) },
  });
  switch (work.kind) {
    case 'start':
      return work;
    case 'forward':
    case 'publish':
      return { ...work, weights: of(work.weights) };
    case 'backward': {
      const { errors, scores, ...rest } = work;
      if (errors !== undefined) return { ...rest, errors: outputsOf(errors) };
      return scores === undefined ? rest : { ...rest, scores: outputsOf(scores) };
    }
    case 'step': {
      const gradients = work.gradients.map(({ pair, gradient }) => ({ pair, gradient: of(gradient) }));
      return { ...work, ...state(work), gradients };
    }
    case 'finish':
      return { ...work, ...state(work) };
    case 'refresh':
      return { ...work, weights: of(work.weights), previous: work.previous && of(work.previous) };
    case 'pack':
      return { ...work, chains: work.chains.map(of) };
    case 'predict':
      return { ...work, model: of(work.model) };
  }
}

/** The ids of the steps that a step needs. */
export function after(step: Step): string[] {
  const ids = new Set<string>();
  bind(step, (id) => {
    ids.add(id);
    return [id, id];
  });
  return [...ids];
}
