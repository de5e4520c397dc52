/** The form of JSON before it is parsed: what is nested deeply, or has very many parts, costs much to parse. */
import { ContractError } from './contract-error.ts';

export interface JsonLimits {
  /** Arrays and objects within each other. */
  readonly depth: number;
  /** Elements of arrays and members of objects, in all. */
  readonly items: number;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPENING: ReadonlySet<number> = new Set([0x5b, 0x7b]);
const CLOSING: ReadonlySet<number> = new Set([0x5d, 0x7d]);

/**
 * Goes through the bytes once, and stops at the first that is too much.
 * @param what names the text in the error
 * @throws ContractError
 */
export function scanJson(bytes: Uint8Array, what: string, { depth, items }: JsonLimits): void {
  let [level, count] = [0, 0];
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    if (byte === undefined) break;
    if (byte === QUOTE) {
      // To the end of the string.
      for (i++; i < bytes.length && bytes[i] !== QUOTE; i++) if (bytes[i] === BACKSLASH) i++;
    } else if (byte === COMMA) {
      count++;
    } else if (OPENING.has(byte)) {
      count++;
      level++;
      if (level > depth) throw new ContractError(what, [`it is nested deeper than ${depth} levels`]);
    } else if (CLOSING.has(byte)) {
      level--;
    }
    if (count > items) throw new ContractError(what, [`it has more than ${items} parts`]);
  }
}
