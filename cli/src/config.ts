/** Settings of services: environment variables, which flags override. */
import { Option, type Command } from 'commander';
import {
  readConfig,
  type Config,
  type Environment,
  type Variable,
  type VariableTable,
} from '@blindfit/service/settings';

/** The flag for each setting; the token has none, because everybody on a machine sees its command lines. */
const FLAGS: Readonly<Record<string, { readonly flag: string; readonly value: string }>> = {
  redisUrl: { flag: '--redis', value: 'url' },
  store: { flag: '--store', value: 'url' },
  s3Endpoint: { flag: '--s3-endpoint', value: 'url' },
  s3PathStyle: { flag: '--s3-path-style', value: 'when' },
  host: { flag: '--host', value: 'address' },
  port: { flag: '--port', value: 'port' },
  tlsCert: { flag: '--tls-cert', value: 'file' },
  tlsKey: { flag: '--tls-key', value: 'file' },
  metricsPort: { flag: '--metrics-port', value: 'port' },
  threads: { flag: '--threads', value: 'n' },
  keyMemoryMb: { flag: '--key-memory', value: 'MiB' },
  keyDiskMb: { flag: '--key-disk', value: 'MiB' },
  inputDiskMb: { flag: '--input-disk', value: 'MiB' },
  evaluator: { flag: '--evaluator', value: 'name' },
  cacheDir: { flag: '--cache', value: 'dir' },
  cacheMb: { flag: '--cache-size', value: 'MiB' },
  maxBlobMb: { flag: '--max-blob', value: 'MiB' },
  retention: { flag: '--retention', value: 'time' },
  recordRetention: { flag: '--record-retention', value: 'time' },
  storeReserve: { flag: '--store-reserve', value: 'size' },
  planThreads: { flag: '--plan-threads', value: 'n' },
  oidcIssuer: { flag: '--oidc-issuer', value: 'url' },
  oidcAudience: { flag: '--oidc-audience', value: 'name' },
  oidcTenantClaim: { flag: '--oidc-tenant-claim', value: 'name' },
  oidcScopeClaim: { flag: '--oidc-scope-claim', value: 'name' },
  auditLog: { flag: '--audit-log', value: 'file' },
  tenantRunningJobs: { flag: '--tenant-running-jobs', value: 'n' },
  tenantJobs: { flag: '--tenant-jobs', value: 'n' },
  tenantBytes: { flag: '--tenant-bytes', value: 'n' },
  tenantComputeSeconds: { flag: '--tenant-compute-seconds', value: 'n' },
  stopSeconds: { flag: '--stop-seconds', value: 's' },
  queuePrefix: { flag: '--queue-prefix', value: 'prefix' },
  logLevel: { flag: '--log-level', value: 'level' },
};

/** Adds a flag for every setting that has one, described as in the table. */
export function addConfigFlags(command: Command, table: VariableTable): Command {
  for (const [name, spec] of Object.entries(table)) {
    const known = FLAGS[name];
    if (known === undefined) continue;
    const value = spec.defaultText ?? (spec.default === undefined ? undefined : String(spec.default(process.env)));
    const standard = value === undefined ? '' : `; default: ${value}`;
    command.addOption(
      new Option(
        `${known.flag} <${known.value}>`,
        `${spec.description.charAt(0).toLowerCase()}${spec.description.slice(1)} [${spec.env}${standard}]`,
      ),
    );
  }
  return command;
}

/**
 * Reads settings from the flags given, else from the environment.
 * @param flags values by flag, e.g. `{ '--threads': '4' }`; see `givenFlags`
 * @throws ConfigError naming the flag or the variable at fault
 */
export function configOf<const Table extends VariableTable>(
  table: Table,
  flags: Readonly<Record<string, string>>,
  env: Environment = process.env,
): Config<Table> {
  const named: Record<string, Variable<unknown>> = {};
  for (const [name, spec] of Object.entries(table)) {
    const flag = FLAGS[name]?.flag;
    if (flag === undefined || flags[flag] === undefined) {
      named[name] = spec;
      continue;
    }
    // Read from the flag, and named by it in messages; with the flag set, a fallback is never looked at.
    named[name] = { ...spec, env: flag };
  }
  return readConfig(named, { ...env, ...flags }) as Config<Table>;
}

/** The values of a command's flags, by flag. */
export function givenFlags(command: Command): Record<string, string> {
  const values = command.opts<Record<string, unknown>>();
  const given: Record<string, string> = {};
  for (const option of command.options) {
    const value = values[option.attributeName()];
    if (option.long !== undefined && typeof value === 'string') given[option.long] = value;
  }
  return given;
}
