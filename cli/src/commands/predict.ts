import type { Command } from 'commander';
import { modelFeatures, type Dataset } from '@blindfit/data';
import {
  classifierOf,
  predict as predictEncryptedScores,
  rawFeatures,
  readTicket,
  servablePlan,
} from '@blindfit/owner';
import { addServerFlags, withClient, type ServerFlags } from '../connect.ts';
import { UsageError } from '../errors.ts';
import {
  addBackboneFlags,
  addImageFlags,
  featuresFromFlags,
  hasImages,
  type ExtractionFlags,
} from '../features/flags.ts';
import { patienceOf, patienceOption, type PatienceFlags } from '../give-up-after.ts';
import { withInterrupt } from '../interrupt.ts';
import { addKeyFlags, keysOf, type KeyFlags } from '../keys.ts';
import { readSamples, type SampleShape, type TableOptions } from '../library/tables.ts';
import { predictionsCsv, predictionsJson, predictionsText } from '../predict/output.ts';
import { predict, predictionsOf, type Predictions } from '../predict/predictions.ts';
import { Progress } from '../progress.ts';
import { backboneOf, builtIn, readModel } from '../read-model.ts';
import { addTableFlags } from '../table-flags.ts';
import { shownBy } from '../train/display.ts';
import { checkOutput, writeOutput } from '../train/output.ts';

interface PredictFlags extends ExtractionFlags, TableOptions, ServerFlags, KeyFlags, PatienceFlags {
  readonly model?: string;
  readonly encrypted?: true;
  readonly job?: string;
  readonly name?: string;
  readonly features?: string;
  readonly out?: string;
  readonly json?: true;
  readonly quiet?: true;
}

export function register(program: Command): void {
  const command = program
    .command('predict')
    .summary('classify images or features with a trained model')
    .description(
      'Classifies samples with a model that "train" wrote, in the clear, on this machine. If the samples are ' +
        'labelled, it says how many it gets right.\n' +
        'With --encrypted the servers classify: samples leave this machine encrypted, the model stays where ' +
        '"train --servable" had it trained, encrypted, and only the scores are decrypted, here.',
    )
    .option('--model <file.json>', 'the trained model')
    .option(
      '--features <file>',
      'samples, one a row, with the columns of the training data, with or without their label; "-" for standard ' +
        'input; or a .bin file of "blindfit features"',
    );
  addBackboneFlags(addImageFlags(addTableFlags(command)))
    .option('--encrypted', 'predict on the servers, with the encrypted model of a job')
    .option('--job <job>', 'the job that trained it: one of "train --servable", which has succeeded')
    .option('--name <text>', 'shown in listings, and visible to the server')
    .addOption(patienceOption());
  addServerFlags(addKeyFlags(command, 'the keys it was submitted with'))
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
  blindfit predict --encrypted --job job-3k9x2m4c8v1z --features new.csv

Probabilities are the softmax of the scores over the model's temperature, which the training fitted at home on samples
that were held out in turn. For models without one they are the sigmoids of the scores, normalised to a sum of 1.`,
    )
    .action(async (flags: PredictFlags) => {
      checkFlags(flags);
      if (flags.out !== undefined) await checkOutput('--out', flags.out);
      const progress = new Progress({ mode: flags.quiet === true ? 'silent' : 'auto' });
      const predictions = await (
        flags.encrypted === true ? predictEncrypted(flags, progress) : predictClear(flags, progress)
      ).finally(() => progress.finish());
      if (flags.out !== undefined) await writeOutput('--out', flags.out, predictionsCsv(predictions));
      const written = flags.out === undefined ? '' : `\n\npredictions: ${flags.out}`;
      process.stdout.write(
        flags.json === true
          ? `${JSON.stringify(predictionsJson(predictions), undefined, 2)}\n`
          : `${predictionsText(predictions)}${written}\n`,
      );
    });
}

/** @throws UsageError for flags that say nothing together */
function checkFlags(flags: PredictFlags): void {
  if (flags.encrypted === true) {
    if (flags.model !== undefined)
      throw new UsageError(
        '--model is a model in the clear, --encrypted predicts with that of a job',
        'give one of them: --model FILE.json, or --encrypted --job JOB',
      );
    if (flags.job === undefined)
      throw new UsageError(
        '--encrypted needs the job that trained the model',
        'give --job JOB; "blindfit jobs" lists them',
      );
  } else {
    for (const name of ['job', 'keys', 'name', 'server', 'data', 'giveUpAfter'] as const) {
      if (flags[name] !== undefined)
        throw new UsageError(
          `--${name === 'giveUpAfter' ? 'give-up-after' : name} goes with --encrypted`,
          'a prediction in the clear needs no server and no keys: give --model FILE.json',
        );
    }
    if (flags.model === undefined)
      throw new UsageError('there is no model to classify with', 'give --model FILE.json, or --encrypted --job JOB');
  }
  if (flags.features !== undefined && hasImages(flags))
    throw new UsageError('--features excludes --images, --labels and --folder', 'name one set of samples');
  if (flags.features === undefined && !hasImages(flags))
    throw new UsageError(
      'there are no samples to classify',
      'give --features FILE, --images FILE.idx, or --folder DIR',
    );
}

async function predictClear(flags: PredictFlags, progress: Progress): Promise<Predictions> {
  const model = await readModel(flags.model ?? '');
  const { data, name } = await withInterrupt((signal) =>
    samplesOf(flags, { input: model.input, features: modelFeatures(model) }, backboneOf(model), progress, signal),
  );
  return predict(model, data, name);
}

async function predictEncrypted(flags: PredictFlags, progress: Progress): Promise<Predictions> {
  const keys = keysOf(flags);
  const ticket = await readTicket(keys, flags.job ?? '');
  return await withClient(
    flags,
    (client) =>
      withInterrupt(async (signal) => {
        const plan = await servablePlan(client, ticket);
        const { data, name } = await samplesOf(
          flags,
          { input: ticket.input, features: rawFeatures(ticket, plan) },
          builtIn(ticket.backbone),
          progress,
          signal,
        );
        const scores = await predictEncryptedScores(client, {
          ticket,
          plan,
          keys,
          data,
          name: flags.name,
          signal,
          ...shownBy(progress),
        });
        return predictionsOf(classifierOf(ticket), scores, data, name);
      }),
    patienceOf(flags, progress),
  );
}

interface NamedSamples {
  readonly data: Dataset;
  /** What to call sample `index`. */
  readonly name: ((index: number) => string) | undefined;
}

/**
 * @param shape how samples of the model are read
 * @param trainedWith the backbone of its training, unless a flag names another one
 */
async function samplesOf(
  flags: PredictFlags,
  shape: SampleShape,
  trainedWith: string | undefined,
  progress: Progress,
  signal: AbortSignal,
): Promise<NamedSamples> {
  if (flags.features !== undefined) {
    const data = await readSamples(flags.features, shape, flags, (note) => progress.log(note));
    return { data, name: undefined };
  }
  const choice = { ...flags, backbone: flags.backbone ?? trainedWith };
  const { data, indices, source } = await featuresFromFlags(choice, progress, signal);
  return { data, name: (index) => source.name(indices[index] ?? index) };
}
