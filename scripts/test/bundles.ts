/** Packages of hundreds of small modules, each made into few files, because a test run starts some 700 processes. */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build, version } from 'esbuild';
import { ROOT } from '../steps.ts';

const PACKAGES = ['typebox'];
const DIRECTORY = join(ROOT, '.blindfit', 'bundles');

interface Manifest {
  readonly version: string;
  readonly exports: Readonly<Record<string, { readonly import: string }>>;
}

function manifestOf(name: string): Manifest {
  return JSON.parse(readFileSync(join(ROOT, 'node_modules', name, 'package.json'), 'utf8')) as Manifest;
}

/**
 * Bundles the packages unless that is done.
 * @returns the URL of a module that, loaded before a program, makes its imports of the packages find the bundles
 */
export async function bundlePackages(): Promise<string> {
  const facts = [
    version,
    readFileSync(import.meta.filename, 'utf8'),
    ...PACKAGES.map((name) => manifestOf(name).version),
  ];
  const directory = join(DIRECTORY, createHash('sha256').update(facts.join('\n')).digest('hex').slice(0, 24));
  const url = pathToFileURL(join(directory, 'use.mjs')).href;
  if (existsSync(directory)) return url;
  mkdirSync(DIRECTORY, { recursive: true });
  const unfinished = mkdtempSync(join(DIRECTORY, 'unfinished-'));
  try {
    const files: Record<string, string> = {};
    for (const name of PACKAGES) Object.assign(files, await bundle(name, unfinished));
    writeFileSync(join(unfinished, 'use.mjs'), preload(files));
    chmodSync(unfinished, 0o755); // some tests run programs as another user
    renameSync(unfinished, directory);
  } catch (error) {
    // Another run may have been faster.
    if (!existsSync(directory)) throw error;
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
  return url;
}

/** @returns the file in the directory of every specifier that the package exports */
async function bundle(name: string, directory: string): Promise<Record<string, string>> {
  const entries = Object.entries(manifestOf(name).exports).map(([path, { import: source }], i) => ({
    specifier: name + path.slice(1),
    source: join(ROOT, 'node_modules', name, source),
    out: `${name}-${i}`,
  }));
  await build({
    entryPoints: entries.map(({ source, out }) => ({ in: source, out })),
    ...{ outdir: directory, outExtension: { '.js': '.mjs' }, logLevel: 'warning' },
    ...{ bundle: true, splitting: true, format: 'esm', platform: 'node', packages: 'external' },
  });
  return Object.fromEntries(entries.map(({ specifier, out }) => [specifier, `./${out}.mjs`]));
}

/** An older Node, which some tests run, has no hooks and imports none of the packages. */
function preload(files: Readonly<Record<string, string>>): string {
  return `import * as module from 'node:module';
const files = new Map(Object.entries(${JSON.stringify(files)}));
module.registerHooks?.({
  resolve(specifier, context, next) {
    const file = files.get(specifier);
    if (file === undefined) return next(specifier, context);
    return { url: new URL(file, import.meta.url).href, format: 'module', shortCircuit: true };
  },
});
`;
}
