import { crc32, deflateSync } from 'node:zlib';
import type { SampleImage } from './input.ts';

/** Longest side of an image in the page; larger ones are reduced. Pixels. */
const MAX_SIDE = 112;

/**
 * Encodes an image as PNG, reduced to at most 112 pixels a side.
 * @returns a `data:` URI
 * @throws RangeError if the pixels do not fit the sizes
 */
export function pngDataUri(image: SampleImage): string {
  const { width, height, channels, data } = image;
  const sound = Number.isSafeInteger(width) && Number.isSafeInteger(height) && width > 0 && height > 0;
  if (!sound || data.length !== width * height * channels) {
    throw new RangeError(
      `an image of ${width} x ${height} pixels and ${channels} channels cannot have ${data.length} values`,
    );
  }
  return `data:image/png;base64,${encodePng(reduced(image)).toString('base64')}`;
}

/** Box filter: each pixel becomes the mean of the pixels it covers. */
function reduced(image: SampleImage): SampleImage {
  const factor = Math.max(image.width, image.height) / MAX_SIDE;
  if (factor <= 1) return image;
  const [width, height] = [image.width, image.height].map((side) => Math.max(1, Math.round(side / factor))) as [
    number,
    number,
  ];
  const { channels } = image;
  const data = new Uint8Array(width * height * channels);
  const span = (pixel: number, to: number, from: number): [number, number] => {
    const start = Math.floor((pixel * from) / to);
    return [start, Math.max(start + 1, Math.floor(((pixel + 1) * from) / to))];
  };
  for (let y = 0, to = 0; y < height; y++) {
    const [top, bottom] = span(y, height, image.height);
    for (let x = 0; x < width; x++) {
      const [left, right] = span(x, width, image.width);
      for (let channel = 0; channel < channels; channel++, to++) {
        let sum = 0;
        for (let row = top; row < bottom; row++)
          for (let column = left; column < right; column++)
            sum += image.data[(row * image.width + column) * channels + channel]!;
        data[to] = Math.round(sum / ((bottom - top) * (right - left)));
      }
    }
  }
  return { width, height, channels, data };
}

/** PNG specification, third edition: signature, IHDR, one IDAT of unfiltered rows, IEND. */
function encodePng({ width, height, channels, data }: SampleImage): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = 8; // bits a channel
  header[9] = channels === 1 ? 0 : 2; // grey or RGB
  const stride = width * channels;
  const rows = Buffer.alloc(height * (stride + 1));
  for (let row = 0; row < height; row++)
    rows.set(data.subarray(row * stride, (row + 1) * stride), row * (stride + 1) + 1);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([
    signature,
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(rows, { level: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(type: string, content: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), content]);
  const framed = Buffer.alloc(body.length + 8);
  framed.writeUInt32BE(content.length, 0);
  framed.set(body, 4);
  framed.writeUInt32BE(crc32(body), body.length + 4);
  return framed;
}
