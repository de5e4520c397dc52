/**
 * How good the models of `train` without flags are, beside plain softmax regression on the same samples: encrypted
 * training on data sets of many kinds, scored on the 30 % that are held out. `BENCH_SETS` names some of them.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { train } from 'blindfit';
import { samplesAt, spellingOf, type LabelledDataset } from '@blindfit/data';
import { permutation } from '@blindfit/training';
import { DRAWN } from './accuracy/drawn.ts';
import { cars, digits, installPublic, iris, penguins, weather } from './accuracy/public.ts';
import { note, print } from './measure.ts';

const PUBLIC = { iris, penguins, cars, weather, digits } as const;
const HELD_OUT = 0.3;

export async function run(): Promise<void> {
  const wanted = process.env['BENCH_SETS']?.split(',');
  const directory = await installPublic();
  const sets: Readonly<Record<string, () => Promise<LabelledDataset> | LabelledDataset>> = {
    ...Object.fromEntries(Object.entries(PUBLIC).map(([name, load]) => [name, () => load(directory)])),
    ...DRAWN,
  };
  const keys = await mkdtemp(join(tmpdir(), 'blindfit-accuracy-'));
  const rows: string[][] = [
    ['data set', 'n x d x c', 'accuracy', 'plain', 'macro F1', 'plain', 'log-loss', 'plain', 'parted', 's', 'settings'],
  ];
  const gaps: number[] = [];
  try {
    for (const [name, load] of Object.entries(sets)) {
      if (wanted !== undefined && !wanted.includes(name)) continue;
      const { training, validation } = split(await load(), name);
      const started = performance.now();
      const model = await train({ features: training, validation, keys, name });
      const seconds = (performance.now() - started) / 1000;
      const { encrypted, plain, parted } = model.comparison;
      const { iterations } = model.hyperparameters;
      const how = model.tuned === undefined ? '' : spellingOf(model.tuned.settings.preprocess);
      gaps.push(encrypted.accuracy - plain.accuracy);
      rows.push([
        name,
        `${training.n} x ${training.d} x ${model.classes.length}`,
        ...[encrypted.accuracy, plain.accuracy, encrypted.macroF1, plain.macroF1].map((part) =>
          (100 * part).toFixed(2),
        ),
        encrypted.logLoss.toFixed(3),
        plain.logLoss.toFixed(3),
        String(parted),
        seconds.toFixed(0),
        `${how}, ${iterations} iterations`,
      ]);
      process.stderr.write(`${rows.at(-1)?.join('  ')}\n`);
    }
  } finally {
    await rm(keys, { recursive: true, force: true });
  }
  print('Accuracy of training without flags, in % of held-out samples', rows);
  note([
    'plain: softmax regression on standardised features, trained at home on the same samples',
    `mean difference of accuracy: ${((100 * gaps.reduce((sum, gap) => sum + gap, 0)) / gaps.length).toFixed(2)} points`,
    `worst: ${(100 * Math.min(...gaps)).toFixed(2)} points; s: seconds of everything, the search for settings included`,
  ]);
}

/** Ten samples to train on where that is what a set is about. */
function split(data: LabelledDataset, name: string): { training: LabelledDataset; validation: LabelledDataset } {
  const order = permutation(data.n, 42);
  const cut = name === 'ten samples' ? 10 : Math.round((1 - HELD_OUT) * data.n);
  return { training: samplesAt(data, order.slice(0, cut)), validation: samplesAt(data, order.slice(cut)) };
}
