/** The first line of a log: what runs, with which settings. */
import type { Config, VariableTable } from './config.ts';
import { REVISION, VERSION } from './version.ts';

/** What an address tells besides where it leads. */
function place(address: string): string {
  return address.replace(/\/\/[^/]*@/, '//***@').replace(/\?.*/s, '');
}

/** The facts of the first line. Secrets are left out, also those in addresses. */
export function startFacts<Table extends VariableTable>(table: Table, config: Config<Table>): object {
  const settings = Object.entries(table).flatMap(([name, { secret, env }]): [string, unknown][] => {
    const value = (config as Readonly<Record<string, unknown>>)[name];
    const isAddress = typeof value === 'string' && value.includes('://');
    if (value === undefined || (secret === true && !isAddress)) return [];
    return [[env, isAddress ? place(value) : value]];
  });
  return { version: VERSION, revision: REVISION, settings: Object.fromEntries(settings) };
}
