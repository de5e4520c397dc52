/**
 * The whole of an encrypted training run in this process, without a server: every circuit in the plan's order and
 * grouping, on real ciphertexts. For tests and benchmarks; its results and operation counts are those of a cluster.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { at, required, valueOf } from '@blindfit/base';
import {
  addOperations,
  noOperations,
  WIRE_HEADER_BYTES,
  wrap,
  type Ciphertext,
  type Evaluator,
  type OperationCounts,
} from '@blindfit/he';
import { type ResolvedEvaluator } from '@blindfit/he/native';
import { bind, packStage, runStep, stepsOf, type Plan, type RefreshWork } from '@blindfit/training';
import { decryptModel } from './decrypt-model.ts';
import { encryptJob, type DataBlobs, type TrainingSet } from './encrypt-job.ts';
import type { Keyset } from './keyset.ts';
import { openLocalEvaluator } from './local-evaluator.ts';
import { RefreshSession, stepBound } from './refresh.ts';

export interface LocalTraining {
  /** W_T: classes x features. */
  readonly weights: Float64Array[];
  /** The packed model as a server would return it. */
  readonly models: Uint8Array[];
  /** Packed V_t by iteration, as a server would return them. */
  readonly iterates: Uint8Array[][];
  readonly operations: OperationCounts;
  /** Wall-clock time, by phase; the circuits are in `train`. */
  readonly seconds: {
    readonly encrypt: number;
    readonly loadKeys: number;
    readonly train: number;
    readonly decrypt: number;
  };
}

/** Ciphertexts by shard, then by cell or pair. */
type Grids = Record<keyof DataBlobs, Ciphertext[][]>;

/**
 * Encrypts, trains and decrypts. All ciphertexts and keys are held in memory at once; SEAL's has 4 GB.
 * @param keyset opened for the same plan
 * @param resolved what computes @default node-seal
 * @throws JobDataError, HeError
 */
export async function trainEncryptedLocally(
  keyset: Keyset,
  plan: Plan,
  data: TrainingSet,
  resolved: ResolvedEvaluator = { kind: 'seal', why: 'the reference' },
): Promise<LocalTraining> {
  using stack = new DisposableStack();
  let since = performance.now();
  const lap = (): number => {
    const start = since;
    since = performance.now();
    return (since - start) / 1000;
  };

  const { evaluator, codec } = await openLocalEvaluator(keyset, plan, resolved, stack);
  const loadKeysSeconds = lap();
  const grids: Grids = { features: [], gradientFeatures: [], labels: [] };
  await encryptJob(keyset, plan, data, {
    store: ({ name, shard, bytes }) => {
      (grids[name][shard] ??= []).push(stack.use(codec.loadCiphertext(bytes.subarray(WIRE_HEADER_BYTES))));
      return Promise.resolve();
    },
  });
  const encrypt = lap();
  const session = new RefreshSession(keyset, plan, stepBound(data, plan.hyperparameters));
  const toBlob = (ciphertext: Ciphertext): Uint8Array =>
    wrap(
      plan.parameters,
      { kind: 'ciphertext', level: ciphertext.level, scale: ciphertext.scale },
      codec.saveCiphertext(ciphertext),
    );
  const refresh = ({ chain, iteration, weights, previous }: RefreshWork<Ciphertext>): Ciphertext[] => {
    const answer = session.answer({ chain, iteration }, toBlob(weights), previous && toBlob(previous));
    return [answer.weights, answer.momentum].map(({ bytes }) =>
      codec.loadCiphertext(bytes.subarray(WIRE_HEADER_BYTES)),
    );
  };
  const results = await runSteps(evaluator, plan, grids, refresh, stack);
  const packed = packStage(plan).map(({ id }) => valueOf(results, id, 'results'));
  const models = required(packed.pop(), 'the packed model');
  const iterates = packed;
  const blobs = models.map(toBlob);
  const iterateBlobs = iterates.map((row) => row.map(toBlob));
  const train = lap();
  const weights = decryptModel(keyset, plan, blobs);
  return {
    weights,
    models: blobs,
    iterates: iterateBlobs,
    operations: addOperations(noOperations(), evaluator.counts),
    seconds: { encrypt, loadKeys: loadKeysSeconds, train, decrypt: lap() },
  };
}

/**
 * Runs all steps, one after the other.
 * @param stack frees the results
 * @returns the results by step, without errors and gradients
 */
async function runSteps(
  evaluator: Evaluator,
  plan: Plan,
  grids: Grids,
  refresh: (work: RefreshWork<Ciphertext>) => Ciphertext[],
  stack: DisposableStack,
): Promise<ReadonlyMap<string, readonly Ciphertext[]>> {
  const results = new Map<string, readonly Ciphertext[]>();
  let transient: string[] = [];
  for (const step of stepsOf(plan)) {
    const outputs: Ciphertext[] = [];
    const isTransient = step.kind === 'forward' || step.kind === 'backward';
    const keep = (ciphertext: Ciphertext): void => void outputs.push(isTransient ? ciphertext : stack.use(ciphertext));
    const work = bind(step, (id) => valueOf(results, id, 'results'));
    if (work.kind === 'refresh') refresh(work).forEach(keep);
    else
      await runStep(evaluator, plan, work, {
        input: (name, shard, column) =>
          Promise.resolve(at(at(grids[name], shard, `shards of ${name}`), column, `${name} of shard ${shard}`)),
        result: (ciphertext) => Promise.resolve(ciphertext),
        write: async (ciphertext) => {
          keep(ciphertext);
          await nextTurn();
        },
      });
    results.set(step.id, outputs);
    if (isTransient) {
      transient.push(step.id);
    } else if (step.kind === 'step') {
      // Errors and gradients serve one iteration.
      for (const id of transient) {
        for (const ciphertext of valueOf(results, id, 'results')) ciphertext[Symbol.dispose]();
        results.delete(id);
      }
      transient = [];
    }
  }
  return results;
}
