/** Extracts features of size 224 and prints how much memory that took. */
import { extractFeatures, openIdxSource } from '../../src/index.ts';
import { oneStep } from './onnx.ts';

const source = await openIdxSource({ images: process.argv[2]! });
const backbone = {
  name: 'mean.onnx',
  bytes: oneStep(['N', 3, 'H', 'W'], 'GlobalAveragePool', ['N', 3, 1, 1]),
  size: 224,
};
let [rows, early, late] = [0, 0, 0];
for await (const { index } of extractFeatures({ source, backbone })) {
  rows++;
  if (index === 499 || index === source.count - 1) {
    globalThis.gc?.();
    const { rss } = process.memoryUsage();
    if (index === 499) early = rss;
    else late = rss;
  }
}
process.stdout.write(JSON.stringify({ rows, early, late }));
