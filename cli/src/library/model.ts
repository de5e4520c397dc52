/** A trained model in the hands of a program. */
import { replaceFile } from '@blindfit/base/node';
import { modelFeatures, serialiseModel, type Dataset, type Model } from '@blindfit/data';
import type { Comparison, TrainingData, TrainingReport } from '@blindfit/owner';
import { renderReport, type SampleImage } from '@blindfit/report';
import type { Hyperparameters } from '@blindfit/training';
import type { Tuned } from '@blindfit/tuning';
import { predict, type Prediction } from '../predict/predictions.ts';
import { reportPage } from '../train/report-page.ts';
import { unlabelled, type Rows } from './datasets.ts';

/** A trained last layer, decrypted. */
export class TrainedModel {
  /** What the model file holds: classes, weights, preprocessing, and how it was trained. */
  readonly model: Model;

  constructor(model: Model) {
    this.model = model;
  }

  get classes(): readonly string[] {
    return this.model.classes;
  }

  /** Features of a sample, before preprocessing. */
  get features(): number {
    return modelFeatures(this.model);
  }

  /**
   * Classifies samples on this machine.
   * @param rows raw features: the model's preprocessing is applied to them
   * @throws DatasetError `bad-shape` for other features than the training's
   */
  predict(rows: Rows | Dataset): Promise<readonly Prediction[]> {
    return Promise.try(() => predict(this.model, unlabelled(rows)).predictions);
  }

  /** Writes the model file, which `blindfit predict` and `blindfit export` read. */
  async save(path: string): Promise<void> {
    await replaceFile(path, serialiseModel(this.model), { mode: 0o666 });
  }
}

export interface ReportOptions {
  /** @default the name of the job, or `Training` */
  readonly title?: string | undefined;
  /** Name of a held-out sample, or of a training sample if none is held out. @default `sample 17`, counted from 1 */
  readonly name?: ((index: number) => string) | undefined;
  /** Image of a sample, called for the few samples that are shown. @default samples are listed without images */
  readonly image?: ((index: number) => Promise<SampleImage>) | undefined;
}

/** A model and everything that its training showed. */
export class Training extends TrainedModel {
  /** Timings, bytes, operation counts, weights by iteration. */
  readonly details: TrainingReport;
  readonly data: TrainingData;
  readonly hyperparameters: Hyperparameters;
  /** What the search for settings found; undefined where nothing was left open. */
  readonly tuned: Tuned | undefined;
  /** How good it is, beside training in the clear and beside plain softmax regression. */
  readonly comparison: Comparison;
  readonly #title: string;

  constructor(
    details: TrainingReport,
    data: TrainingData,
    hyperparameters: Hyperparameters,
    comparison: Comparison,
    { title = 'Training', tuned }: { readonly title?: string | undefined; readonly tuned?: Tuned | undefined } = {},
  ) {
    super(details.model);
    this.details = details;
    this.data = data;
    this.hyperparameters = hyperparameters;
    this.tuned = tuned;
    this.comparison = comparison;
    this.#title = title;
  }

  /** Id of the job, for `attach` and for encrypted predictions. */
  get job(): string {
    return this.details.job;
  }

  /** Part of 1: on the held-out data, or on the training data if none are held out. */
  get accuracy(): number {
    const { train, validation = train } = this.details.accuracy.encrypted;
    return validation;
  }

  /** A page with charts, confusion matrix and mistakes. */
  async html({ title = this.#title, name, image }: ReportOptions = {}): Promise<string> {
    const { details: report, data, hyperparameters, comparison } = this;
    return renderReport(await reportPage({ title, report, data, hyperparameters, comparison, name, images: image }));
  }

  /** Writes the page of {@link html}, to open in a browser. */
  async report(path: string, options: ReportOptions = {}): Promise<void> {
    await replaceFile(path, await this.html(options), { mode: 0o666 });
  }
}
