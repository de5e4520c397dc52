/** Data sets that are drawn from a seed: the same on every machine. */
import { at } from '@blindfit/base';
import { createDataset, randomFrom, type LabelledDataset } from '@blindfit/data';

export class Draw {
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = randomFrom(seed);
  }

  uniform(): number {
    return this.#random();
  }

  whole(below: number): number {
    return Math.floor(this.#random() * below);
  }

  normal(): number {
    return Math.sqrt(-2 * Math.log(this.#random())) * Math.cos(2 * Math.PI * this.#random());
  }

  normals(count: number): Float64Array {
    return Float64Array.from({ length: count }, () => this.normal());
  }
}

/** Rows from a function that draws one. */
export function drawn(
  n: number,
  draw: (row: number) => readonly [ArrayLike<number>, string | number],
): LabelledDataset {
  const rows = Array.from({ length: n }, (_, row) => draw(row));
  const d = at(rows, 0, 'rows')[0].length;
  const values = new Float64Array(n * d);
  rows.forEach(([row], i) => values.set(Array.from(row), i * d));
  return createDataset(
    values,
    d,
    rows.map(([, label]) => String(label)),
  );
}

/** Gaussian clouds, one or more a class. @param shares parts of the classes */
export function clouds(
  seed: number,
  {
    n,
    d,
    shares,
    clusters = 1,
    spread,
    informative = d,
    noise = 0,
  }: {
    readonly n: number;
    readonly d: number;
    readonly shares: readonly number[];
    readonly clusters?: number;
    readonly spread: number;
    readonly informative?: number;
    readonly noise?: number;
  },
): LabelledDataset {
  const draw = new Draw(seed);
  const centres = shares.map(() =>
    Array.from({ length: clusters }, () => draw.normals(informative).map((value) => value * spread)),
  );
  const mix = centres.map((of) => of.map(() => Array.from({ length: informative }, () => draw.normals(informative))));
  return drawn(n, () => {
    const part = draw.uniform();
    let [label, sum] = [0, shares[0]!];
    while (part > sum && label < shares.length - 1) sum += shares[++label]!;
    const cluster = draw.whole(clusters);
    const centre = centres[label]![cluster]!;
    const matrix = mix[label]![cluster]!;
    const base = draw.normals(informative);
    const row = draw.normals(d);
    for (let j = 0; j < informative; j++) {
      let value = centre[j]!;
      for (let a = 0; a < informative; a++) value += (matrix[j]![a]! * base[a]!) / Math.sqrt(informative);
      row[j] = value;
    }
    return [row, draw.uniform() < noise ? draw.whole(shares.length) : label];
  });
}

/** By name; nothing of them is fitted to what the project does. */
export const DRAWN: Readonly<Record<string, () => LabelledDataset>> = {
  '100 clouds': () => clouds(1, { n: 3000, d: 30, shares: equal(100), spread: 1 }),
  '95 : 5': () =>
    clouds(2, { n: 4000, d: 20, shares: [0.95, 0.05], clusters: 2, spread: 0.5, informative: 6, noise: 0.01 }),
  '90 : 8 : 2': () =>
    clouds(3, { n: 4000, d: 20, shares: [0.9, 0.08, 0.02], spread: 0.9, informative: 8, noise: 0.01 }),
  intervals: () => {
    const draw = new Draw(4);
    return drawn(600, () => {
      const x = draw.uniform() * 10;
      return [[x], x < 3 ? 'low' : x < 6.5 ? 'middle' : 'high'];
    });
  },
  '3000 features': () => {
    const draw = new Draw(5);
    const centres = Array.from({ length: 4 }, () => draw.normals(3000));
    return drawn(600, () => {
      const label = draw.whole(4);
      return [draw.normals(3000).map((value, j) => value + 0.08 * centres[label]![j]!), label];
    });
  },
  '50,000 rows': () => clouds(6, { n: 50_000, d: 20, shares: equal(7), clusters: 2, spread: 0.7, informative: 10 }),
  skewed: () => {
    const draw = new Draw(7);
    const centres = Array.from({ length: 3 }, () => draw.normals(12));
    return drawn(1500, () => {
      const label = draw.whole(3);
      return [draw.normals(12).map((value, j) => Math.exp(1.5 * (value + 0.25 * centres[label]![j]!))), label];
    });
  },
  'ten samples': () => {
    const draw = new Draw(8);
    return drawn(1010, () => {
      const label = draw.whole(2);
      return [draw.normals(4).map((value) => value + 2 * label), label];
    });
  },
  units: () => {
    const draw = new Draw(9);
    const centres = Array.from({ length: 3 }, () => draw.normals(13));
    const units = draw.normals(13).map((value) => Math.exp(3 * value));
    return drawn(600, () => {
      const label = draw.whole(3);
      return [draw.normals(13).map((value, j) => units[j]! * (value + 0.8 * centres[label]![j]! + 3)), label];
    });
  },
  'wide and few': () => clouds(11, { n: 120, d: 5000, shares: [0.5, 0.5], spread: 0.15 }),
};

function equal(classes: number): number[] {
  return new Array<number>(classes).fill(1 / classes);
}
