import type { Model } from '@blindfit/datasets';
import type { Command } from 'commander';
import { UsageError } from '../errors.ts';
import { addBackboneFlags, addImageFlags, featuresFromFlags, hasImages, type ExtractionFlags } from '../features/flags.ts';
import { withInterrupt } from '../interrupt.ts';
import { predictionsCsv, predictionsJson, predictionsText } from '../predict/output.ts';
import { Progress } from '../progress.ts';
import { predict, type Predictions } from '../predict/predictions.ts';
import { readSamples } from '../predict/read-samples.ts';
import { backboneOf, readModel } from '../read-model.ts';
import { checkOutput, writeOutput } from '../train/output.ts';

interface PredictFlags extends ExtractionFlags {
  readonly model: string;
  readonly features?: string;
  readonly out?: string;
  readonly json?: true;
  readonly quiet?: true;
}

export function register(program: Command): void {
  const command = program
    .command('predict')
    .summary('classify images or features with a trained model')
    .description('Classifies samples with a model that "train" wrote, in the clear, on this machine. If the samples are labelled, it says how many it gets right.')
    .requiredOption('--model <file.json>', 'the trained model')
    .option('--features <file.csv>', 'samples as features: rows "label,f1,...,fd", or "f1,...,fd" without labels; header optional');
  addBackboneFlags(addImageFlags(command))
    .option('--out <file.csv>', 'write label and probabilities of every sample')
    .option('--json', 'print everything as JSON')
    .option('--quiet', 'no progress')
    .addHelpText(
      'after',
      `
Examples:
  blindfit predict --model model.json --features test.csv
  blindfit predict --model model.json --features new.csv --out predictions.csv
  blindfit predict --model model.json --images t10k-images.gz --labels t10k-labels.gz

Probabilities are those of one sigmoid a class, as trained, normalised to a sum of 1.`,
    )
    .action(async (flags: PredictFlags) => {
      if (flags.out !== undefined) await checkOutput('--out', flags.out);
      const model = await readModel(flags.model);
      const predictions = flags.features === undefined ? await predictImages(model, flags) : await predictFeatures(model, flags.features, flags);
      if (flags.out !== undefined) await writeOutput('--out', flags.out, predictionsCsv(predictions));
      const written = flags.out === undefined ? '' : `\n\npredictions: ${flags.out}`;
      process.stdout.write(flags.json === true ? `${JSON.stringify(predictionsJson(predictions), undefined, 2)}\n` : `${predictionsText(predictions)}${written}\n`);
    });
}

async function predictFeatures(model: Model, path: string, flags: PredictFlags): Promise<Predictions> {
  if (hasImages(flags)) throw new UsageError('--features excludes --images, --labels and --folder', 'name one set of samples');
  return predict(model, await readSamples(path, model));
}

async function predictImages(model: Model, flags: PredictFlags): Promise<Predictions> {
  if (!hasImages(flags)) throw new UsageError('there are no samples to classify', 'give --features FILE.csv, --images FILE.idx, or --folder DIR');
  const trainedWith = backboneOf(model);
  const progress = new Progress({ mode: flags.quiet === true ? 'silent' : 'auto' });
  const choice = { ...(trainedWith === undefined ? {} : { backbone: trainedWith }), ...flags };
  const { data, indices, source } = await withInterrupt((signal) => featuresFromFlags(choice, progress, signal)).finally(() => progress.finish());
  return predict(model, data, (index) => source.name(indices[index] ?? index));
}
