/**
 * What the tests of the deployment share: files of the repository, rendered manifests, and what the services
 * understand.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parseAllDocuments, stringify } from 'yaml';
import {
  oidcVariables,
  operatorVariables,
  readConfig,
  tenantVariables,
  tlsVariables,
  tracingVariables,
  variables,
  type Variable,
} from '@blindfit/service';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);

export function read(path: string): Promise<string> {
  return readFile(join(ROOT, path), 'utf8');
}

/** @throws Error when it is not YAML */
export function parseYaml(text: string): unknown[] {
  return parseAllDocuments(text, { merge: true })
    .map((document) => {
      if (!('errors' in document)) throw new Error('no document');
      for (const error of [...document.errors, ...document.warnings]) throw error;
      return document.toJS() as unknown;
    })
    .filter((document) => document !== null);
}

export const OVERLAYS = ['small', 'production'] as const;
export type Overlay = (typeof OVERLAYS)[number];

/** The files of secrets that the guide makes, with other secrets. */
export const SECRET_FILES: Readonly<Record<Overlay, Readonly<Record<string, readonly string[]>>>> = {
  small: { 'secrets.env': ['token', 'operator-token', 'work-token', 'metrics-token', 'redis-password'] },
  production: {
    'secrets.env': ['token', 'operator-token', 'work-token', 'metrics-token', 'redis-password'],
    's3.env': ['access-key-id', 'secret-access-key'],
  },
};

/**
 * Renders an overlay with kubectl, in a copy of `deploy` to which the files of secrets were added.
 * @param components further ones, as an overlay of one's own would add them
 * @returns YAML
 */
export async function render(kubectl: string, overlay: Overlay, components: readonly string[] = []): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'blindfit-kustomize-'));
  try {
    await cp(join(ROOT, 'deploy'), join(directory, 'deploy'), {
      recursive: true,
      filter: (path) => !path.includes('node_modules'),
    });
    const target = join(directory, 'deploy/kubernetes/overlays', overlay);
    for (const [name, keys] of Object.entries(SECRET_FILES[overlay])) {
      await writeFile(join(target, name), keys.map((key) => `${key}=${randomBytes(32).toString('hex')}\n`).join(''));
    }
    const own = join(directory, 'deploy/kubernetes/overlays/own');
    await mkdir(own);
    await writeFile(
      join(own, 'kustomization.yaml'),
      stringify({
        namespace: 'blindfit',
        resources: [`../${overlay}`],
        components: components.map((name) => `../../components/${name}`),
      }),
    );
    const { stdout } = await run(kubectl, ['kustomize', components.length === 0 ? target : own], {
      maxBuffer: 64 << 20,
    });
    return stdout;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Variables of others than ours that the services' libraries read. */
const FOREIGN = new Set([
  'NODE_OPTIONS',
  'MALLOC_ARENA_MAX',
  'MALLOC_MMAP_THRESHOLD_',
  'MALLOC_TRIM_THRESHOLD_',
  'NODE_EXTRA_CA_CERTS',
  'AWS_REGION',
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'REDIS_PASSWORD',
  'REDISCLI_AUTH',
]);
const known = new Map(
  Object.values({
    ...variables,
    ...operatorVariables,
    ...oidcVariables,
    ...tenantVariables,
    ...tlsVariables,
    ...tracingVariables,
  } as Readonly<Record<string, Variable<unknown>>>).map((variable) => [variable.env, variable]),
);

/**
 * What is wrong with the environment of a container of ours, one line each; as its start would say.
 * @param command its first argument
 * @param readBy for each variable the commands that read it; see `readers`
 */
export function environmentProblems(
  command: string,
  environment: Readonly<Record<string, string>>,
  readBy: ReadonlyMap<string, readonly string[]>,
): string[] {
  const problems: string[] = [];
  for (const [name, value] of Object.entries(environment)) {
    if (FOREIGN.has(name) || value === '') continue;
    const variable = known.get(name);
    if (variable === undefined) {
      problems.push(`${name} is no variable of ours`);
      continue;
    }
    if (!(readBy.get(name) ?? []).includes(command)) problems.push(`${command} does not read ${name}`);
    try {
      readConfig({ value: variable }, environment);
    } catch (error) {
      problems.push(String(error));
    }
  }
  const store = environment['BLINDFIT_STORE'] ?? '';
  for (const needed of ['BLINDFIT_REDIS_URL', 'BLINDFIT_STORE'])
    if (!environment[needed]) problems.push(`${needed} is missing`);
  if ((command === 'api' || store.startsWith('http')) && (environment['BLINDFIT_TOKEN'] ?? '') === '')
    problems.push('BLINDFIT_TOKEN is missing');
  return problems;
}

/**
 * Which commands read a variable, from the tables of docs/reference/configuration.md and
 * docs/operations/observability.md, which are made from the commands.
 */
export async function readers(): Promise<Map<string, readonly string[]>> {
  const tables = `${await read('docs/reference/configuration.md')}\n${await read('docs/operations/observability.md')}`;
  const rows = Array.from(tables.matchAll(/^\| `([A-Z_0-9]+)`.*\| ([a-z, ]+?) +\|$/gm));
  return new Map(rows.map(([, name = '', commands = '']) => [name, commands.split(', ')]));
}
