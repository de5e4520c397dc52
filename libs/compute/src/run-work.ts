/** One task in a thread: from its digests to the digests of its results. */
import { addOperations, noOperations, WireError, type Evaluator } from '@blindfit/he';
import { runPrediction, runStep, type InputName, type StepIo, type PlannedJob } from '@blindfit/training';
import type { Engine } from './engine.ts';
import { CacheDamagedError } from './errors.ts';
import { input } from './inputs.ts';
import { load } from './intermediate.ts';
import type { ComputeResult, Work } from './messages.ts';
import type { CiphertextPlace } from './parse-ciphertext.ts';
import { Phases } from './phases.ts';
import type { Session } from './session.ts';

/** What the steps of one task use. */
interface Tools {
  readonly session: Session;
  readonly engine: Engine;
  readonly evaluator: Evaluator;
}

/** How often a task begins again because a file that it computed with was damaged. */
const MAX_REPAIRS = 3;

export async function runWork(session: Session, work: Work): Promise<ComputeResult> {
  for (let repairs = 0; ; repairs++) {
    try {
      return await runOnce(session, work);
    } catch (error) {
      if (!(error instanceof CacheDamagedError) || repairs === MAX_REPAIRS) throw error;
    }
  }
}

async function runOnce(session: Session, work: Work): Promise<ComputeResult> {
  const startedAt = Date.now();
  const phases = (session.phases = new Phases(startedAt, 'load inputs'));
  session.checkpoint();
  session.ciphertexts.workFor(work.manifest);
  const planned = await session.planned(work.manifest);
  phases.enter('load keys');
  const preparing = performance.now();
  const engine = await session.engine(planned.plan.parameters);
  // What was damaged while no task ran is let go before anything reads it: beyond the end of a file that was cut off
  // there is nothing to read.
  session.ciphertexts.discardDamaged();
  engine.keysIntact(planned);
  const evaluator = await engine.evaluator(needsKeys(work) ? planned : undefined, session.checkpoint);
  const loadKeysSeconds = (performance.now() - preparing) / 1000;
  phases.enter('circuit');
  const outputs = await run({ session, engine, evaluator }, planned, work);
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

function needsKeys(work: Work): boolean {
  return work.kind === 'start' || work.kind === 'forward' || work.kind === 'backward' || work.kind === 'predict';
}

/** @returns the digests of the results */
async function run(tools: Tools, planned: PlannedJob, work: Work): Promise<string[]> {
  if (work.kind === 'prepare') return [];
  const outputs: string[] = [];
  using loaded = new DisposableStack();
  const io = ioOf(tools, planned, loaded, outputs);
  if (planned.kind === 'train' && work.kind !== 'predict') await runStep(tools.evaluator, planned.plan, work, io);
  else if (planned.kind === 'predict' && work.kind === 'predict')
    await runPrediction(tools.evaluator, planned.plan, work, io);
  else
    throw new WireError(
      `a task of kind ${work.kind} of a job of kind ${planned.kind}`,
      'the task names the manifest of another job',
    );
  return outputs;
}

/** Inputs from the cache and results from the store. @param loaded frees the results that were read */
function ioOf(tools: Tools, planned: PlannedJob, loaded: DisposableStack, outputs: string[]): StepIo<string> {
  const { session, engine } = tools;
  return {
    input: (name, shard, column) => input(tools, gridOf(planned, name), shard, column),
    result: async (digest, level) => loaded.use(await load(tools, digest, { level })),
    write: async (ciphertext) => {
      using result = ciphertext;
      const inputsIntact = session.ciphertexts.discardDamaged();
      if (!engine.keysIntact(planned) || !inputsIntact) throw new CacheDamagedError();
      outputs.push(await session.write(engine, result));
      // What the next shard needs is not loaded yet: memory does not grow with the shards of a task.
      session.ciphertexts.trim();
    },
  };
}

function gridOf(
  planned: PlannedJob,
  name: InputName,
): { name: InputName; digests: readonly (readonly string[])[]; place: CiphertextPlace } {
  if (planned.kind === 'train') return { name, digests: planned.manifest.blobs[name], place: planned.plan[name] };
  if (name !== 'features') throw new WireError(`a prediction has no ${name}`);
  return { name, digests: planned.manifest.blobs[name], place: planned.plan[name] };
}
