import { IMAGE_COUNT, type Split } from '@blindfit/demo';
import { drawDigit } from './draw-digit.ts';
import { FONTS } from './fonts.ts';
import { Random } from './random.ts';

/** What one image of a split shows. */
export interface Subject {
  digit: number;
  font: string;
}

// Any shuffled group of this many images is balanced over classes and fonts: it is the batch of the main demo.
const GROUP = 128;
const SEED: Readonly<Record<Split, number>> = { train: 20_240_001, heldout: 20_240_002 };

/**
 * Digit and font of every image of a split, in file order. Within each 128 consecutive images every class occurs 12 or
 * 13 times (25 or 26 times in 256), each time in another font as far as there are fonts.
 */
export function subjects(split: Split): Subject[] {
  const fonts = FONTS[split];
  const random = new Random(SEED[split]);
  const all: Subject[] = [];
  for (let start = 0; start < IMAGE_COUNT[split]; start += GROUP) {
    const group: Subject[] = [];
    for (let i = start; i < start + GROUP; i++) {
      const digit = i % 10;
      // The classes start at different fonts, or a group would show some fonts more than others.
      const font = fonts[(Math.floor(i / 10) + digit * 3) % fonts.length];
      if (font === undefined) throw new Error(`No fonts are listed for the split ${split} in fonts.ts.`);
      group.push({ digit, font });
    }
    random.shuffle(group);
    all.push(...group);
  }
  return all;
}

/** Draws image `index` of a split: 28 x 28 bytes. Each image has its own seed, so any one can be drawn again alone. */
export function drawImage(split: Split, index: number, { digit, font }: Subject): Uint8Array {
  return drawDigit(font, digit, new Random(Math.imul(SEED[split] + index, 0x9e3779b1)));
}
