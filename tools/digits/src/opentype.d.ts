// opentype.js ships no types; this declares the small part of it that the drawing script uses.
declare module 'opentype.js' {
  export type PathCommand =
    | { type: 'M' | 'L'; x: number; y: number }
    | { type: 'Q'; x1: number; y1: number; x: number; y: number }
    | { type: 'C'; x1: number; y1: number; x2: number; y2: number; x: number; y: number }
    | { type: 'Z' };
  export interface Glyph {
    /** 0 is the "missing character" glyph. */
    index: number;
    getPath(x: number, y: number, fontSize: number): { commands: PathCommand[] };
  }
  export interface Font {
    charToGlyph(character: string): Glyph;
  }
  const opentype: {
    /** Parses a TrueType, OpenType or WOFF (not WOFF2) file. */
    parse(bytes: ArrayBuffer): Font;
  };
  export default opentype;
}
