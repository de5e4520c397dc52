/** From a task's digests to the digests of its results: loads, runs the circuit, stores. */
import { addOperations, noOperations, WireError, type Ciphertext, type Evaluator } from '@blindfit/he';
import type {
  BackwardTask,
  ChainHistory,
  FinishTask,
  ForwardTask,
  KeylessTask,
  PackTask,
  PlannedJob,
  PlannedManifest,
  PredictTask,
  PrepareTask,
  PublishTask,
  StartTask,
  StepTask,
  Task,
} from '@blindfit/protocol';
import {
  backward,
  cellsOf,
  chainsOf,
  expand,
  finalTerms,
  finalWeights,
  forward,
  momentumSchedule,
  momentumTerms,
  nesterovStep,
  packModel,
  startErrors,
  startScores,
  stepFactor,
  type MomentumTerms,
  type Plan,
  type Segment,
} from '@blindfit/training';
import type { Engine } from './engine.ts';
import { byShard, input, type InputGrid } from './inputs.ts';
import { free, load, loadAll } from './intermediate.ts';
import type { ComputeResult, Work } from './messages.ts';
import { Phases } from './phases.ts';
import { runPredict } from './run-predict.ts';
import type { Session } from './session.ts';

/** Everything a circuit of one task needs at hand. */
interface Context {
  readonly session: Session;
  readonly planned: PlannedManifest;
  readonly plan: Plan;
  readonly engine: Engine;
  readonly evaluator: Evaluator;
}

export async function runWork(session: Session, work: Work): Promise<ComputeResult> {
  const startedAt = Date.now();
  const phases = (session.phases = new Phases(startedAt, 'load inputs'));
  session.checkpoint();
  session.ciphertexts.workFor(work.manifest);
  const planned = await session.planned(work.manifest);
  const { plan } = planned;
  phases.enter('load keys');
  const preparing = performance.now();
  const engine = await session.engine(plan.parameters);
  const evaluator = await engine.evaluator(needsKeys(work) ? planned : undefined, session.checkpoint);
  const loadKeysSeconds = (performance.now() - preparing) / 1000;
  phases.enter('circuit');
  const outputs = await computeFor(planned, { session, engine, evaluator }, work);
  return {
    outputs,
    operations: addOperations(noOperations(), evaluator.counts),
    evaluator: session.evaluator,
    startedAt,
    finishedAt: Date.now(),
    loadKeysSeconds,
    phases: phases.end(),
  };
}

function needsKeys(work: Work): work is Task {
  return work.kind === 'start' || work.kind === 'forward' || work.kind === 'backward' || work.kind === 'predict';
}

function computeFor(
  planned: PlannedJob,
  tools: Pick<Context, 'session' | 'engine' | 'evaluator'>,
  work: Work,
): Promise<string[]> {
  if (planned.kind === 'train' && work.kind !== 'predict')
    return compute({ ...tools, planned, plan: planned.plan }, work);
  if (planned.kind === 'predict' && work.kind === 'predict')
    return runPredict({ ...tools, planned, plan: planned.plan }, work);
  throw new WireError(
    `a task of kind ${work.kind} of a job of kind ${planned.kind}`,
    'the task names the manifest of another job',
  );
}

function compute(context: Context, work: Exclude<Work, PredictTask>): Promise<string[]> {
  switch (work.kind) {
    case 'start':
      return runStart(context, work);
    case 'forward':
      return runForward(context, work);
    case 'backward':
      return runBackward(context, work);
    case 'step':
    case 'finish':
    case 'publish':
    case 'pack':
      return runKeyless(context, work);
    case 'prepare':
      return Promise.resolve([]);
  }
}

function runStart(context: Context, task: StartTask): Promise<string[]> {
  const { evaluator, plan } = context;
  const { sigmoid, initialWeight } = plan.hyperparameters;
  return byShard(context, gridOf(context, 'features'), task.shards, (features) =>
    startScores(evaluator, {
      layout: plan.layout,
      sigmoid,
      features,
      initialWeight,
      level: plan.iterations[0]?.errors ?? 0,
      scale: plan.labels.scale,
    }),
  );
}

async function runForward(context: Context, task: ForwardTask): Promise<string[]> {
  const { evaluator, plan } = context;
  const {
    layout,
    hyperparameters: { sigmoid },
  } = plan;
  const level = plan.iterations[task.iteration - 1]?.weights;
  if (level === undefined)
    throw new WireError(`iteration ${task.iteration} has no forward task`, `2 to ${plan.iterations.length} have`);
  using packed = await load(context, task.weights, { level });
  const weights = expand(evaluator, layout, packed, task.pair, plan.grouping.pairsPerChain);
  try {
    return await byShard(context, gridOf(context, 'features'), task.shards, async (features, shard) =>
      forward(evaluator, {
        layout,
        sigmoid,
        features,
        weights,
        labels: await input(context, gridOf(context, 'labels'), shard, task.pair),
      }),
    );
  } finally {
    free(weights);
  }
}

async function runBackward(context: Context, task: BackwardTask): Promise<string[]> {
  const { evaluator, plan, session, engine } = context;
  const errors = await errorsOf(context, task);
  try {
    const gradientFeatures = new Map<number, Ciphertext[]>();
    for (const block of task.blocks) {
      if (block >= plan.layout.blocks)
        throw new WireError(`there is no block ${block}`, `0 to ${plan.layout.blocks - 1}`);
      const features: Ciphertext[] = [];
      for (const shard of task.shards) {
        for (const cell of cellsOf(plan.layout, block))
          features.push(await input(context, gridOf(context, 'gradientFeatures'), shard, cell));
      }
      gradientFeatures.set(block, features);
    }
    using gradient = backward(evaluator, { layout: plan.layout, errors, gradientFeatures });
    return [await session.write(engine, gradient)];
  } finally {
    free(errors);
  }
}

/** By shard; the caller owns them. */
async function errorsOf(context: Context, task: BackwardTask): Promise<Ciphertext[]> {
  const { evaluator, plan } = context;
  const level = plan.iterations[task.iteration - 1]?.errors;
  if (level === undefined) throw new WireError(`no iteration ${task.iteration}`, `1 to ${plan.iterations.length}`);
  const given = task.errors ?? task.scores;
  if (given !== undefined && given.length !== task.shards.length)
    throw new WireError(`${given.length} errors for ${task.shards.length} shards`);
  const errors: Ciphertext[] = [];
  try {
    for (const [index, shard] of task.shards.entries()) {
      const digest = given?.[index];
      if (task.errors !== undefined && digest !== undefined) {
        errors.push(await load(context, digest, { level }));
        continue;
      }
      const labels = await input(context, gridOf(context, 'labels'), shard, task.pair);
      if (digest === undefined) {
        errors.push(evaluator.dropTo(labels, level));
        continue;
      }
      using scores = await load(context, digest, { level });
      errors.push(startErrors(evaluator, plan.hyperparameters.sigmoid, labels, scores));
    }
    return errors;
  } catch (error) {
    free(errors);
    throw error;
  }
}

async function runKeyless(context: Context, work: Exclude<KeylessTask, PrepareTask>): Promise<string[]> {
  const results = await keyless(context, work);
  try {
    const outputs: string[] = [];
    for (const result of results) outputs.push(await context.session.write(context.engine, result));
    return outputs;
  } finally {
    free(results);
  }
}

function keyless(context: Context, work: Exclude<KeylessTask, PrepareTask>): Promise<Ciphertext[]> {
  switch (work.kind) {
    case 'step':
      return step(context, work);
    case 'finish':
      return finish(context, work);
    case 'publish':
      return publish(context, work);
    case 'pack':
      return pack(context, work);
  }
}

async function step(context: Context, work: StepTask): Promise<Ciphertext[]> {
  const { evaluator, plan } = context;
  const { layout, hyperparameters } = plan;
  const segment = segmentOf(plan, work);
  const terms = momentumTerms(
    momentumSchedule(hyperparameters.iterations),
    segment,
    work.iteration,
    { history: work.history, fresh: work.fresh },
    hyperparameters.initialWeight,
  );
  const level = plan.iterations[work.iteration - 1]?.gradient ?? -1;
  const gradients = await loadAll(
    context,
    work.gradients.map(({ digest }) => digest),
    { level },
  );
  const momentum = await loadTerms(context, terms, segment, work);
  try {
    return [
      nesterovStep(evaluator, {
        layout,
        pairs: chainsOf(plan)[work.chain] ?? [],
        gradients: gradients.map((ciphertext, index) => ({ pair: work.gradients[index]?.pair ?? 0, ciphertext })),
        factor: stepFactor(hyperparameters, layout.batchSize, work.iteration),
        momentum,
        constant: terms.constant,
      }),
    ];
  } finally {
    free(gradients);
    free(momentum.map((term) => term.weights));
  }
}

async function finish(context: Context, work: FinishTask): Promise<Ciphertext[]> {
  const { evaluator, plan } = context;
  const { layout, hyperparameters } = plan;
  const segment = segmentOf(plan, work);
  const final = finalTerms(
    momentumSchedule(hyperparameters.iterations),
    segment,
    { history: work.history, fresh: work.fresh },
    hyperparameters.initialWeight,
  );
  using newest = await load(context, work.history.at(-1) ?? '', { level: plan.schedule.modelLevel });
  const momentum = await loadTerms(context, final, segment, work);
  try {
    return [finalWeights(evaluator, { ...final, layout, pairs: chainsOf(plan)[work.chain] ?? [], newest, momentum })];
  } finally {
    free(momentum.map((term) => term.weights));
  }
}

async function publish(context: Context, work: PublishTask): Promise<Ciphertext[]> {
  using weights = await load(context, work.weights, { level: work.level });
  return [context.evaluator.dropTo(weights, 0)];
}

async function pack(context: Context, work: PackTask): Promise<Ciphertext[]> {
  const chains = await loadAll(context, work.chains, { level: work.level });
  try {
    return packModel(context.evaluator, context.plan.layout, chains, context.plan.grouping.pairsPerChain, work.to);
  } finally {
    free(chains);
  }
}

function segmentOf(plan: Plan, { segment }: ChainHistory): Segment {
  const found = plan.segments[segment];
  if (found === undefined) throw new WireError(`there is no segment ${segment}`, `0 to ${plan.segments.length - 1}`);
  return found;
}

/** Terms over digests become terms over ciphertexts. */
async function loadTerms(
  context: Context,
  { momentum }: MomentumTerms<string>,
  segment: Segment,
  { history, fresh }: ChainHistory,
): Promise<{ coefficient: number; weights: Ciphertext }[]> {
  const { iterations } = context.plan;
  const top = iterations[segment.first - 1];
  const levelOf = (digest: string): number => {
    // V of an iteration is at the level of its gradient; what the owner sent is where the plan asks for it.
    const position = history.lastIndexOf(digest);
    if (position >= 0) return iterations[segment.first - 1 + position]?.gradient ?? -1;
    return digest === fresh?.weights ? (top?.weights ?? -1) : (top?.gradient ?? -2) + 1;
  };
  const loaded: { coefficient: number; weights: Ciphertext }[] = [];
  try {
    for (const { coefficient, weights } of momentum)
      loaded.push({ coefficient, weights: await load(context, weights, { level: levelOf(weights) }) });
    return loaded;
  } catch (error) {
    free(loaded.map((term) => term.weights));
    throw error;
  }
}

function gridOf({ planned, plan }: Context, name: 'features' | 'gradientFeatures' | 'labels'): InputGrid {
  return { name, digests: planned.manifest.blobs[name], place: plan[name] };
}
