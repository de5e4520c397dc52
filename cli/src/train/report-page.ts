/** The content of the HTML report of a training. */
import { at } from '@blindfit/base';
import {
  argmaxRows,
  confusionMatrix,
  preprocessingName,
  probabilitiesOf,
  scores,
  type Model,
  type Weights,
} from '@blindfit/data';
import {
  evaluate,
  warningsOf,
  type Comparison,
  type Evaluation,
  type Scorable,
  type TrainingData,
  type TrainingReport,
} from '@blindfit/owner';
import {
  MAX_MISTAKES,
  type Curve,
  type Curves,
  type Mistake,
  type ReportInput,
  type SampleImage,
} from '@blindfit/report';
import type { Hyperparameters } from '@blindfit/training';
import { formatCount } from '../format.ts';

export interface PageRequest {
  readonly title: string;
  readonly report: Omit<TrainingReport, 'model'> & { readonly model: Pick<Model, 'classes' | 'calibration'> };
  readonly data: TrainingData;
  readonly hyperparameters: Hyperparameters;
  readonly comparison: Comparison;
  /** Name of a held-out sample, or of a training sample if none is held out. @default `sample 17`, counted from 1 */
  readonly name?: ((index: number) => string) | undefined;
  /** Image of a sample, called for the few samples that are shown. @default samples are listed without images */
  readonly images?: ((index: number) => Promise<SampleImage>) | undefined;
}

/** @param now time that the page is dated */
export async function reportPage(
  { title, report, data, hyperparameters, comparison, name, images }: PageRequest,
  now: Date = new Date(),
): Promise<ReportInput> {
  const { parameters, seconds, bytes, operations } = report;
  const { iterations, learningRate, initialWeight, sigmoid, batch, decay } = hyperparameters;
  const classes = data.classes.length;
  const shown = data.validation ?? data.training;
  return {
    title,
    created: now.toISOString(),
    job: report.job,
    data: {
      samples: data.shape.samples,
      heldOut: data.validation === undefined ? 0 : data.validation.actual.length,
      columns: data.shape.features,
      classes: data.classes,
      preprocessing: preprocessingName(data.preprocessing),
    },
    iteration: report.iteration,
    quality: {
      encrypted: comparison.encrypted,
      clear: comparison.clear,
      plain: comparison.plain,
      majority: comparison.encrypted.majority,
      classes: comparison.encrypted.classes,
    },
    warnings: warningsOf(comparison, data.classes),
    training: curvesOf(report.history, data.training, classes),
    heldOut: data.validation && curvesOf(report.history, data.validation, classes),
    maxWeightError: report.maxWeightError,
    predictions: await predictionsOf(report, shown, name ?? ((index) => `sample ${index + 1}`), images),
    phases: [
      { name: 'key generation', seconds: seconds.keygen },
      { name: 'encryption', seconds: seconds.encrypt },
      { name: 'upload', seconds: seconds.upload },
      { name: 'loading keys', seconds: seconds.loadKeys },
      { name: 'training', seconds: seconds.train },
      ...(report.refresh.count === 0
        ? []
        : [{ name: 'of it, refreshes by the owner', seconds: report.refresh.seconds }]),
      { name: 'download, decryption', seconds: seconds.download },
    ],
    traffic: [
      { name: 'encrypted data, up', bytes: bytes.data },
      { name: 'public keys, up', bytes: bytes.keys },
      { name: 'encrypted model, down', bytes: bytes.model },
      ...(report.refresh.count === 0
        ? []
        : [
            { name: 'refreshes, down', bytes: report.refresh.down },
            { name: 'refreshes, up', bytes: report.refresh.up },
          ]),
    ],
    operations:
      operations === undefined
        ? []
        : [
            { name: 'rotations', count: operations.rotations },
            { name: 'relinearisations', count: operations.relinearisations },
            { name: 'ciphertext products', count: operations.multiplications },
            { name: 'plaintext products', count: operations.plainMultiplications },
            { name: 'rescales', count: operations.rescales },
          ],
    parameters: [
      ['scheme', 'CKKS (Microsoft SEAL)'],
      ['parameter set', parameters.name],
      ['ring', `N = ${formatCount(parameters.ring)}`],
      ['modulus', `log2 QP = ${parameters.log2QP}`],
      ['levels', String(parameters.levels)],
      ['scale', `2^${parameters.scaleBits}`],
      ['security', '128 bit (2024 guidelines and SEAL’s table)'],
      ['secret key', 'on the owner’s machine only'],
    ],
    hyperparameters: [
      [
        'iterations',
        report.stoppedAfter === undefined
          ? String(iterations)
          : `${report.stoppedAfter} of ${iterations}, stopped early; the model is that of iteration ` +
            `${report.iteration}`,
      ],
      ...(batch === undefined ? [] : [['mini-batches', `${batch.size} samples, seed ${batch.seed}`] as const]),
      ['learning rate', String(learningRate)],
      ...(decay === undefined ? [] : [['decay', String(decay)] as const]),
      ['start', initialWeight === 0 ? 'all weights 0' : `all weights ${initialWeight}`],
      ['sigmoid', `degree ${sigmoid.degree}, fitted on [-${sigmoid.range}, ${sigmoid.range}]`],
    ],
  };
}

function curvesOf({ encrypted, clear }: TrainingReport['history'], set: Scorable, classes: number): Curves {
  // What no refresh has shown leaves a gap in the curve.
  const measure = (history: readonly (Weights | undefined)[]): Evaluation[] =>
    history.map((weights) => (weights === undefined ? { accuracy: NaN, loss: NaN } : evaluate(weights, set, classes)));
  const measured = { encrypted: measure(encrypted), clear: measure(clear) };
  const curve = (what: 'accuracy' | 'loss'): Curve => ({
    encrypted: measured.encrypted.map((point) => point[what]),
    clear: measured.clear.map((point) => point[what]),
  });
  return { accuracy: curve('accuracy'), loss: curve('loss') };
}

/** The mistakes that the model is surest of come first: they say most about it, or about the labels. */
async function predictionsOf(
  { weights, model }: Pick<PageRequest['report'], 'weights' | 'model'>,
  { x, actual }: Scorable,
  name: (index: number) => string,
  images: PageRequest['images'],
): Promise<ReportInput['predictions']> {
  const { classes } = model;
  const c = classes.length;
  const z = scores(weights, x);
  const predicted = argmaxRows(z, c);
  const probabilities = probabilitiesOf(model, z);
  const predictedOf = (i: number): number => at(predicted, i, 'predictions');
  const probability = (i: number): number => at(probabilities, i * c + predictedOf(i), 'probabilities');
  const wrong = Array.from(actual.keys())
    .filter((i) => predicted[i] !== actual[i])
    .sort((a, b) => probability(b) - probability(a));
  const mistakes: Mistake[] = [];
  for (const i of wrong.slice(0, MAX_MISTAKES)) {
    mistakes.push({
      sample: name(i),
      actual: at(classes, at(actual, i, 'labels'), 'classes'),
      predicted: at(classes, predictedOf(i), 'classes'),
      probability: probability(i),
      image: await images?.(i),
    });
  }
  return { confusion: confusionMatrix(predicted, actual, c), wrong: wrong.length, mistakes };
}
