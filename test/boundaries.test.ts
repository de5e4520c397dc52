/**
 * Who may import whom. The servers never hold what decrypts: none of their modules, directly or through others, reaches
 * the owner’s packages. Packages form layers, declare what they use, and SEAL stays behind libs/he.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { required } from '@blindfit/base';
import { LAYERS } from './layers.ts';
import {
  byName,
  files,
  imports,
  importsOf,
  isOwnSource,
  packageNameOf,
  packageOf,
  packages,
  reach,
  readPackage,
  ROOT,
  sources,
  target,
  type Import,
} from './source-graph.ts';

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
            // The lock of the compilation; browsers never load it.
            (specifier === '@blindfit/base/node' && file === 'libs/he/src/native/resolve.ts') ||
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
