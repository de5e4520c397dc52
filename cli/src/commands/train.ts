import { basename } from 'node:path';
import { type Command, Option } from 'commander';
import type { BlindfitClient } from '@blindfit/client';
import { serialiseModel, type PreprocessingChoice } from '@blindfit/data';
import { cancelJob, hyperparametersOf, isParted, type KeyStore, type TrainingChoices } from '@blindfit/owner';
import { PRIORITIES, type JobView, type Priority } from '@blindfit/protocol';
import type { Budget, Metric } from '@blindfit/tuning';
import { clientSettings } from '../connect.ts';
import { PartedError, UsageError } from '../errors.ts';
import { addBackboneFlags, addImageFlags, DEFAULT_BACKBONE, hasImages } from '../features/flags.ts';
import { patienceOf, patienceOption, withComeback, type PatienceFlags } from '../give-up-after.ts';
import { withInterrupt } from '../interrupt.ts';
import { addKeyFlags, keysOf, type KeyFlags } from '../keys.ts';
import { connect } from '../library/connect.ts';
import { train } from '../library/train.ts';
import { Progress } from '../progress.ts';
import { addColumnFlags } from '../table-flags.ts';
import { shownBy } from '../train/display.ts';
import { addHyperparameterFlags, addTuningFlags, number, preprocessingOption } from '../train/flags.ts';
import { attachCommand, leaveJob, type LeftJob } from '../train/leave.ts';
import { addValidationImageFlags, loadData, type DataFlags } from '../train/load.ts';
import { checkOutput, writeOutput } from '../train/output.ts';
import { reportJson, reportTable } from '../train/report.ts';
import { readSettings, settingsText } from '../train/settings.ts';

const DEFAULT_OUT = 'model.json';

interface TrainFlags extends TrainingChoices, DataFlags, KeyFlags, PatienceFlags {
  readonly preprocess?: PreprocessingChoice;
  readonly expand?: string;
  readonly budget?: Budget | 'none' | number;
  readonly metric?: Metric;
  readonly settings?: string;
  readonly saveSettings?: string;
  readonly classes?: string;
  readonly server?: string;
  readonly token?: string;
  readonly threads?: number;
  readonly patience?: number;
  readonly servable?: true;
  readonly name?: string;
  readonly priority?: Priority;
  readonly out: string;
  readonly json?: string;
  readonly report?: string;
  readonly quiet?: true;
}

/** What brings somebody back to a job as it was started. */
function leftJob(client: BlindfitClient, keys: KeyStore, id: string, flags: TrainFlags): LeftJob {
  const { passphraseCommand } = flags;
  const given = {
    server: flags.server,
    keys: flags.keys,
    'passphrase-command': passphraseCommand,
    validation: flags.validation,
    patience: flags.patience,
  };
  const out = flags.out === DEFAULT_OUT ? undefined : flags.out;
  return {
    id,
    flags: Object.entries({ ...given, out }).flatMap(([name, value]) =>
      value === undefined ? [] : [`--${name}`, String(value)],
    ),
    cancel: () => cancelJob(client, keys, id),
  };
}

export function register(program: Command): void {
  const command = program
    .command('train')
    .summary('train on encrypted features of images')
    .description(
      'Encrypts features and labels on this machine, has them trained on by servers that hold no key to read ' +
        'them, and decrypts the model here.\n' +
        'Without --server a private stack is started for the job and taken down after it.',
    )
    .option(
      '--features <file>',
      'training data, one sample a row: CSV of any separator, header optional, plain or gzip, "-" for standard ' +
        'input; or a .bin file of "blindfit features"',
    )
    .option('--validation <file>', 'held-out data of the same form; it never leaves this machine')
    .option('--classes <list>', 'the classes, comma-separated [all labels of the training data]')
    .addOption(preprocessingOption());
  addTuningFlags(command);
  addValidationImageFlags(addBackboneFlags(addImageFlags(addColumnFlags(command))));
  addKeyFlags(addHyperparameterFlags(command), 'where the secret key and its public keys are kept')
    .option('--server <url>', 'address of an API [BLINDFIT_SERVER; without it an embedded stack]')
    .addOption(patienceOption())
    .option('--token <token>', 'its bearer token; better in BLINDFIT_TOKEN, where other users cannot see it')
    .addOption(
      new Option('--threads <n>', 'compute threads of the embedded stack [all cores]').argParser(number(1, 256, true)),
    )
    .addOption(
      new Option(
        '--patience <k>',
        'stop when k looks at the held-out data in a row are no better than the best; its weights are the ' +
          'model [never]',
      ).argParser(number(1, 1000, true)),
    )
    .option(
      '--servable',
      'keep a level in the trained model, so that "predict --encrypted" can use it without anybody ' +
        'decrypting it; needs --server',
    )
    .option('--name <text>', 'shown in listings, and visible to the server')
    .addOption(
      new Option('--priority <p>', 'its part among the jobs of its tenant; needs --server [normal]').choices(
        Object.keys(PRIORITIES),
      ),
    )
    .option('--out <file>', 'the trained model', DEFAULT_OUT)
    .option('--json <file>', 'write the report as JSON ("-": to standard output)')
    .option('--report <file.html>', 'write a page with charts, confusion matrix and mistakes, to open in a browser')
    .option('--quiet', 'no progress')
    .addHelpText(
      'after',
      `
Examples:
  blindfit train --features train.csv --validation test.csv --report report.html
  blindfit train --features train.csv --budget best --metric macro-f1 --save-settings settings.json
  blindfit train --features train.csv --preset paper --json report.json
  blindfit train --folder photos/train --validation-folder photos/test --backbone model.onnx
  BLINDFIT_TOKEN=... blindfit train --features train.csv --server https://blindfit.example.org --servable

What the flags leave open (preprocessing, expansion, iterations, rate, polynomial) is chosen on this machine by
cross-validation inside the training data, in seconds; --budget none keeps fixed defaults instead.
The secret key is written with mode 0600 below --keys and is sent nowhere.
With --server, Ctrl-C leaves the job running and says how to come back to it; a second Ctrl-C cancels it.`,
    )
    .action(async (flags: TrainFlags) => {
      // A degree that does not exist is refused before anything is read.
      hyperparametersOf(flags);
      if (
        flags.patience !== undefined &&
        flags.validation === undefined &&
        flags.validationImages === undefined &&
        flags.validationFolder === undefined
      ) {
        throw new UsageError(
          '--patience needs held-out data',
          'give --validation FILE, or --validation-images and --validation-labels, or --validation-folder',
        );
      }
      const pinned = flags.settings === undefined ? undefined : await readSettings(flags.settings);
      await checkOutput('--out', flags.out);
      if (flags.saveSettings !== undefined) await checkOutput('--save-settings', flags.saveSettings);
      if (flags.json !== undefined && flags.json !== '-') await checkOutput('--json', flags.json);
      if (flags.report !== undefined) await checkOutput('--report', flags.report);
      const settings = clientSettings();
      const [server, token] = [flags.server ?? settings.server, flags.token ?? settings.token];
      if (flags.servable === true && server === undefined) {
        throw new UsageError(
          '--servable needs an API that stays: an embedded stack takes the encrypted model with it',
          'give --server URL, for example that of "blindfit up"',
        );
      }
      const progress = new Progress({ mode: flags.quiet === true ? 'silent' : 'auto' });
      const { training, validation, input, source, pictures } = await withInterrupt((signal) =>
        loadData(flags, progress, signal).finally(() => progress.finish()),
      );
      const client = server === undefined ? undefined : connect(server, { token, ...patienceOf(flags, progress) });
      const keys = keysOf(flags);
      let submitted: JobView | undefined;
      const model = await withInterrupt(
        (signal) =>
          train({
            ...flags,
            settings: pinned,
            features: training,
            validation,
            input,
            classes: flags.classes?.split(',').map((label) => label.trim()),
            server: client,
            keys,
            backbone: hasImages(flags) ? (flags.backbone ?? DEFAULT_BACKBONE) : undefined,
            // An embedded stack takes the job with it.
            cancelOnAbort: client === undefined,
            onSubmitted: (job) => void (submitted = job),
            signal,
            ...shownBy(progress),
          }).finally(() => progress.finish()),
        async (interruption, again) => {
          if (client !== undefined && submitted !== undefined)
            await leaveJob(leftJob(client, keys, submitted.id, flags), interruption, again);
        },
      )
        .catch((error: unknown) => {
          if (client === undefined || submitted === undefined) throw error;
          throw withComeback(error, attachCommand(leftJob(client, keys, submitted.id, flags)));
        })
        .finally(() => client?.close());
      const { details, data, hyperparameters, tuned, comparison } = model;
      if (flags.saveSettings !== undefined && tuned !== undefined)
        await writeOutput('--save-settings', flags.saveSettings, settingsText(tuned.settings));
      await writeOutput('--out', flags.out, serialiseModel(model.model));
      if (flags.report !== undefined) {
        const page = await model.html({
          title: flags.name ?? basename(source),
          name: pictures && ((index) => pictures.name(index)),
          image: pictures && ((index) => pictures.image(index)),
        });
        await writeOutput('--report', flags.report, page);
      }
      const json = `${JSON.stringify(reportJson(details, data, hyperparameters, comparison), undefined, 2)}\n`;
      if (flags.json !== undefined && flags.json !== '-') await writeOutput('--json', flags.json, json);
      const written = flags.report === undefined ? '' : `report: ${flags.report}\n`;
      if (flags.json === '-') process.stdout.write(json);
      else {
        const table = reportTable(details, data, comparison, { paper: flags.preset === 'paper' });
        process.stdout.write(`${table}\n\nmodel: ${flags.out}\n${written}`);
      }
      if (isParted(comparison)) throw new PartedError(comparison);
    });
}
