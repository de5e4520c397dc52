import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import opentype, { type Font } from 'opentype.js';

/** One closed contour: points of a polygon whose last point joins the first. x grows to the right, y downwards. */
export type Contour = [x: number, y: number][];

const SIZE = 100;
const STEPS_PER_CURVE = 12;
// Straight lines are cut as well: the deformation moves points, and a line without points between its ends cannot bend.
const LINE_STEP = 4;

const loaded = new Map<string, Font>();

function loadFont(name: string): Font {
  let font = loaded.get(name);
  if (!font) {
    const bytes = readFileSync(
      fileURLToPath(import.meta.resolve(`@fontsource/${name}/files/${name}-latin-400-normal.woff`)),
    );
    font = opentype.parse(new Uint8Array(bytes).buffer);
    loaded.set(name, font);
  }
  return font;
}

/**
 * The outline of a digit in a font, as polygons at a font size of 100 units. Contours may overlap; ink is where the
 * winding number is not zero.
 * @throws Error when the font has no glyph for the digit.
 */
export function digitOutline(fontName: string, digit: number): Contour[] {
  const glyph = loadFont(fontName).charToGlyph(String(digit));
  if (glyph.index === 0)
    throw new Error(`Font ${fontName} has no digit ${digit}: take it out of the list in fonts.ts.`);
  const contours: Contour[] = [];
  let contour: Contour = [];
  let [x, y] = [0, 0];
  for (const command of glyph.getPath(0, 0, SIZE).commands) {
    if (command.type === 'Z') continue;
    if (command.type === 'M') {
      contour = [[command.x, command.y]];
      contours.push(contour);
    } else {
      const steps =
        command.type === 'L' ? Math.ceil(Math.hypot(command.x - x, command.y - y) / LINE_STEP) : STEPS_PER_CURVE;
      for (let step = 1; step <= steps; step++) {
        const t = step / steps;
        const s = 1 - t;
        if (command.type === 'C') {
          const [a, b, c, d] = [s * s * s, 3 * s * s * t, 3 * s * t * t, t * t * t];
          contour.push([
            a * x + b * command.x1 + c * command.x2 + d * command.x,
            a * y + b * command.y1 + c * command.y2 + d * command.y,
          ]);
        } else if (command.type === 'Q') {
          const [a, b, c] = [s * s, 2 * s * t, t * t];
          contour.push([a * x + b * command.x1 + c * command.x, a * y + b * command.y1 + c * command.y]);
        } else {
          contour.push([s * x + t * command.x, s * y + t * command.y]);
        }
      }
    }
    [x, y] = [command.x, command.y];
  }
  return contours;
}
