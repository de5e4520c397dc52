import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Option, type Command } from 'commander';
import { centrePixels, createDataset, readIdxImages, readIdxLabels, type IdxImages, type LabelledDataset } from '@blindfit/datasets';
import { digitFiles, type Split } from '@blindfit/demo';
import { DEFAULT_HYPERPARAMETERS } from '@blindfit/he';
import { renderReport, type SampleImage } from '@blindfit/report';
import { withInterrupt } from '../interrupt.ts';
import { Progress } from '../progress.ts';
import { prepareData } from '../train/data.ts';
import { number } from '../train/flags.ts';
import { checkOutput, writeOutput } from '../train/output.ts';
import { reportPage } from '../train/report-page.ts';
import { reportJson, reportTable } from '../train/report.ts';
import { runTraining } from '../train/run.ts';
import { withServer } from '../train/server.ts';

/** The paper's number of training images. */
const TRAINING_IMAGES = 128;
/** 20 x 20 pixels: with the bias the paper's 401 columns. */
const CENTRE = 20;

export function register(program: Command): void {
  program
    .command('demo')
    .summary('train a digit classifier under encryption, here and now')
    .description(
      'Starts a private Redis, the API, a scheduler and a worker; makes keys; encrypts 128 handwritten digits; trains on the ciphertexts;\n' +
        'decrypts the model and compares it with training in the clear. Everything is taken down at the end.',
    )
    .addOption(new Option('--threads <n>', 'compute threads [all cores]').argParser(number(1, 256, true)))
    .option('--report <file.html>', 'where to write a page with charts, confusion matrix and mistakes', 'demo-report.html')
    .option('--json', 'print the report as JSON')
    .action(async (flags: { threads?: number; report: string; json?: true }) => {
      await checkOutput('--report', flags.report);
      const threads = flags.threads ?? availableParallelism();
      const training = await digits('train', TRAINING_IMAGES);
      const validation = await digits('heldout');
      const data = prepareData({ training, validation, preprocessing: 'standardize' });
      const progress = new Progress();
      const say = (line: string): void => progress.log(line);
      const { samples, features, classes } = data.shape;
      say(`${samples} digits of ${CENTRE} x ${CENTRE} pixels (${features} columns with the bias), ${classes} classes, 2 iterations, ${threads} threads`);
      const report = await withInterrupt(async (signal) => {
        const keysDirectory = await mkdtemp(join(tmpdir(), 'blindfit-keys-'));
        try {
          return await withServer({ threads }, say, signal, (client, running) =>
            runTraining(client, { data, hyperparameters: DEFAULT_HYPERPARAMETERS, keysDirectory, name: 'demo' }, progress, running));
        } finally {
          progress.finish();
          await rm(keysDirectory, { recursive: true, force: true });
        }
      });
      const images = await readIdxImages(digitFiles('heldout').images);
      const page = await reportPage({ title: 'Demo digits', report, data, hyperparameters: DEFAULT_HYPERPARAMETERS, images: (index) => Promise.resolve(idxImage(images, index)) });
      await writeOutput('--report', flags.report, renderReport(page));
      process.stdout.write(
        flags.json === true
          ? `${JSON.stringify(reportJson(report, data, DEFAULT_HYPERPARAMETERS), undefined, 2)}\n`
          : `${reportTable(report, data)}\n\nreport: ${flags.report}  (open it in a browser)\n`,
      );
    });
}

async function digits(split: Split, count?: number): Promise<LabelledDataset> {
  const files = digitFiles(split);
  const pixels = centrePixels(await readIdxImages(files.images), CENTRE);
  const labels = await readIdxLabels(files.labels);
  const n = count ?? pixels.n;
  return createDataset(pixels.features.slice(0, n * pixels.d), pixels.d, labels.slice(0, n));
}

function idxImage({ rows, columns, pixels }: IdxImages, index: number): SampleImage {
  return { width: columns, height: rows, channels: 1, data: pixels.subarray(index * rows * columns, (index + 1) * rows * columns) };
}
