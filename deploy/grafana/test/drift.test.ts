/** The committed dashboards are what the sources make. */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { dashboards, fileOf } from '../src/index.ts';
import { DIRECTORY } from './support.ts';

it('dashboards/*.json are what node deploy/grafana/src/generate.ts writes', () => {
  const files = dashboards();
  assert.deepEqual(readdirSync(DIRECTORY).sort(), [...files.keys()].sort());
  for (const [name, dashboard] of files) {
    assert.equal(
      readFileSync(join(DIRECTORY, name), 'utf8'),
      fileOf(dashboard),
      `${name} is behind its source; run: node deploy/grafana/src/generate.ts`,
    );
  }
});
