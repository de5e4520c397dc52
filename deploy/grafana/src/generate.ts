/** Writes the dashboards: `node deploy/grafana/src/generate.ts`. `drift.test.ts` fails when a file is behind. */
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { dashboards, fileOf } from './index.ts';

const directory = join(import.meta.dirname, '..', 'dashboards');
const files = dashboards();
for (const name of readdirSync(directory)) {
  if (!files.has(name)) rmSync(join(directory, name));
}
for (const [name, dashboard] of files) {
  writeFileSync(join(directory, name), fileOf(dashboard));
  process.stdout.write(`${name}: ${String(dashboard.panels?.length)} panels and rows\n`);
}
