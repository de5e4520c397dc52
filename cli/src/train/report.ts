/** What a training run reports: a table for people, JSON for machines, a model file for use. */
import { preprocessingName } from '@blindfit/data';
import type { TrainingData, TrainingReport } from '@blindfit/owner';
import type { Hyperparameters } from '@blindfit/training';
import { formatBytes, formatCount, formatSeconds } from '../format.ts';
import { formatTable } from '../table.ts';

/** Everything the table shows, by name. */
export function reportJson(
  report: TrainingReport,
  data: TrainingData,
  hyperparameters: Hyperparameters,
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
    shape: data.shape,
    classes: data.classes,
    preprocessing: preprocessingName(data.preprocessing),
    hyperparameters,
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

export function reportTable(report: TrainingReport, data: TrainingData): string {
  const { seconds, bytes, operations, evaluators = {}, parameters, accuracy } = report;
  const percent = (value: number | undefined): string => (value === undefined ? '-' : `${(100 * value).toFixed(2)} %`);
  const paperTotal = PAPER.iterations.reduce((sum, value) => sum + value, 0);
  const rows: [string, string, string, string][] = [
    [
      `accuracy, ${formatCount(data.shape.samples)} training samples`,
      percent(accuracy.encrypted.train),
      percent(accuracy.clear.train),
      '',
    ],
    ...(data.validation === undefined
      ? []
      : [
          [
            `accuracy, ${formatCount(data.validation.actual.length)} held-out samples`,
            percent(accuracy.encrypted.validation),
            percent(accuracy.clear.validation),
            PAPER.accuracy,
          ] as [string, string, string, string],
        ]),
    [
      'columns of X',
      `${data.shape.features} (${preprocessingName(data.preprocessing)}, bias included)`,
      '',
      '401, padded to 512',
    ],
    ['largest difference of a weight', report.maxWeightError.toExponential(1), '', ''],
    ['key generation', formatSeconds(seconds.keygen), '', ''],
    ['encryption', formatSeconds(seconds.encrypt), '', ''],
    [
      'upload',
      `${formatSeconds(seconds.upload)}  (data ${formatBytes(bytes.data)}, keys ${formatBytes(bytes.keys)})`,
      '',
      '6 ciphertexts',
    ],
    ['loading keys into a worker', formatSeconds(seconds.loadKeys), '', ''],
    ['training', formatSeconds(seconds.train), '', formatSeconds(paperTotal)],
    ...seconds.iterations
      .slice(0, MAX_ITERATIONS_SHOWN)
      .map(
        (value, t) =>
          [
            `  iteration ${t + 1}${seconds.iterations.length > 1 ? ' (they overlap)' : ''}`,
            formatSeconds(value),
            '',
            PAPER.iterations[t] === undefined ? '' : formatSeconds(PAPER.iterations[t]),
          ] as [string, string, string, string],
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
          ] as [string, string, string, string],
        ]),
    ...(report.stoppedAfter === undefined
      ? []
      : [
          [
            'stopped early',
            `after iteration ${report.stoppedAfter}; the model is that of iteration ${report.iteration}`,
            '',
            '',
          ] as [string, string, string, string],
        ]),
    ['download and decryption', `${formatSeconds(seconds.download)}  (model ${formatBytes(bytes.model)})`, '', ''],
    ...(Object.keys(evaluators).length === 0
      ? []
      : [['evaluator', Object.keys(evaluators).join(', '), '', 'HEAAN'] as [string, string, string, string]]),
    ...(operations === undefined
      ? []
      : ([
          ['rotations', formatCount(operations.rotations), '', '3,040 an iteration'],
          ['relinearisations', formatCount(operations.relinearisations), '', ''],
          ['ciphertext products', formatCount(operations.multiplications), '', '421 an iteration'],
          [
            'plaintext products, rescales',
            `${formatCount(operations.plainMultiplications)}, ${formatCount(operations.rescales)}`,
            '',
            '',
          ],
        ] as [string, string, string, string][])),
    ['modulus', `log2 QP = ${parameters.log2QP}, N = ${parameters.ring}`, '', PAPER.parameters],
    ['security', '128 bit (2024 guidelines and SEAL)', '', 'below 128 bit'],
    ['secret key', 'on the owner’s machine only', '', 'in the server process'],
  ];
  return formatTable(
    [{ title: '' }, { title: 'encrypted' }, { title: 'clear twin' }, { title: 'paper, 64 vCPUs' }],
    rows,
  );
}
