import { at } from '@blindfit/base';
/**
 * The method of the paper, line by line in plain arrays. Shares no code with what it judges: batches, their order, the
 * quadratic gradient and the momentum are written again from their definitions.
 */

export interface BookJob {
  /** By sample: features, the bias included. */
  readonly rows: readonly (readonly number[])[];
  /** By sample: its class. */
  readonly labels: readonly number[];
  readonly classes: number;
  readonly iterations: number;
  readonly learningRate: number;
  readonly start: number;
  /** s(z), by its coefficients of z, z^3, ... around one half. */
  readonly odd: readonly number[];
  readonly batch?: { readonly size: number; readonly seed: number } | undefined;
  /** @default 0 */
  readonly decay?: number | undefined;
  /** By sample: how much it counts. @default 1 each */
  readonly rowWeights?: readonly number[] | undefined;
}

/** W_T: classes x features. */
export function trainByTheBook(job: BookJob): number[][] {
  const { rows, labels, classes, iterations, learningRate, start, odd, batch, decay = 0, rowWeights } = job;
  const size = Math.min(batch?.size ?? rows.length, rows.length);
  const features = at(rows, 0, 'rows').length;
  const count = Math.ceil(rows.length / size);
  let w = Array.from({ length: classes }, () => new Array<number>(features).fill(start));
  let v = w.map((row) => [...row]);
  let a = 0.01;
  for (let t = 1; t <= iterations; t++) {
    const epoch = Math.floor((t - 1) / count);
    const number =
      batch === undefined || count === 1 ? 0 : shuffled(count, batch.seed + 0x9e3779b9 * (epoch + 1))[(t - 1) % count];
    if (number === undefined) throw new Error('no batch');
    const members = rows
      .map((row, i) => ({ row, label: labels[i], counts: rowWeights === undefined ? 1 : at(rowWeights, i, 'rows') }))
      .filter((_, i) => Math.floor(i / size) === number);
    const nextA = (1 + Math.sqrt(1 + 4 * a * a)) / 2;
    const eta = (1 - a) / nextA;
    a = nextA;
    const m = w.map((weights, k) =>
      weights.map((weight, j) => {
        let slope = 0;
        let curvature = 0;
        for (const { row, label, counts } of members) {
          const score = row.reduce((sum, x, l) => sum + x * at(at(v, k, 'classes'), l, 'weights'), 0);
          const s = odd.reduce((sum, coefficient, power) => sum + coefficient * score ** (2 * power + 1), 0.5);
          slope += counts * ((label === k ? 1 : 0) - s) * at(row, j, 'features');
          curvature += counts * Math.abs(at(row, j, 'features')) * row.reduce((sum, x) => sum + Math.abs(x), 0);
        }
        return weight - decay * weight + (learningRate * (1 + 1 / (size * t)) * slope) / (1e-8 + curvature / 4);
      }),
    );
    w = m.map((row, k) => row.map((value, j) => (1 - eta) * value + eta * at(at(v, k, 'classes'), j, 'weights')));
    v = m;
  }
  return w;
}

/** Fisher and Yates, from the last place down, on the generator mulberry32. */
function shuffled(count: number, seed: number): number[] {
  let state = seed | 0;
  const list = [...new Array<number>(count).keys()];
  for (let last = count - 1; last > 0; last--) {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    const other = Math.floor((((bits ^ (bits >>> 14)) >>> 0) / 4294967296) * (last + 1));
    const [a, b] = [list[last], list[other]];
    if (a === undefined || b === undefined) throw new Error('no such place');
    [list[last], list[other]] = [b, a];
  }
  return list;
}
