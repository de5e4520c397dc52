/**
 * Extracts features, batch by batch and not too fast, until it is killed; or, with a third argument, until it exits in
 * the middle.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { extractFeatures, loadBackbone, openIdxSource } from '../../src/index.ts';

const [images = '', cacheDirectory = '', how] = process.argv.slice(2);
const source = await openIdxSource({ images });
const backbone = await loadBackbone({ backbone: 'scattering' });
for await (const row of extractFeatures({ source, backbone, batch: how === undefined ? 10 : 100, cacheDirectory })) {
  if (row.index % 10 !== 9) continue;
  process.stdout.write('batch\n');
  if (how === undefined) await sleep(30);
  // The next batch is under way.
  else process.exit(7);
}
