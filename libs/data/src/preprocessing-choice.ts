import { DatasetError, quoted } from './dataset-error.ts';

/** Kinds of preprocessing of features in the clear, before they are encrypted. */
export const PREPROCESSING_KINDS = ['none', 'center', 'standardize', 'pca'] as const;

/** See {@link PREPROCESSING_KINDS}. */
export type PreprocessingKind = (typeof PREPROCESSING_KINDS)[number];

/** The spellings {@link parsePreprocessingKind} accepts, for messages and help. */
export const PREPROCESSING_SPELLINGS = 'none, center, standardize, pca:K and pca:K:whiten';

/** Project on the first k principal components, k at least 1; `whiten` divides each by its standard deviation. */
export interface PcaChoice {
  readonly kind: 'pca';
  readonly k: number;
  readonly whiten: boolean;
}

/** A preprocessing that is asked for and not yet fitted. */
export type PreprocessingChoice = Exclude<PreprocessingKind, 'pca'> | PcaChoice;

/**
 * Reads a choice as users spell it: `none`, `center`, `standardize`, `pca:50`, `pca:50:whiten`.
 * @throws DatasetError `bad-argument`
 */
export function parsePreprocessingKind(text: string): PreprocessingChoice {
  switch (text) {
    case 'none':
    case 'center':
    case 'standardize':
      return text;
    default: {
      const match = /^pca:([1-9]\d{0,8})(:whiten)?$/.exec(text);
      if (match === null) {
        throw new DatasetError(
          'bad-argument',
          `unknown preprocessing ${quoted(text)}; use one of ${PREPROCESSING_SPELLINGS}, ` +
            'where K is the whole number of components to keep',
        );
      }
      return Object.freeze({ kind: 'pca', k: Number(match[1]), whiten: match[2] !== undefined });
    }
  }
}
