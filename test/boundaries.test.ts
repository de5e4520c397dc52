/**
 * Who may import whom. The servers never hold what decrypts: none of their modules, directly or through others, reaches
 * the owner’s packages. Packages form layers, declare what they use, and SEAL stays behind libs/he.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { required } from '@blindfit/base';
import { LAYERS } from './layers.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

interface PackageJson {
  readonly name: string;
  readonly workspaces?: readonly string[];
  readonly exports?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

interface Package {
  readonly name: string;
  /** Relative to the root, e.g. `libs/he`. */
  readonly directory: string;
  readonly json: PackageJson;
}

interface Import {
  /** As it is written. */
  readonly specifier: string;
  /** Of nothing but types: gone when the program runs. */
  readonly typeOnly: boolean;
  /** By `import()`: loaded when it is needed, if ever. */
  readonly lazy?: true;
}

function readPackage(directory: string): PackageJson {
  return JSON.parse(readFileSync(join(ROOT, directory, 'package.json'), 'utf8')) as PackageJson;
}

function workspaces(): Package[] {
  const directories = (readPackage('.').workspaces ?? []).flatMap((pattern) =>
    pattern.endsWith('/*')
      ? readdirSync(join(ROOT, pattern.slice(0, -2))).map((name) => `${pattern.slice(0, -2)}/${name}`)
      : [pattern],
  );
  return directories
    .filter((directory) => existsSync(join(ROOT, directory, 'package.json')))
    .map((directory) => ({ directory, json: readPackage(directory), name: readPackage(directory).name }));
}

/** Paths relative to the root, with `/`. */
function files(directory: string, accept: (name: string) => boolean): string[] {
  return readdirSync(join(ROOT, directory), { withFileTypes: true }).flatMap((entry) => {
    const path = directory === '' ? entry.name : `${directory}/${entry.name}`;
    if (['node_modules', 'dist', '.git', '.blindfit'].includes(entry.name)) return [];
    if (entry.isDirectory()) return files(path, accept);
    return entry.isFile() && accept(entry.name) ? [path] : [];
  });
}

const isSource = (name: string): boolean => name.endsWith('.ts');

/** Imports, exports from elsewhere, and `import()` of a text. */
function importsOf(file: string): Import[] {
  const source = ts.createSourceFile(file, readFileSync(join(ROOT, file), 'utf8'), ts.ScriptTarget.Latest, true);
  const found: Import[] = [];
  const visit = (node: ts.Node): void => {
    if (
      (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) &&
      node.moduleSpecifier !== undefined &&
      ts.isStringLiteral(node.moduleSpecifier)
    ) {
      found.push({ specifier: node.moduleSpecifier.text, typeOnly: isTypeOnly(node) });
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const [what] = node.arguments;
      assert.ok(
        what !== undefined && ts.isStringLiteral(what),
        `${file}: import() of something computed cannot be checked`,
      );
      found.push({ specifier: what.text, typeOnly: false, lazy: true });
    } else if (
      ts.isImportTypeNode(node) &&
      ts.isLiteralTypeNode(node.argument) &&
      ts.isStringLiteral(node.argument.literal)
    ) {
      found.push({ specifier: node.argument.literal.text, typeOnly: true });
    } else if (
      (ts.isNewExpression(node) || ts.isCallExpression(node)) &&
      ['URL', 'moduleUrl'].includes(node.expression.getText()) &&
      node.arguments?.[1]?.getText() === 'import.meta.url'
    ) {
      // Entries of threads and processes: moduleUrl('./thread.ts', import.meta.url).
      const [what] = node.arguments;
      if (what !== undefined && ts.isStringLiteral(what) && isSource(what.text))
        found.push({ specifier: what.text.replace(/^(?!\.)/, './'), typeOnly: false });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

function isTypeOnly(node: ts.ImportDeclaration | ts.ExportDeclaration): boolean {
  if (ts.isExportDeclaration(node)) return node.isTypeOnly;
  const clause = node.importClause;
  if (clause === undefined) return false;
  const { namedBindings } = clause;
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true;
  return (
    clause.name === undefined &&
    namedBindings !== undefined &&
    ts.isNamedImports(namedBindings) &&
    namedBindings.elements.length > 0 &&
    namedBindings.elements.every((element) => element.isTypeOnly)
  );
}

/** `@scope/name/part` is of package `@scope/name`. */
function packageNameOf(specifier: string): string {
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
}

const packages = workspaces();
const byName = new Map(packages.map((each) => [each.name, each]));
const sources = files('', isSource);
const imports = new Map(sources.map((file) => [file, importsOf(file)]));

function packageOf(file: string): Package | undefined {
  return packages.find(({ directory }) => file.startsWith(`${directory}/`));
}

function isOwnSource(file: string): boolean {
  const own = packageOf(file);
  return own !== undefined && file.startsWith(`${own.directory}/src/`);
}

/** The file of ours that an import leads to. */
function target(file: string, specifier: string): string | undefined {
  if (specifier.startsWith('.'))
    return relative(ROOT, resolve(ROOT, dirname(file), specifier))
      .split(sep)
      .join('/');
  const own = byName.get(packageNameOf(specifier));
  if (own === undefined) return undefined;
  const entry = own.json.exports?.[`.${specifier.slice(own.name.length)}`];
  assert.ok(entry !== undefined, `${file}: ${own.name} does not export ${specifier}`);
  return `${own.directory}/${entry.replace(/^\.\//, '')}`;
}

/** Every file reachable from some, with the way to it. */
function reach(
  from: readonly string[],
  through: (each: Import) => boolean = () => true,
): Map<string, readonly string[]> {
  const ways = new Map<string, readonly string[]>(from.map((file) => [file, [file]]));
  for (const [file, way] of ways) {
    for (const { specifier } of (imports.get(file) ?? []).filter(through)) {
      const next = target(file, specifier);
      if (next !== undefined && !ways.has(next)) ways.set(next, [...way, next]);
    }
  }
  return ways;
}

it('all sources are seen', () => {
  assert.ok(packages.length >= 12, String(packages.length));
  for (const expected of ['libs/he', 'libs/owner', 'libs/compute', 'services/worker', 'cli'])
    assert.ok(
      packages.some(({ directory }) => directory === expected),
      expected,
    );
  assert.ok(
    importsOf('libs/compute/src/pool.ts').some(({ specifier }) => specifier === './thread.ts'),
    'threads are reached through their URL',
  );
  for (const [file, found] of imports) {
    for (const { specifier } of found) {
      const next = target(file, specifier);
      if (next !== undefined)
        assert.ok(existsSync(join(ROOT, next)), `${file} imports ${specifier}, which is not there`);
    }
  }
});

describe('what decrypts stays with the owner', () => {
  const SERVER_SIDE = [
    'services/',
    'libs/compute/',
    'libs/queue/',
    'libs/blobs/',
    'libs/service/',
    'libs/protocol/',
    'libs/training/',
    'libs/he/',
    'libs/base/',
    'libs/http/',
  ];
  const OWNER_SIDE = [
    'libs/owner/',
    'libs/client/',
    'libs/data/',
    'libs/images/',
    'libs/report/',
    'libs/forecast/',
    'cli/',
    'demo/',
    'bench/',
    'examples/',
  ];

  for (const { directory } of packages.filter((each) =>
    SERVER_SIDE.some((prefix) => `${each.directory}/`.startsWith(prefix)),
  )) {
    it(`${directory} reaches none of it`, () => {
      const ways = reach(sources.filter((file) => file.startsWith(`${directory}/src/`)));
      assert.ok(ways.size > 0);
      for (const [file, way] of ways) {
        assert.ok(!OWNER_SIDE.some((prefix) => file.startsWith(prefix)), way.join(' -> '));
      }
    });
  }

  it('would be noticed: the command line does reach it', () => {
    assert.ok(reach(['cli/src/main.ts']).has('libs/owner/src/secret-key.ts'));
  });
});

it('no file imports itself through others, types included', () => {
  const done = new Set<string>();
  const visit = (file: string, way: readonly string[]): void => {
    const start = way.indexOf(file);
    assert.equal(start, -1, [...way.slice(start), file].join(' -> '));
    if (done.has(file)) return;
    for (const { specifier } of imports.get(file) ?? []) {
      const next = target(file, specifier);
      if (next !== undefined) visit(next, [...way, file]);
    }
    done.add(file);
  };
  for (const file of sources) visit(file, []);
});

describe('what runs in browsers imports nothing of Node', () => {
  for (const entry of ['libs/base/src/index.ts', 'libs/he/src/index.ts']) {
    it(entry, () => {
      for (const [file, way] of reach([entry], ({ typeOnly }) => !typeOnly)) {
        const builtin = (imports.get(file) ?? []).find(({ specifier, typeOnly }) => !typeOnly && isBuiltin(specifier));
        assert.equal(builtin, undefined, `${way.join(' -> ')} imports ${String(builtin?.specifier)}`);
      }
    });
  }
});

describe('what starts often starts with little', () => {
  const atStart = ({ typeOnly, lazy }: Import): boolean => !typeOnly && lazy !== true;
  const packagesAtStart = (file: string): Set<string> =>
    new Set(
      [...reach([file], atStart).keys()]
        .flatMap((reached) => (imports.get(reached) ?? []).filter(atStart))
        .map(({ specifier }) => specifier)
        .filter((specifier) => !specifier.startsWith('.') && !isBuiltin(specifier))
        .map(packageNameOf)
        .filter((name) => !byName.has(name)),
    );

  // Both would be nine tenths of its modules and a fifth of its memory.
  it('a compute thread: no schemas, no HTTP client', () => {
    assert.deepEqual([...packagesAtStart('libs/compute/src/thread.ts')].sort(), [
      '@noble/hashes',
      'lru-cache',
      'node-seal',
    ]);
  });
});

describe('SEAL stays behind libs/he', () => {
  it('whose sources import nothing but Node, libs/base, node-seal, hashes and what builds the native evaluator', () => {
    for (const file of sources.filter((each) => each.startsWith('libs/he/src/'))) {
      for (const { specifier } of imports.get(file) ?? []) {
        assert.ok(
          specifier.startsWith('.') ||
            specifier.startsWith('node:') ||
            specifier === 'node-seal' ||
            specifier === '@blindfit/base' ||
            specifier.startsWith('@noble/hashes/'),
          `${file} imports ${specifier}`,
        );
        if (!specifier.startsWith('.')) continue;
        const path = target(file, specifier);
        assert.ok(
          path?.startsWith('libs/he/src/') === true || path === 'libs/he/native/build.mjs',
          `${file} imports ${specifier}`,
        );
      }
    }
  });

  it('and nobody else loads it', () => {
    for (const file of sources.filter(isOwnSource)) {
      for (const { specifier, typeOnly } of imports.get(file) ?? []) {
        if (packageNameOf(specifier) !== 'node-seal') continue;
        if (file.startsWith('libs/he/src/seal/')) continue;
        assert.ok(typeOnly, `${file} loads node-seal: use what libs/he exports`);
        assert.ok(
          ['libs/owner/', 'libs/compute/', 'bench/'].some((prefix) => file.startsWith(prefix)),
          `${file} knows node-seal's types`,
        );
      }
    }
  });

  it('and circuits do not know which library evaluates them', () => {
    const ways = reach(sources.filter((file) => file.startsWith('libs/training/src/')));
    assert.ok(ways.size > 5);
    for (const [file, way] of ways)
      assert.ok(!file.startsWith('libs/he/src/seal/') && !file.startsWith('libs/he/src/native/'), way.join(' -> '));
  });
});

describe('packages', () => {
  /** Packages that the sources of a package use when they run. */
  const uses = new Map(
    packages.map((each) => {
      const own = sources.filter((file) => file.startsWith(`${each.directory}/src/`));
      const names = own.flatMap((file) => (imports.get(file) ?? []).map(({ specifier }) => packageNameOf(specifier)));
      return [each.name, new Set(names.filter((name) => byName.has(name) && name !== each.name))];
    }),
  );

  it('are all in the list of layers', () => {
    assert.deepEqual([...LAYERS].sort(), packages.map(({ directory }) => directory).sort());
  });

  it('import only packages of lower layers, tests included', () => {
    const upward: string[] = [];
    for (const [file, found] of imports) {
      const own = packageOf(file);
      if (own === undefined) continue;
      for (const { specifier } of found) {
        const next = target(file, specifier);
        const other = next === undefined ? undefined : packageOf(next);
        if (other === undefined || other === own) continue;
        if (LAYERS.indexOf(other.directory) > LAYERS.indexOf(own.directory))
          upward.push(`${file} imports ${specifier}`);
      }
    }
    assert.deepEqual(upward, []);
  });

  it('depend on each other in one direction', () => {
    const done = new Set<string>();
    const visit = (name: string, way: readonly string[]): void => {
      assert.ok(!way.includes(name), [...way, name].join(' -> '));
      if (done.has(name)) return;
      for (const next of uses.get(name) ?? []) visit(next, [...way, name]);
      done.add(name);
    };
    for (const { name } of packages) visit(name, []);
  });

  it('import each other by name, not through each other’s folders', () => {
    for (const file of sources.filter(isOwnSource)) {
      for (const { specifier } of imports.get(file) ?? []) {
        if (!specifier.startsWith('.')) continue;
        const next = required(target(file, specifier), specifier);
        assert.equal(packageOf(next)?.name, packageOf(file)?.name, `${file} imports ${specifier}`);
      }
    }
  });

  for (const { name, directory, json } of packages) {
    it(`${directory} declares everything it imports`, () => {
      const dependencies = new Set(Object.keys({ ...json.dependencies, ...json.optionalDependencies }));
      const all = new Set([...dependencies, ...Object.keys(json.devDependencies ?? {})]);
      for (const file of sources.filter((each) => each.startsWith(`${directory}/`))) {
        for (const { specifier, typeOnly } of imports.get(file) ?? []) {
          if (specifier.startsWith('.')) continue;
          if (isBuiltin(specifier)) {
            assert.ok(specifier.startsWith('node:'), `${file}: write node:${specifier}`);
            continue;
          }
          const wanted = packageNameOf(specifier);
          // Tests may use the development dependencies of the whole.
          const shared =
            file.startsWith(`${directory}/test/`) && Object.hasOwn(readPackage('.').devDependencies ?? {}, wanted);
          // Tools are run by developers only.
          const declared = isOwnSource(file) && !typeOnly && !directory.startsWith('tools/') ? dependencies : all;
          assert.ok(
            wanted === name || shared || declared.has(wanted),
            `${file} imports ${wanted}, which ${directory}/package.json does not declare`,
          );
        }
      }
    });
  }
});

it('no file names a place that only one machine has', () => {
  // Where clones, runners and containers usually lie; put together here, so that this file does not name them.
  const places = [
    ['work', ''],
    ['workspace', ''],
    ['github', 'workspace'],
  ].map((parts) => ['', ...parts].join('/'));
  for (const file of files('', (name) => /\.(ts|js|mjs|json|md|ya?ml|sh|html)$/.test(name) || !name.includes('.'))) {
    if (file === 'package-lock.json') continue;
    const text = readFileSync(join(ROOT, file), 'utf8');
    for (const place of places) assert.ok(!text.includes(place), `${file} names ${place}`);
  }
});
