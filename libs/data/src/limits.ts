/** Most numbers a dataset may hold (n x d): 2^27 doubles, 1 GiB. Checked while reading, before memory is taken. */
export const MAX_DATASET_VALUES = 2 ** 27;

/** Most samples (n) a dataset or IDX file may hold: 2^24, 280 times MNIST. */
export const MAX_SAMPLES = 2 ** 24;

/** Most bytes of pixels or labels an IDX file may hold once decompressed: 1 GiB. */
export const MAX_IDX_BYTES = 2 ** 30;

/**
 * Most bytes one CSV record may hold: 4 MiB, about 200,000 features. Stops an unclosed quote from swallowing a whole
 * file.
 */
export const MAX_CSV_RECORD_BYTES = 4 * 2 ** 20;

/** Most characters a label may have. */
export const MAX_LABEL_LENGTH = 200;
