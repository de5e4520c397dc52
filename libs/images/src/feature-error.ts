import { BlindfitError } from '@blindfit/base';

/** Every `code` a {@link FeatureError} can carry. */
export const FEATURE_ERROR_CODES = [
  'bad-folder', // not a folder of images
  'bad-image', // a file that cannot be decoded, or that is no PNG, JPEG or WebP
  'bad-labels', // labels that are missing, do not match the images, or cannot be written
  'bad-argument', // an option outside its allowed range
  'bad-model', // not a model onnxruntime can load, or not one that turns images into features
  'bad-weights', // weights of a backbone that are missing, damaged, or of another network
  'unknown-output', // no output chosen where there are several, or one that does not exist
  'model-failed', // onnxruntime gave up on a batch
  'not-finite', // NaN or infinite features
  'bad-file', // a features file that is damaged, or a path that cannot be written to
  'bad-cache', // the cache cannot be read or written
] as const;

/** See {@link FEATURE_ERROR_CODES}. */
export type FeatureErrorCode = (typeof FEATURE_ERROR_CODES)[number];

/** What this package throws on bad input; the message holds what is wrong, what is allowed and what to do. */
export class FeatureError extends BlindfitError {
  override readonly code: FeatureErrorCode;

  constructor(code: FeatureErrorCode, message: string, options?: ErrorOptions) {
    super(code, message, options);
    this.code = code;
  }
}
