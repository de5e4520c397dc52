/** Variables that begin with our prefix and that nothing reads: a misspelt setting must not be silently left out. */
import { at } from '@blindfit/base';
import { commandVariables } from './command-variables.ts';
import { ConfigError, type Environment, type VariableTable } from './config.ts';
import { oidcVariables } from './oidc-variables.ts';
import { operatorVariables } from './operator-variables.ts';
import { tenantVariables } from './tenant-variables.ts';
import { tlsVariables } from './tls-variables.ts';
import { tracingVariables } from './tracing-variables.ts';
import { variables } from './variables.ts';

const TABLES: readonly VariableTable[] = [
  variables,
  commandVariables,
  operatorVariables,
  oidcVariables,
  tenantVariables,
  tlsVariables,
  tracingVariables,
];
const KNOWN: ReadonlySet<string> = new Set(
  TABLES.flatMap((table) => Object.values(table).map(({ env }) => env)).filter((name) => name.startsWith('BLINDFIT_')),
);

/** What Kubernetes tells each container of the services of its namespace, should one of them be called blindfit-... */
const OF_KUBERNETES = /_SERVICE_HOST$|_SERVICE_PORT(_|$)|_PORT_\d+_(TCP|UDP|SCTP)(_|$)/;
const ADDRESS = /^(tcp|udp|sctp):\/\//;
/** Read by tests and measurements only. */
const OF_TESTS = /^BLINDFIT_(TEST|FUZZ)_/;

/**
 * Checks that every variable whose name begins with `BLINDFIT_` is a setting. Empty ones count as unset.
 * @throws {ConfigError} naming each that is none, with the setting whose name is nearest
 */
export function assertKnownVariables(env: Environment = process.env): void {
  const problems = Object.entries(env)
    .filter(([name, value]) => name.startsWith('BLINDFIT_') && value !== undefined && value !== '')
    .filter(([name, value = '']) => !KNOWN.has(name) && !OF_TESTS.test(name) && !isOfKubernetes(name, value))
    .map(([name]) => `${name}: there is no such setting; the nearest is ${nearest(name)}`);
  if (problems.length > 0) throw new ConfigError(problems);
}

function isOfKubernetes(name: string, value: string): boolean {
  return OF_KUBERNETES.test(name) || (name.endsWith('_PORT') && ADDRESS.test(value));
}

function nearest(name: string): string {
  const byDistance = [...KNOWN].map((known) => ({ known, distance: distanceOf(name, known) }));
  return at(
    byDistance.toSorted((a, b) => a.distance - b.distance),
    0,
    'settings',
  ).known;
}

/** Levenshtein's distance: characters to insert, delete or replace. */
function distanceOf(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 0; i < a.length; i++) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++) {
      const replaced = at(row, j, 'distances') + (a[i] === b[j] ? 0 : 1);
      next.push(Math.min(replaced, at(row, j + 1, 'distances') + 1, at(next, j, 'distances') + 1));
    }
    row = next;
  }
  return at(row, b.length, 'distances');
}
