/** Limits on data, checked while reading, before memory is taken. */
export interface DataLimits {
  /** Most numbers of a dataset (n x d). */
  readonly values: number;
  /** Most samples (n) of a dataset or an IDX file. */
  readonly samples: number;
  /** Most decompressed bytes of pixels or labels of an IDX file. */
  readonly idxBytes: number;
  /** Most bytes of one CSV record: stops an unclosed quote from swallowing a whole file. */
  readonly csvRecordBytes: number;
}

/** 1 GiB of doubles, 280 times the samples of MNIST, 1 GiB of pixels, and records of about 200,000 features. */
export const LIMITS: DataLimits = {
  values: 2 ** 27,
  samples: 2 ** 24,
  idxBytes: 2 ** 30,
  csvRecordBytes: 4 * 2 ** 20,
};

/** Most characters of a label. */
export const MAX_LABEL_LENGTH = 200;
