import type { Command } from 'commander';
import { predictionsCsv, predictionsJson, predictionsText } from '../predict/output.ts';
import { predict } from '../predict/predictions.ts';
import { readSamples } from '../predict/read-samples.ts';
import { readModel } from '../read-model.ts';
import { checkOutput, writeOutput } from '../train/output.ts';

interface PredictFlags {
  readonly model: string;
  readonly features: string;
  readonly out?: string;
  readonly json?: true;
}

export function register(program: Command): void {
  program
    .command('predict')
    .summary('classify samples with a trained model')
    .description('Classifies samples with a model that "train" wrote, in the clear, on this machine. If the samples are labelled, it says how many it gets right.')
    .requiredOption('--model <file.json>', 'the trained model')
    .requiredOption('--features <file.csv>', 'samples: rows "label,f1,...,fd", or "f1,...,fd" without labels; header optional')
    .option('--out <file.csv>', 'write label and probabilities of every sample')
    .option('--json', 'print everything as JSON')
    .addHelpText(
      'after',
      `
Examples:
  blindfit predict --model model.json --features test.csv
  blindfit predict --model model.json --features new.csv --out predictions.csv

Probabilities are those of one sigmoid a class, as trained, normalised to a sum of 1.`,
    )
    .action(async (flags: PredictFlags) => {
      if (flags.out !== undefined) await checkOutput('--out', flags.out);
      const model = await readModel(flags.model);
      const predictions = predict(model, await readSamples(flags.features, model));
      if (flags.out !== undefined) await writeOutput('--out', flags.out, predictionsCsv(predictions));
      const written = flags.out === undefined ? '' : `\n\npredictions: ${flags.out}`;
      process.stdout.write(flags.json === true ? `${JSON.stringify(predictionsJson(predictions), undefined, 2)}\n` : `${predictionsText(predictions)}${written}\n`);
    });
}
