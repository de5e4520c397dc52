/** A smooth convex function that is evaluated along lines. */
export interface LineProblem {
  /** Number of variables. */
  readonly size: number;
  /** Fixes the direction of the next trials. */
  aim(direction: Float64Array): void;
  /** The function at `point + step * direction`, and its derivative by `step`. */
  tryStep(step: number, point: Float64Array, direction: Float64Array): { value: number; slope: number };
  /** Moves to the point of the last trial. */
  take(step: number): void;
  /** The gradient at the point of the last trial. */
  gradient(point: Float64Array, into: Float64Array): void;
}

export interface MinimiseOptions {
  /** Largest entry of the gradient at which the search ends. */
  readonly tolerance: number;
  readonly maxIterations: number;
}

/** Pairs of steps and changes of the gradient that stand for the Hessian. */
const MEMORY = 10;
const MAX_TRIALS = 30;
/** Constants of the Wolfe conditions: enough decrease, and enough flattening. */
const [DECREASE, FLATTENING] = [1e-4, 0.9];

interface Pair {
  readonly step: Float64Array;
  readonly change: Float64Array;
  readonly product: number;
}

/**
 * Minimises a convex function from 0 by limited-memory BFGS (Nocedal and Wright, Numerical Optimization, algorithm
 * 7.5).
 * @returns the last point, also when the iterations run out
 */
export function minimise(problem: LineProblem, { tolerance, maxIterations }: MinimiseOptions): Float64Array {
  const point = new Float64Array(problem.size);
  let gradient = new Float64Array(problem.size);
  const pairs: Pair[] = [];
  problem.aim(point);
  let { value } = problem.tryStep(0, point, point);
  problem.gradient(point, gradient);
  for (let iteration = 0; iteration < maxIterations && largest(gradient) > tolerance; iteration++) {
    const direction = descent(gradient, pairs);
    const start = pairs.length === 0 ? 1 / Math.sqrt(dot(gradient, gradient)) : 1;
    problem.aim(direction);
    const found = searchLine(problem, point, direction, { value, slope: dot(gradient, direction), start });
    // Rounding allows no further decrease.
    if (found === undefined) break;
    problem.take(found.step);
    const step = direction.map((part) => found.step * part);
    for (let j = 0; j < point.length; j++) point[j] = point[j]! + step[j]!;
    const next = new Float64Array(problem.size);
    problem.gradient(point, next);
    const change = next.map((part, j) => part - gradient[j]!);
    const product = dot(step, change);
    if (product > 0) pairs.push({ step, change, product });
    if (pairs.length > MEMORY) pairs.shift();
    gradient = next;
    value = found.value;
  }
  return point;
}

/** The two-loop recursion: minus the approximate inverse Hessian times the gradient. */
function descent(gradient: Float64Array, pairs: readonly Pair[]): Float64Array {
  const direction = gradient.map((part) => -part);
  const factors = pairs.map(() => 0);
  for (let p = pairs.length - 1; p >= 0; p--) {
    const { step, change, product } = pairs[p]!;
    const factor = dot(step, direction) / product;
    factors[p] = factor;
    add(direction, -factor, change);
  }
  const last = pairs.at(-1);
  if (last !== undefined) {
    const scale = last.product / dot(last.change, last.change);
    for (let j = 0; j < direction.length; j++) direction[j] = direction[j]! * scale;
  }
  pairs.forEach(({ step, change, product }, p) => add(direction, factors[p]! - dot(change, direction) / product, step));
  return direction;
}

interface Start {
  readonly value: number;
  readonly slope: number;
  readonly start: number;
}

/** Finds a step that meets the weak Wolfe conditions, by doubling and bisection. */
function searchLine(
  problem: LineProblem,
  point: Float64Array,
  direction: Float64Array,
  { value, slope, start }: Start,
): { readonly step: number; readonly value: number } | undefined {
  let [low, high, step] = [0, Infinity, start];
  for (let trial = 0; trial < MAX_TRIALS; trial++) {
    const found = problem.tryStep(step, point, direction);
    if (!(found.value <= value + DECREASE * step * slope)) high = step;
    else if (found.slope < FLATTENING * slope) low = step;
    else return { step, value: found.value };
    step = high === Infinity ? 2 * low : (low + high) / 2;
  }
  return undefined;
}

function largest(values: Float64Array): number {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let j = 0; j < a.length; j++) sum += a[j]! * b[j]!;
  return sum;
}

function add(to: Float64Array, factor: number, values: Float64Array): void {
  for (let j = 0; j < to.length; j++) to[j] = to[j]! + factor * values[j]!;
}
