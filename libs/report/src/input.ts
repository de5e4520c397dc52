/** Pixels of a sample, row by row from the top left, channels interleaved, 0 (black) to 255. */
export interface SampleImage {
  readonly width: number;
  readonly height: number;
  /** 1: grey, 3: red, green, blue. */
  readonly channels: 1 | 3;
  /** width x height x channels. */
  readonly data: Uint8Array;
}

/** Values by iteration. */
export interface Curve {
  /** Values of the weights that were trained under encryption and decrypted. */
  readonly encrypted: readonly number[];
  /** Values of the weights of the clear twin. */
  readonly clear: readonly number[];
}

export interface Curves {
  /** Parts of 1. */
  readonly accuracy: Curve;
  /** Nats a sample. */
  readonly loss: Curve;
}

/** How good predictions are. Parts of 1, and nats a sample. */
export interface Quality {
  readonly accuracy: number;
  /** Mean recall of the classes. */
  readonly balancedAccuracy: number;
  readonly macroF1: number;
  /** Of the shown probabilities. */
  readonly logLoss: number;
}

/** How well one class is found; undefined where there is nothing to divide by. */
export interface ClassQuality {
  /** Samples of the class. */
  readonly support: number;
  readonly precision: number | undefined;
  readonly recall: number | undefined;
  readonly f1: number | undefined;
}

/** A sample that the trained model puts into a wrong class. */
export interface Mistake {
  /** The owner's name for the sample: a file name, `sample 17`. */
  readonly sample: string;
  readonly actual: string;
  readonly predicted: string;
  /** Probability of the predicted class. */
  readonly probability: number;
  readonly image?: SampleImage | undefined;
}

/** Everything that the page shows: plain, untrusted data. */
export interface ReportInput {
  readonly title: string;
  /** ISO time. */
  readonly created: string;
  /** Id of the job. */
  readonly job?: string | undefined;
  readonly data: {
    /** Training samples. */
    readonly samples: number;
    /** Held-out samples; 0 if there are none. */
    readonly heldOut: number;
    /** Encrypted columns, bias included. */
    readonly columns: number;
    readonly classes: readonly string[];
    /** Preprocessing of the features in the clear, e.g. `standardize`. */
    readonly preprocessing: string;
  };
  /** The iteration whose weights are the model, from 1; with early stopping not the last one. */
  readonly iteration: number;
  /** On the held-out samples if there are any, else on the training samples. */
  readonly quality: {
    readonly encrypted: Quality;
    /** The same training in the clear. */
    readonly clear: Quality;
    /** Plain softmax regression. */
    readonly plain: Quality;
    /** Accuracy of naming the commonest class always. */
    readonly majority: number;
    /** By class, of the model. */
    readonly classes: readonly ClassQuality[];
  };
  /** What a reader of the accuracy alone would miss. */
  readonly warnings: readonly string[];
  readonly training: Curves;
  readonly heldOut?: Curves | undefined;
  /** Largest absolute difference of a weight to the clear twin's. */
  readonly maxWeightError: number;
  /** Predictions of the held-out samples if there are any, else of the training samples. */
  readonly predictions: {
    /** Row: actual class, column: predicted class. */
    readonly confusion: readonly (readonly number[])[];
    /** Number of all wrong predictions. */
    readonly wrong: number;
    /** The mistakes to show, the most confident first; the page shows at most 24. */
    readonly mistakes: readonly Mistake[];
  };
  /** Wall-clock time of the steps, in order. */
  readonly phases: readonly { readonly name: string; readonly seconds: number }[];
  /** Bytes sent over the network. */
  readonly traffic: readonly { readonly name: string; readonly bytes: number }[];
  readonly operations: readonly { readonly name: string; readonly count: number }[];
  /** Names and values to list, e.g. `['ring', 'N = 16384']`. */
  readonly parameters: readonly (readonly [name: string, value: string])[];
  readonly hyperparameters: readonly (readonly [name: string, value: string])[];
}
