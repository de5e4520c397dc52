import { MAX_LABEL_LENGTH } from './limits.ts';

/** A finite decimal number as people and numpy write it; no hexadecimal, no underscores, no decimal comma. */
const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;

const CANONICAL_INTEGER = /^(?:0|-?[1-9]\d*)$/;

/** The value of a decimal number, or NaN for anything else, overflow (`1e999`) included. `text` must be trimmed. */
export function parseDecimal(text: string): number {
  const value = DECIMAL.test(text) ? Number(text) : NaN;
  return Number.isFinite(value) ? value : NaN;
}

/**
 * One spelling per label: trimmed, in Unicode form NFC, and a whole number written as digits, so that `5`, `5.0` and
 * `5.000e+00` are one class. Integers a double cannot hold exactly stay as written, or two different labels could
 * become one.
 */
export function normaliseLabel(text: string): string {
  const trimmed = text.trim().normalize('NFC');
  const value = parseDecimal(trimmed);
  return Number.isSafeInteger(value) ? String(value) : trimmed;
}

/** Whether a normalised label is a whole number that a double holds exactly. */
export function isIntegerLabel(label: string): boolean {
  return CANONICAL_INTEGER.test(label) && Number.isSafeInteger(Number(label));
}

/** Why a trimmed label cannot be used, or undefined if it can. */
export function labelProblem(label: string): string | undefined {
  if (label === '') return 'the label is empty; every sample needs one, or `missing` drop';
  if (/^nan$/i.test(label))
    return 'the label is NaN, a missing value; give the sample a label, or leave such rows out (`missing` drop)';
  if (label.length > MAX_LABEL_LENGTH)
    return `the label has ${label.length} characters; at most ${MAX_LABEL_LENGTH} are allowed`;
  if (/\p{Cc}|\uFFFD/u.test(label))
    return 'the label holds control characters or is not valid UTF-8; use plain UTF-8 text';
  return undefined;
}
