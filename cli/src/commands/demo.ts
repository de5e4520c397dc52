import { availableParallelism } from 'node:os';
import { Option, type Command } from 'commander';
import { preprocessingName, readIdxImages, withLabels, type IdxImages, type LabelledDataset } from '@blindfit/data';
import { digitFiles, type Split } from '@blindfit/demo';
import { extractDataset, loadBackbone, openIdxSource } from '@blindfit/images';
import { compareTraining, prepareData, preprocessingOf, train } from '@blindfit/owner';
import { directoryKeys } from '@blindfit/owner/node';
import { renderReport, type SampleImage } from '@blindfit/report';
import { DEFAULT_HYPERPARAMETERS } from '@blindfit/training';
import { formatSeconds } from '../format.ts';
import { withInterrupt } from '../interrupt.ts';
import { withServer } from '../library/server.ts';
import { Progress } from '../progress.ts';
import { withTemporaryDirectory } from '../temporary.ts';
import { shownBy } from '../train/display.ts';
import { number } from '../train/flags.ts';
import { checkOutput, writeOutput } from '../train/output.ts';
import { reportPage } from '../train/report-page.ts';
import { reportJson, reportTable } from '../train/report.ts';

/** The paper's number of training images. */
const TRAINING_IMAGES = 128;
/** The built-in backbone: needs no download. */
const BACKBONE = 'scattering';

export function register(program: Command): void {
  program
    .command('demo')
    .summary('train a digit classifier under encryption, here and now')
    .description(
      'Starts a private Redis, the API, a scheduler and a worker; turns 128 handwritten digits into CNN ' +
        'features; makes keys; encrypts; trains on the ciphertexts;\n' +
        'decrypts the model and compares it with training in the clear. Everything is taken down at the end.',
    )
    .addOption(new Option('--threads <n>', 'compute threads [all cores]').argParser(number(1, 256, true)))
    .option(
      '--report <file.html>',
      'where to write a page with charts, confusion matrix and mistakes',
      'demo-report.html',
    )
    .option('--json', 'print the report as JSON')
    .action(async (flags: { threads?: number; report: string; json?: true }) => {
      await checkOutput('--report', flags.report);
      const threads = flags.threads ?? availableParallelism();
      const progress = new Progress();
      const say = (line: string): void => progress.log(line);
      const extracting = performance.now();
      const training = await digits('train', progress, TRAINING_IMAGES);
      const validation = await digits('heldout', progress);
      const preprocessing = preprocessingOf(undefined, undefined, training);
      const data = prepareData({ training, validation, preprocessing });
      const { samples, features, classes } = data.shape;
      say(
        `${samples} training and ${validation.n} held-out digits through the ${BACKBONE} network in ` +
          `${formatSeconds((performance.now() - extracting) / 1000)}: ` +
          `${training.d} features, ${preprocessingName(data.preprocessing)}, ${features} columns with the bias`,
      );
      say(`${classes} classes, ${DEFAULT_HYPERPARAMETERS.iterations} iterations, ${threads} threads`);
      const report = await withInterrupt((signal) =>
        withTemporaryDirectory('blindfit-keys-', (keysDirectory) =>
          withServer({ threads, onLog: say, signal }, (client, running) =>
            train(client, {
              data,
              hyperparameters: DEFAULT_HYPERPARAMETERS,
              keys: directoryKeys(keysDirectory),
              name: 'demo',
              signal: running,
              ...shownBy(progress),
            }),
          ),
        ).finally(() => progress.finish()),
      );
      const comparison = compareTraining(report, data, { training, validation });
      const images = await readIdxImages(digitFiles('heldout').images);
      const page = await reportPage({
        title: 'Demo digits',
        report,
        data,
        hyperparameters: DEFAULT_HYPERPARAMETERS,
        comparison,
        images: (index) => Promise.resolve(idxImage(images, index)),
      });
      await writeOutput('--report', flags.report, renderReport(page));
      process.stdout.write(
        flags.json === true
          ? `${JSON.stringify(reportJson(report, data, DEFAULT_HYPERPARAMETERS, comparison), undefined, 2)}\n`
          : `${reportTable(report, data, comparison, { paper: true })}\n\n` +
              `report: ${flags.report}  (open it in a browser)\n`,
      );
    });
}

/** From images to CNN features, on this machine. */
async function digits(split: Split, progress: Progress, limit?: number): Promise<LabelledDataset> {
  const { images, labels } = digitFiles(split);
  const { data } = await extractDataset({
    source: await openIdxSource({ images, labels, limit }),
    backbone: await loadBackbone({ backbone: BACKBONE }),
    onProgress: ({ done, total }) => progress.update({ phase: `${split} images to features`, done, total }),
  });
  return withLabels(data, data.labels ?? []);
}

function idxImage({ rows, columns, pixels }: IdxImages, index: number): SampleImage {
  return {
    width: columns,
    height: rows,
    channels: 1,
    data: pixels.subarray(index * rows * columns, (index + 1) * rows * columns),
  };
}
