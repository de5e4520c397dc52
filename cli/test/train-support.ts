/** Data, places and checks that the tests of `blindfit train` share. */
import assert from 'node:assert/strict';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { at } from '@blindfit/base';
import { parseModel, predictLabels, type LabelledDataset } from '@blindfit/data';
import { processesOf, temporaryDirectory, until } from '@blindfit/testkit';
import { trainByTheBook } from './by-the-book.ts';
import { cleanEnv, startCli, type Cli } from './support.ts';

/** A training with small keys that lasts longer than the time to interrupt it. */
const LONG = ['--budget', 'none', '--iterations', '500', '--refresh-every', '1', '--sigmoid-degree', '1'];

/** Starts a training that lasts. @returns when it trains */
export async function startLongTraining(t: TestContext, home: Home, flags: readonly string[]): Promise<Cli> {
  const data = ['--features', await home.file('features.csv', csv(20, 5, 2)), '--preprocess', 'standardize'];
  const out = ['--out', join(home.path, 'out', 'model.json')];
  const running = startCli(t, ['train', ...data, ...LONG, ...flags, ...out], home.env);
  const { child, output } = running;
  await until(() => /^training /m.test(output.stderr) || child.exitCode !== null, 'the training runs', {
    seconds: 120,
  });
  assert.equal(child.exitCode, null, output.stderr);
  return running;
}

/** Rows `label,f1,...,fd` of classes that differ, the same every time. */
export function csv(samples: number, features: number, classes: number, seed = 1): string {
  let state = seed;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
  const rows = Array.from({ length: samples }, (_, i) => {
    const label = i % classes;
    return [
      label,
      ...Array.from({ length: features }, (_unused, j) =>
        (3 * random() + (j % classes === label ? 2.5 : 0) + j).toFixed(6),
      ),
    ].join(',');
  });
  return `${rows.join('\n')}\n`;
}

/** Where one run puts its things. Everything temporary goes to `tmp`, so that leftovers show. */
export interface Home {
  readonly path: string;
  readonly env: NodeJS.ProcessEnv;
  file(name: string, content?: string): Promise<string>;
  /** Asserts that a run that failed left nothing: no files of its own, no temporary ones, no processes. */
  assertUntouched(names?: readonly string[]): Promise<void>;
}

export async function makeHome(t: TestContext, env: NodeJS.ProcessEnv = {}): Promise<Home> {
  const path = await temporaryDirectory(t);
  await Promise.all(['tmp', 'in', 'out', 'home'].map((name) => mkdir(join(path, name))));
  return {
    path,
    env: cleanEnv({ TMPDIR: join(path, 'tmp'), XDG_DATA_HOME: join(path, 'home'), ...env }),
    async file(name, content) {
      const file = join(path, 'in', name);
      if (content !== undefined) await writeFile(file, content);
      return file;
    },
    async assertUntouched(names = []) {
      for (const name of ['tmp', 'out', 'home'])
        assert.deepEqual(await readdir(join(path, name)), name === 'out' ? names : [], name);
      assert.deepEqual(await processesOf(path), []);
    },
  };
}

export interface ModelFile {
  readonly format: string;
  readonly classes: readonly unknown[];
  readonly weights: readonly (readonly number[])[];
  readonly preprocessing: {
    readonly kind: string;
    readonly mean?: readonly number[];
    readonly scale?: readonly number[];
  };
  readonly training: Readonly<Record<string, unknown>>;
}

export interface Report {
  readonly job: string;
  readonly seconds: Readonly<Record<string, unknown>>;
  readonly bytes: Readonly<Record<string, unknown>>;
  readonly operations: {
    readonly rotations: number;
    readonly relinearisations: number;
    readonly multiplications: number;
    readonly rescales: number;
  };
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly maxWeightError: number;
  readonly accuracy: Readonly<Record<'encrypted' | 'clear', { readonly train: number; readonly validation?: number }>>;
}

/** The names are what other programs rely on. */
export function assertReport(report: Report, validated: boolean): void {
  const allNumbers = (object: Readonly<Record<string, unknown>>, names: readonly string[]): void => {
    for (const name of names)
      assert.ok(typeof object[name] === 'number' && object[name] >= 0, `${name} is ${String(object[name])}`);
  };
  allNumbers(report.seconds, ['keygen', 'encrypt', 'upload', 'loadKeys', 'train', 'download']);
  allNumbers(report.bytes, ['data', 'keys', 'model']);
  allNumbers({ ...report.operations }, ['rotations', 'relinearisations', 'multiplications', 'rescales']);
  allNumbers(report.parameters, ['ring', 'log2QP', 'levels', 'scaleBits']);
  assert.ok(report.maxWeightError > 0 && report.maxWeightError < 1e-5, String(report.maxWeightError));
  for (const kind of ['encrypted', 'clear'] as const)
    allNumbers({ ...report.accuracy[kind] }, validated ? ['train', 'validation'] : ['train']);
}

export function pick(object: Readonly<Record<string, unknown>>, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(names.map((name) => [name, object[name]]));
}

export function accuracyOf(model: string, data: LabelledDataset): number {
  const predicted = predictLabels(parseModel(model), data);
  return predicted.filter((label, i) => label === data.labels[i]).length / data.n;
}

export function standardisation({ features, n, d }: LabelledDataset): { mean: number[]; scale: number[] } {
  const column = (j: number): number[] => Array.from({ length: n }, (_, i) => at(features, i * d + j, 'features'));
  const mean = Array.from({ length: d }, (_, j) => column(j).reduce((sum, value) => sum + value, 0) / n);
  const scale = mean.map(
    (centre, j) => 1 / Math.sqrt(column(j).reduce((sum, value) => sum + (value - centre) ** 2, 0) / n),
  );
  return { mean, scale };
}

export function standardised(
  { features, d }: LabelledDataset,
  { mean, scale }: { mean: number[]; scale: number[] },
): Float64Array {
  return features.map((value, i) => (value - at(mean, i % d, 'means')) * at(scale, i % d, 'scales'));
}

/** The weights by the book, from data that were prepared by hand. */
export function expectedWeights(
  features: Float64Array,
  { n, d, labels }: LabelledDataset,
  classes: readonly string[],
  choices: { iterations: number; learningRate: number; initialWeight: number },
): number[][] {
  return trainByTheBook({
    x: Array.from({ length: n }, (_, i) => [1, ...features.subarray(i * d, (i + 1) * d)]).flat(),
    classOf: labels.map((label) => classes.indexOf(label)),
    classes: classes.length,
    ...choices,
  });
}

/** Largest absolute difference; NaN counts as infinite. */
export function largestError(actual: readonly (readonly number[])[], expected: readonly (readonly number[])[]): number {
  return Math.max(
    actual.length === expected.length ? 0 : Infinity,
    ...expected.flatMap((row, k) =>
      row.map((value, j) => {
        const difference = Math.abs(at(at(actual, k, 'classes'), j, 'weights') - value);
        return Number.isNaN(difference) ? Infinity : difference;
      }),
    ),
  );
}
