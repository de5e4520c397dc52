const POWERS = Float64Array.from({ length: 23 }, (_, k) => Number(`1e${k}`));
/** Digits of a whole number that a double holds exactly, whatever they are. */
const EXACT_DIGITS = 15;

const MINUS = 45;
const PLUS = 43;
const ZERO = 48;
const LOWER_CASE = 32;
const LETTER_E = 101;

/**
 * Reads decimal numbers out of bytes. After {@link read}, `end` is the position after the number.
 *
 * Numbers of at most 15 digits, which are most, are computed from their digits: a quotient or product of a whole number
 * below 2^53 and a power of ten up to 10^22 is rounded once. The others go through `Number`.
 */
export class NumberReader {
  readonly #point: number;
  /** The position after the last number. */
  end = 0;
  /** Whether the last number is whole and beyond what a double holds exactly: its spelling says more than its value. */
  inexact = false;

  /** @param point the byte of the decimal point */
  constructor(point: number) {
    this.#point = point;
  }

  /**
   * Reads the number that starts at `start`.
   * @returns NaN when there is none, or it is beyond the range of a double
   */
  read(bytes: Uint8Array, start: number, limit: number): number {
    let i = start;
    const sign = bytes[i]!;
    if (sign === MINUS || sign === PLUS) i++;
    let value = 0;
    let digits = 0;
    let digitsSeen = 0;
    let scale = 0;
    for (; i < limit; i++) {
      const digit = bytes[i]! - ZERO;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
      digitsSeen++;
      if (value > 0) digits++;
    }
    const whole = digits;
    if (i < limit && bytes[i] === this.#point) {
      i++;
      for (; i < limit; i++) {
        const digit = bytes[i]! - ZERO;
        if (digit < 0 || digit > 9) break;
        value = value * 10 + digit;
        digitsSeen++;
        scale--;
        if (value > 0) digits++;
      }
    }
    if (digitsSeen === 0) return NaN;
    this.inexact = false;
    if (i < limit && (bytes[i]! | LOWER_CASE) === LETTER_E) {
      let j = i + 1;
      const negative = bytes[j] === MINUS;
      if (negative || bytes[j] === PLUS) j++;
      const from = j;
      let exponent = 0;
      for (; j < limit; j++) {
        const digit = bytes[j]! - ZERO;
        if (digit < 0 || digit > 9) break;
        if (exponent < 100_000) exponent = exponent * 10 + digit;
      }
      // A letter without an exponent belongs to what follows, which makes the cell no number.
      if (j > from) {
        scale += negative ? -exponent : exponent;
        i = j;
      }
    } else this.inexact = whole > EXACT_DIGITS;
    this.end = i;
    if (digits <= EXACT_DIGITS && scale >= -22 && scale <= 22)
      value = scale < 0 ? value / POWERS[-scale]! : value * POWERS[scale]!;
    else value = this.#slow(bytes, sign === MINUS || sign === PLUS ? start + 1 : start, i);
    if (value === Infinity) return NaN;
    return sign === MINUS ? -value : value;
  }

  #slow(bytes: Uint8Array, start: number, end: number): number {
    let text = '';
    for (let i = start; i < end; i++) text += bytes[i] === this.#point ? '.' : String.fromCharCode(bytes[i]!);
    return Number(text);
  }
}
