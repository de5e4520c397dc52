/** What a training run reports: a table for people, JSON for machines, a model file for use. */
import { preprocessingName } from '@blindfit/data';
import { warningsOf, type Comparison, type Quality, type TrainingData, type TrainingReport } from '@blindfit/owner';
import type { Hyperparameters } from '@blindfit/training';
import { formatBytes, formatCount, formatSeconds } from '../format.ts';
import { classesText } from '../quality.ts';
import { formatTable } from '../table.ts';

/** Everything the table shows, by name. */
export function reportJson(
  report: TrainingReport,
  data: TrainingData,
  hyperparameters: Hyperparameters,
  comparison: Comparison,
): Record<string, unknown> {
  const {
    job,
    parameters,
    seconds,
    bytes,
    operations,
    evaluators,
    maxWeightError,
    accuracy,
    iteration,
    stoppedAfter,
    refresh,
  } = report;
  return {
    job,
    iteration,
    stoppedAfter,
    refresh,
    parameters,
    seconds,
    bytes,
    operations,
    evaluators,
    maxWeightError,
    accuracy,
    quality: comparison,
    warnings: warningsOf(comparison, data.classes),
    temperature: report.model.calibration?.temperature,
    shape: data.shape,
    classes: data.classes,
    preprocessing: preprocessingName(data.preprocessing),
    hyperparameters,
    classWeights: data.set.rowWeights && 'balanced',
    security: 128,
  };
}

/** The paper's own figures, from its text and its logs (HE.CNNtraining, 64 vCPUs). */
const PAPER = {
  accuracy: '21.49 %',
  iterations: [676.6, 583.0],
  parameters: 'log2 Q = 990, keys mod Q^2, N = 65536',
  memory: '19.4 GB RSS',
} as const;

/** More would hide the rest of the table. */
const MAX_ITERATIONS_SHOWN = 4;

type Row = readonly [name: string, encrypted: string, clear: string, plain: string, paper: string];

/**
 * @param comparison how good the model is, and what could be reached at home
 * @param paper adds the figures of the paper
 */
export function reportTable(
  report: TrainingReport,
  data: TrainingData,
  comparison: Comparison,
  { paper = false }: { readonly paper?: boolean | undefined } = {},
): string {
  const { seconds, bytes, operations, evaluators = {}, parameters, accuracy } = report;
  const percent = (value: number | undefined): string => (value === undefined ? '-' : `${(100 * value).toFixed(2)} %`);
  const paperTotal = PAPER.iterations.reduce((sum, value) => sum + value, 0);
  const { judgedBy, encrypted, clear, plain } = comparison;
  const quality = (name: string, of: (quality: Quality) => string, published = ''): Row => [
    name,
    of(encrypted),
    of(clear),
    of(plain),
    published,
  ];
  const rows: Row[] = [
    ...(judgedBy === 'training'
      ? []
      : ([
          [
            `accuracy, ${formatCount(data.shape.samples)} training samples`,
            percent(accuracy.encrypted.train),
            percent(accuracy.clear.train),
            '',
            '',
          ],
        ] as const)),
    quality(
      `accuracy, ${formatCount(encrypted.samples)} ${judgedBy} samples`,
      (set) => percent(set.accuracy),
      judgedBy === 'held-out' ? PAPER.accuracy : '',
    ),
    quality('  balanced over the classes', (set) => percent(set.balancedAccuracy)),
    quality('  macro F1', (set) => percent(set.macroF1)),
    quality('  log-loss, nats a sample', (set) => set.logLoss.toFixed(3)),
    ['  of naming the commonest class', percent(encrypted.majority), '', '', ''],
    [
      'columns of X',
      `${data.shape.features} (${preprocessingName(data.preprocessing)}, bias included)`,
      '',
      '',
      '401, padded to 512',
    ],
    ['largest difference of a weight', report.maxWeightError.toExponential(1), '', '', ''],
    ['key generation', formatSeconds(seconds.keygen), '', '', ''],
    ['encryption', formatSeconds(seconds.encrypt), '', '', ''],
    [
      'upload',
      `${formatSeconds(seconds.upload)}  (data ${formatBytes(bytes.data)}, keys ${formatBytes(bytes.keys)})`,
      '',
      '',
      '6 ciphertexts',
    ],
    ['loading keys into a worker', formatSeconds(seconds.loadKeys), '', '', ''],
    ['training', formatSeconds(seconds.train), '', '', formatSeconds(paperTotal)],
    ...seconds.iterations
      .slice(0, MAX_ITERATIONS_SHOWN)
      .map(
        (value, t) =>
          [
            `  iteration ${t + 1}${seconds.iterations.length > 1 ? ' (they overlap)' : ''}`,
            formatSeconds(value),
            '',
            '',
            PAPER.iterations[t] === undefined ? '' : formatSeconds(PAPER.iterations[t]),
          ] as Row,
      ),
    ...(report.refresh.count === 0
      ? []
      : [
          [
            'refreshes by the owner',
            `${formatCount(report.refresh.count)} in ${formatSeconds(report.refresh.seconds)}  ` +
              `(${formatBytes(report.refresh.down)} down, ${formatBytes(report.refresh.up)} up)`,
            '',
            '',
            '',
          ] as Row,
        ]),
    ...(report.stoppedAfter === undefined
      ? []
      : [
          [
            'stopped early',
            `after iteration ${report.stoppedAfter}; the model is that of iteration ${report.iteration}`,
            '',
            '',
            '',
          ] as Row,
        ]),
    ['download and decryption', `${formatSeconds(seconds.download)}  (model ${formatBytes(bytes.model)})`, '', '', ''],
    ...(Object.keys(evaluators).length === 0
      ? []
      : [['evaluator', Object.keys(evaluators).join(', '), '', '', 'HEAAN'] as Row]),
    ...(operations === undefined
      ? []
      : ([
          ['rotations', formatCount(operations.rotations), '', '', '3,040 an iteration'],
          ['relinearisations', formatCount(operations.relinearisations), '', '', ''],
          ['ciphertext products', formatCount(operations.multiplications), '', '', '421 an iteration'],
          [
            'plaintext products, rescales',
            `${formatCount(operations.plainMultiplications)}, ${formatCount(operations.rescales)}`,
            '',
            '',
            '',
          ],
        ] as Row[])),
    ['modulus', `log2 QP = ${parameters.log2QP}, N = ${parameters.ring}`, '', '', PAPER.parameters],
    ['security', '128 bit (2024 guidelines and SEAL)', '', '', 'below 128 bit'],
    ['secret key', 'on the owner’s machine only', '', '', 'in the server process'],
  ];
  const titles = ['', 'encrypted', 'clear twin', 'plain regression', ...(paper ? ['paper, 64 vCPUs'] : [])];
  const table = formatTable(
    titles.map((title) => ({ title })),
    rows.map((row) => row.slice(0, titles.length)),
  );
  const warnings = warningsOf(comparison, data.classes).map((warning) => `warning: ${warning}`);
  return [table, `By class, ${judgedBy} samples:\n${classesText(encrypted, data.classes)}`, ...warnings].join('\n\n');
}
