/** The packages of the repository, their sources, and who imports whom. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));

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

export interface Import {
  /** As it is written. */
  readonly specifier: string;
  /** Of nothing but types: gone when the program runs. */
  readonly typeOnly: boolean;
  /** By `import()`: loaded when it is needed, if ever. */
  readonly lazy?: true;
}

export function readPackage(directory: string): PackageJson {
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
export function files(directory: string, accept: (name: string) => boolean): string[] {
  return readdirSync(join(ROOT, directory), { withFileTypes: true }).flatMap((entry) => {
    const path = directory === '' ? entry.name : `${directory}/${entry.name}`;
    if (['node_modules', 'dist', '.git', '.blindfit'].includes(entry.name)) return [];
    if (entry.isDirectory()) return files(path, accept);
    return entry.isFile() && accept(entry.name) ? [path] : [];
  });
}

const isSource = (name: string): boolean => name.endsWith('.ts');

/** Imports, exports from elsewhere, and `import()` of a text. */
export function importsOf(file: string): Import[] {
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
export function packageNameOf(specifier: string): string {
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
}

export const packages = workspaces();
export const byName = new Map(packages.map((each) => [each.name, each]));
export const sources = files('', isSource);
export const imports = new Map(sources.map((file) => [file, importsOf(file)]));

export function packageOf(file: string): Package | undefined {
  return packages.find(({ directory }) => file.startsWith(`${directory}/`));
}

export function isOwnSource(file: string): boolean {
  const own = packageOf(file);
  return own !== undefined && file.startsWith(`${own.directory}/src/`);
}

/** The file of ours that an import leads to. */
export function target(file: string, specifier: string): string | undefined {
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
export function reach(
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
