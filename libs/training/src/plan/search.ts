/** From the shape of a job to its plan: the cheapest ring, modulus chain, block shape and refresh interval. */
import { maxLogQP, Parameters, type Ring, type SecurityLevel } from '@blindfit/he';
import { layoutOf, type BlockShape } from '../layout/shape.ts';
import { batchSize, type Hyperparameters } from '../method.ts';
import { PlanError } from '../plan-error.ts';
import type { Schedule } from '../schedule.ts';
import { chainSize, expectedSeconds, groupingFor } from './cost.ts';
import { checkShape, derivePlan, levelsNeeded, WEIGHT_BITS, WEIGHT_SCALE_BITS } from './derive.ts';
import { expectedError } from './noise.ts';
import { MAX_BLOCKS, type JobShape, type Plan } from './plan.ts';

const MAX_SCALE_BITS = 45;
/** Below this the noise of one rotation (some 2^13) is above 1e-5. */
const MIN_SCALE_BITS = 30;
const MAX_PRIME_BITS = 60;
/** The native evaluator's fastest kernels multiply 52-bit halves, which leaves room for primes of so many bits. */
const FAST_PRIME_BITS = 50;
/** WebAssembly gives a thread 4 GB. */
const MAX_THREAD_BYTES = 3.5e9;
/** Small rings of unit tests have no security to keep. */
const UNLIMITED_BITS = 60 * 30;

export interface PlanRequest {
  readonly shape: JobShape;
  readonly hyperparameters: Hyperparameters;
  /** Threads the plan cuts tasks for. @default 2 */
  readonly vcpus?: number | undefined;
  /**
   * Wanted largest absolute error of a weight.
   * @default 1e-5 for up to two iterations, and in proportion for more: errors add up
   */
  readonly precision?: number | undefined;
  readonly security?: SecurityLevel | undefined;
  /** Only this ring. */
  readonly ring?: Ring | undefined;
  /** Iterations from one refresh by the owner to the next. @default the cheapest number */
  readonly refreshEvery?: number | undefined;
  /** 1: the model comes back at a level at which the servers can predict with it. @default 0 */
  readonly modelLevel?: 0 | 1 | undefined;
}

/**
 * The cheapest plan over rings, block shapes, turns and refresh intervals. One without refreshes, which needs nobody's
 * presence, is preferred unless another one costs less than a third.
 * @throws PlanError when no supported parameter set carries the job
 */
export function choosePlan(request: PlanRequest): Plan {
  const { shape, hyperparameters, refreshEvery } = request;
  checkShape(shape, hyperparameters);
  if (refreshEvery !== undefined && !(Number.isInteger(refreshEvery) && refreshEvery >= 1))
    throw new PlanError(`refresh every ${refreshEvery} iterations`, 'whole numbers from 1 are allowed');
  const { iterations } = hyperparameters;
  const intervals =
    refreshEvery === undefined
      ? [...Array.from({ length: Math.min(iterations, MAX_INTERVAL + 1) - 1 }, (_, i) => i + 1), iterations]
      : [Math.min(refreshEvery, iterations)];
  let best: Candidate | undefined;
  for (const interval of intervals) {
    const found = search(request, interval);
    best = cheaper(best, found && { ...found, seconds: found.seconds * (interval === iterations ? 1 / 3 : 1) });
  }
  if (best !== undefined) return best.plan;
  const what = `${shape.samples} x ${shape.features} x ${shape.classes}`;
  // In the largest ring, however well the slots are filled.
  if (shape.samples * shape.features > MAX_BLOCKS * 16384)
    throw new PlanError(
      `${what} is too much for one job`,
      `samples x features of at most ${MAX_BLOCKS * 16384} fit its ${MAX_BLOCKS} blocks`,
    );
  if (refreshEvery !== undefined) {
    for (let fewer = Math.min(refreshEvery, iterations) - 1; fewer >= 1; fewer--) {
      if (search(request, fewer) !== undefined) {
        throw new PlanError(
          `${Math.min(refreshEvery, iterations)} iterations without a refresh do not fit any 128-bit secure modulus`,
          `at most ${fewer} for ${what} with this start, sigmoid degree and precision`,
        );
      }
    }
  }
  throw new PlanError(
    `no 128-bit secure parameter set carries ${what}`,
    'ask for fewer samples or features, a lower precision or a lower sigmoid degree',
  );
}

/** No chain of primes is long enough for more. */
const MAX_INTERVAL = 8;

interface Candidate {
  readonly plan: Plan;
  /** Expected; finding out takes a dry run. */
  readonly seconds: number;
}

/** The first one, unless the second one is better. */
function cheaper(best: Candidate | undefined, other: Candidate | undefined): Candidate | undefined {
  return other !== undefined && (best === undefined || other.seconds < best.seconds) ? other : best;
}

function search(request: PlanRequest, refreshEvery: number): Candidate | undefined {
  const { hyperparameters, security = '128', modelLevel = 0 } = request;
  const schedule: Schedule = { refreshEvery, modelLevel };
  let best: Candidate | undefined;
  for (const ring of request.ring === undefined ? ([8192, 16384, 32768] as const) : [request.ring]) {
    // Longer primes are for where precision asks for them.
    for (const maxPrimeBits of [FAST_PRIME_BITS, MAX_PRIME_BITS]) {
      const modulus = modulusFor(
        levelsNeeded(hyperparameters, schedule),
        security === '128' ? maxLogQP(ring) : UNLIMITED_BITS,
        maxPrimeBits,
      );
      const found =
        modulus === undefined ? undefined : bestShape(Parameters.of({ ring, ...modulus }, security), request, schedule);
      if (found === undefined) continue;
      best = cheaper(best, found);
      break;
    }
  }
  return best;
}

function bestShape(parameters: Parameters, request: PlanRequest, schedule: Schedule): Candidate | undefined {
  const { shape, hyperparameters, vcpus = 2 } = request;
  const batch = batchSize(hyperparameters, shape.samples);
  let best: Candidate | undefined;
  for (let columns = 2; columns <= parameters.slots; columns *= 2) {
    const rows = parameters.slots / columns;
    for (let turns = 1; 2 * turns <= columns; turns *= 2) {
      // Shapes that leave most slots empty cost bytes and memory, whatever they save in rotations.
      const cells = Math.ceil(batch / (rows * turns)) * turns * Math.ceil(shape.features / columns);
      if (cells > 4 + (2 * batch * shape.features) / parameters.slots) continue;
      const plan = tryShape(parameters, { rows, columns, turns }, request, schedule);
      if (plan === undefined || plan.threadMemoryBytes > MAX_THREAD_BYTES) continue;
      best = cheaper(best, { plan, seconds: expectedSeconds(plan, vcpus) });
      // More samples than there are.
      if (rows * turns >= batch) break;
    }
  }
  return best;
}

/** The largest absolute error of a weight that a plan may have. */
export function precisionOf({
  hyperparameters,
  precision,
}: Pick<PlanRequest, 'hyperparameters' | 'precision'>): number {
  return precision ?? 1e-5 * Math.max(1, hyperparameters.iterations / 2);
}

function tryShape(
  parameters: Parameters,
  block: BlockShape,
  request: PlanRequest,
  schedule: Schedule,
): Plan | undefined {
  const { shape, hyperparameters, vcpus = 2 } = request;
  const precision = precisionOf(request);
  try {
    const layout = layoutOf(
      block,
      shape.samples,
      shape.features,
      shape.classes,
      batchSize(hyperparameters, shape.samples),
    );
    if (expectedError({ parameters, layout, hyperparameters }) > precision) return undefined;
    const pairsPerChain = chainSize(layout, schedule.refreshEvery < hyperparameters.iterations);
    const whole = derivePlan(
      parameters,
      block,
      shape,
      hyperparameters,
      { blocksPerTask: layout.blocks, shardsPerTask: layout.shardsPerBatch, pairsPerChain },
      schedule,
    );
    return derivePlan(
      parameters,
      block,
      shape,
      hyperparameters,
      { ...groupingFor(whole, vcpus), pairsPerChain },
      schedule,
    );
  } catch (error) {
    if (error instanceof PlanError) return undefined;
    throw error;
  }
}

/**
 * The widest chain that fits: every level at the same bits, as many as allowed; the last prime with room for weights;
 * the special prime as large as may be, because key-switching noise shrinks with it.
 * @param maxPrimeBits of any prime
 */
function modulusFor(
  levels: number,
  budget: number,
  maxPrimeBits: number,
): { scaleBits: number; dataBits: number[]; specialBits: number } | undefined {
  const headroom = WEIGHT_SCALE_BITS + WEIGHT_BITS + 1;
  for (let scaleBits = Math.min(MAX_SCALE_BITS, maxPrimeBits - headroom); scaleBits >= MIN_SCALE_BITS; scaleBits--) {
    const q0 = scaleBits + headroom;
    const left = budget - q0 - levels * scaleBits;
    const specialBits = Math.min(maxPrimeBits, left);
    if (specialBits >= q0)
      return { scaleBits, dataBits: [q0, ...new Array<number>(levels).fill(scaleBits)], specialBits };
  }
  return undefined;
}
