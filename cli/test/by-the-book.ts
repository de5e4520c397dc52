/**
 * The method of the paper in its own matrices, written from its text and sharing nothing with the program: degree 3,
 * quadratic gradient, enhanced Nesterov momentum; and mini-batches as docs/reference/encryption.md describes them.
 */

export interface Lesson {
  /** n x columns, row-major, the bias column included. */
  readonly x: ArrayLike<number>;
  /** By row: the index of its class. */
  readonly classOf: ArrayLike<number>;
  readonly classes: number;
  readonly iterations: number;
  /** @default 1 */
  readonly learningRate?: number;
  /** @default 0 */
  readonly initialWeight?: number;
  readonly batch?: { readonly size: number; readonly seed: number };
}

/** @returns weights: classes x columns */
export function trainByTheBook(lesson: Lesson): number[][] {
  const { classOf, classes, iterations, learningRate = 1, initialWeight = 0 } = lesson;
  const all = Array.from({ length: classOf.length }, (_, i) => i);
  const width = lesson.x.length / all.length;
  const columns = Array.from({ length: width }, (_, j) => j);
  const rowOf = (i: number): number[] => columns.map((j) => lesson.x[i * width + j]!);
  const batches = batchesOf(all, lesson);
  // The last batch of an epoch may be smaller; the step counts the size that was asked for.
  const n = Math.min(lesson.batch?.size ?? all.length, all.length);
  return Array.from({ length: classes }, (_, label) => {
    let W = columns.map(() => initialWeight);
    let V = W;
    let alpha0 = 0.01;
    for (let t = 1; t <= iterations; t++) {
      const batch = batches(t);
      const X = batch.map(rowOf);
      const residuals = batch.map((sample, i) => {
        const z = (X[i] ?? []).reduce((sum, value, j) => sum + value * V[j]!, 0);
        const y = classOf[sample] === label ? 1 : 0;
        return y - (0.5 + 0.10679534503216294 * z - 0.00038503259805075 * z ** 3);
      });
      const norms = X.map((x) => x.reduce((sum, value) => sum + Math.abs(value), 0));
      const M = W.map((w, j) => {
        const gradient = X.reduce((sum, x, i) => sum + residuals[i]! * x[j]!, 0);
        const curvature = 0.25 * X.reduce((sum, x, i) => sum + Math.abs(x[j]!) * norms[i]!, 0);
        return w + (learningRate * (1 + 1 / (n * t)) * gradient) / (1e-8 + curvature);
      });
      const alpha1 = (1 + Math.sqrt(1 + 4 * alpha0 ** 2)) / 2;
      const eta = (1 - alpha0) / alpha1;
      W = M.map((m, j) => (1 - eta) * m + eta * V[j]!);
      V = M;
      alpha0 = alpha1;
    }
    return W;
  });
}

/** The samples of an iteration: runs of the shuffled samples, each run once an epoch in a fresh order. */
function batchesOf(all: readonly number[], { batch }: Lesson): (iteration: number) => readonly number[] {
  if (batch === undefined || batch.size >= all.length) return () => all;
  const order = shuffle(all, batch.seed);
  const runs: number[][] = [];
  for (let from = 0; from < order.length; from += batch.size) runs.push(order.slice(from, from + batch.size));
  return (iteration) => {
    const epoch = Math.floor((iteration - 1) / runs.length);
    return shuffle(runs, batch.seed + 0x9e3779b9 * (epoch + 1))[(iteration - 1) % runs.length] ?? [];
  };
}

/** Fisher-Yates from the end, on the generator mulberry32. */
function shuffle<T>(items: readonly T[], seed: number): T[] {
  const left = [...items];
  const back: T[] = [];
  let a = seed | 0;
  while (left.length > 1) {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t ^= t + Math.imul(t ^ (t >>> 7), 61 | t);
    const chosen = Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * left.length);
    // The chosen one goes to the back, and the last one takes its place.
    const last = left.pop() as T;
    if (chosen === left.length) back.unshift(last);
    else {
      back.unshift(left[chosen] as T);
      left[chosen] = last;
    }
  }
  return [...left, ...back];
}
