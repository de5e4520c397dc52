/**
 * Makes the packages that are published: `npm run build [-- --pack] [--out DIRECTORY]`. Each is left in `dist/packages`
 * as compiled JavaScript with declarations and source maps; with `--pack` also as `dist/*.tgz`. The native evaluator is
 * built for this machine and goes along.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { gitRevision } from '@blindfit/base/node';
import { buildNative } from '../../libs/he/native/build.mjs';
import { ROOT } from '../steps.ts';
import { publishedManifest, publishedPackages, type Package } from './packages.ts';

const { values } = parseArgs({
  options: { pack: { type: 'boolean', default: false }, out: { type: 'string', default: join(ROOT, 'dist') } },
});
const DIST = resolve(values.out);
const STAGING = join(DIST, 'packages');
const COMPILED = join(DIST, 'compiled');

const packages = publishedPackages();
rmSync(DIST, { recursive: true, force: true });
mkdirSync(STAGING, { recursive: true });
compile();
for (const each of packages) stage(each);
rmSync(COMPILED, { recursive: true });
await shipNative();
if (values.pack) pack();

function stagingOf({ manifest }: Package): string {
  return join(STAGING, manifest.name.replace('@blindfit/', ''));
}

function compile(): void {
  const config = join(DIST, 'tsconfig.json');
  writeFileSync(
    config,
    JSON.stringify({
      extends: join(ROOT, 'tsconfig.json'),
      compilerOptions: {
        noEmit: false,
        rootDir: ROOT,
        outDir: COMPILED,
        typeRoots: [join(ROOT, 'node_modules/@types')],
        rewriteRelativeImportExtensions: true,
        declaration: true,
        sourceMap: true,
        inlineSources: true,
        // `npm run typecheck` checks the types.
        noCheck: true,
      },
      include: packages.map(({ directory }) => join(ROOT, directory, 'src')),
    }),
  );
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  execFileSync(process.execPath, [tsc, '-p', config], { stdio: ['ignore', 2, 2] });
  rmSync(config);
}

function stage(each: Package): void {
  const { directory, manifest } = each;
  const source = join(ROOT, directory);
  const target = stagingOf(each);
  mkdirSync(target);
  renameSync(join(COMPILED, directory, 'src'), join(target, 'dist'));
  for (const path of globSync('**/*.d.ts', { cwd: join(target, 'dist') }))
    rewriteDeclaration(join(target, 'dist', path));
  // Scripts of the sources and other files that they read.
  for (const path of globSync('src/**/*.{lua,json,css,html}', { cwd: source })) {
    cpSync(join(source, path), join(target, path.replace(/^src/, 'dist')));
  }
  for (const path of ['bin', ...(manifest.files ?? [])]) {
    if (existsSync(join(source, path))) cpSync(join(source, path), join(target, path), { recursive: true });
  }
  cpSync(join(ROOT, 'LICENSE'), join(target, 'LICENSE'));
  const readme = join(source, 'README.md');
  if (existsSync(readme)) cpSync(readme, join(target, 'README.md'));
  else writeFileSync(join(target, 'README.md'), `# ${manifest.name}\n\nPart of blindfit.\n`);
  writeFileSync(
    join(target, 'package.json'),
    `${JSON.stringify(publishedManifest(manifest, gitRevision(ROOT)), undefined, 2)}\n`,
  );
}

/** tsc rewrites the extensions of imports in JavaScript only. */
function rewriteDeclaration(path: string): void {
  const text = readFileSync(path, 'utf8');
  writeFileSync(path, text.replace(/((?:from |import\()'\.{1,2}\/[^'\n]*)\.ts'/g, "$1.js'"));
}

/** The addon for this machine beside the sources, from which other machines compile it. */
async function shipNative(): Promise<void> {
  const he = packages.find(({ manifest }) => manifest.name === '@blindfit/he');
  if (he === undefined) throw new Error('the published packages lack @blindfit/he');
  const built = await buildNative();
  if ('reason' in built) throw new Error(`no native evaluator to publish: ${built.reason}`);
  const target = join(stagingOf(he), 'native/prebuilt', `${process.platform}-${process.arch}`, basename(built.path));
  mkdirSync(dirname(target), { recursive: true });
  cpSync(built.path, target);
}

function pack(): void {
  const directories = packages.map(stagingOf);
  const npm = ['pack', '--silent', '--pack-destination', DIST, ...directories];
  const names = execFileSync('npm', npm, { encoding: 'utf8', stdio: ['ignore', 'pipe', 2] });
  for (const name of names.trim().split('\n')) process.stdout.write(`${join(DIST, name)}\n`);
}
