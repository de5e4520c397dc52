/** The packages that are published: `blindfit` and every workspace that it needs. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { required } from '@blindfit/base';
import { ROOT } from '../steps.ts';

export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly description?: string | undefined;
  readonly exports?: Readonly<Record<string, string>> | undefined;
  readonly bin?: Readonly<Record<string, string>> | undefined;
  readonly dependencies?: Readonly<Record<string, string>> | undefined;
  /** What is published besides the compiled sources. */
  readonly files?: readonly string[] | undefined;
}

export interface Package {
  /** From the root, e.g. `libs/he`. */
  readonly directory: string;
  readonly manifest: Manifest;
}

function readManifest(directory: string): Manifest {
  return JSON.parse(readFileSync(join(ROOT, directory, 'package.json'), 'utf8')) as Manifest;
}

/** `blindfit` first, then what it needs, directly or through others. */
export function publishedPackages(): Package[] {
  const { workspaces } = readManifest('.') as Manifest & { readonly workspaces: readonly string[] };
  const directories = globSync(
    workspaces.map((pattern) => `${pattern}/package.json`),
    { cwd: ROOT },
  );
  const byName = new Map(
    directories.map((path): [string, Package] => {
      const directory = path.slice(0, -'/package.json'.length);
      const manifest = readManifest(directory);
      return [manifest.name, { directory, manifest }];
    }),
  );
  const names = new Set(['blindfit']);
  for (const name of names) {
    const { manifest } = required(byName.get(name), `the workspace ${name}`);
    for (const dependency of Object.keys(manifest.dependencies ?? {})) {
      if (byName.has(dependency)) names.add(dependency);
    }
  }
  return Array.from(names, (name) => required(byName.get(name), `the workspace ${name}`));
}

/** Lowest Node that runs the packages. */
const NODE = '>=24.15';

/**
 * The package.json that is published: entries lead to compiled files, nothing is left that only a checkout needs.
 * @param gitHead the commit
 */
export function publishedManifest(
  { name, version, license, description, exports, bin, ...rest }: Manifest,
  gitHead: string | undefined,
): object {
  return {
    name,
    version,
    gitHead,
    description: description ?? `Part of blindfit: ${name.replace('@blindfit/', '')}`,
    license,
    type: 'module',
    engines: { node: NODE },
    exports: Object.fromEntries(Object.entries(exports ?? {}).map(([entry, source]) => [entry, compiledEntry(source)])),
    bin,
    files: ['dist', ...(bin === undefined ? [] : ['bin']), ...(rest.files ?? [])],
    dependencies: rest.dependencies,
  };
}

function compiledEntry(source: string): { types: string; default: string } {
  const path = source.replace(/^\.\/src\//, './dist/').replace(/\.ts$/, '');
  return { types: `${path}.d.ts`, default: `${path}.js` };
}
