// Draws the data of @blindfit/demo: npm run draw -w tools/digits
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { digitFiles, type Split } from '@blindfit/demo';
import { drawImage, subjects } from './data-set.ts';
import { IMAGE_SIZE } from './draw-digit.ts';
import { licensesText } from './licenses.ts';

/** An IDX file of bytes: magic number with the count of dimensions, the dimensions, the data; all big-endian. */
function idx(dimensions: number[], data: Uint8Array): Buffer {
  const header = Buffer.alloc(4 + 4 * dimensions.length);
  header.writeUInt32BE(0x0800 | dimensions.length);
  dimensions.forEach((length, i) => header.writeUInt32BE(length, 4 + 4 * i));
  return Buffer.concat([header, data]);
}

for (const split of ['train', 'heldout'] satisfies Split[]) {
  const shown = subjects(split);
  const images = Buffer.concat(shown.map((subject, index) => drawImage(split, index, subject)));
  const labels = Uint8Array.from(shown, ({ digit }) => digit);
  const files = digitFiles(split);
  writeFileSync(files.images, gzipSync(idx([shown.length, IMAGE_SIZE, IMAGE_SIZE], images), { level: 9 }));
  writeFileSync(files.labels, gzipSync(idx([shown.length], labels), { level: 9 }));
  console.log(`Drew ${shown.length} images: ${files.images}`);
}
writeFileSync(fileURLToPath(new URL('../../../demo/data/LICENSES.md', import.meta.url)), await licensesText());
