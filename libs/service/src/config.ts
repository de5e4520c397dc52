import type { Static, TSchema } from 'typebox';
import { Value } from 'typebox/value';
import { BlindfitError, messageOf } from '@blindfit/base';

export type Environment = Readonly<Record<string, string | undefined>>;

/** One setting, read from an environment variable. */
export interface Variable<T> {
  /** Name of the environment variable. */
  env: string;
  /** Another name, used when the first is unset. */
  fallbackEnv?: string;
  schema: TSchema;
  /** What the setting does, in one sentence; goes into the generated documentation. */
  description: string;
  /** What values are allowed, in words; goes into error messages and the documentation. */
  allowed: string;
  /** Value when unset. A variable without a default is required, unless it is wrapped in `optional`. */
  default?: (env: Environment) => T;
  /** The default in words, where it depends on the machine. */
  defaultText?: string;
  optional?: boolean;
  /** Whether the value must never be shown, not even in an error message. */
  secret?: boolean;
  /**
   * A check that a schema cannot express; throws with the reason. (A method, so that tables of mixed types are one
   * type.)
   */
  check?(value: T): void;
}

/** The settings of a service: its own names, and where each comes from. */
export type VariableTable = Readonly<Record<string, Variable<unknown>>>;

/** The validated values of a table of variables. */
export type Config<Table> = { readonly [Name in keyof Table]: Table[Name] extends Variable<infer T> ? T : never };

/** Declares a variable; its type follows from the schema. */
export function variable<Schema extends TSchema>(
  spec: Omit<Variable<Static<Schema>>, 'optional' | 'schema'> & { schema: Schema },
): Variable<Static<Schema>> {
  return spec;
}

/** The same variable, but allowed to be unset without a default. */
export function optional<T>(spec: Variable<T>): Variable<T | undefined> {
  return { ...(spec as Variable<T | undefined>), optional: true };
}

/** `CONFIG_INVALID`: one or more settings are missing or wrong; the message lists all of them. */
export class ConfigError extends BlindfitError {
  /** One line for each setting that is missing or wrong. */
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(
      'CONFIG_INVALID',
      [
        `the configuration has ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}:`,
        ...problems.map((line) => `  - ${line}`),
      ].join('\n'),
      { hint: 'set the environment variables named above and start again', fault: 'host' },
    );
    this.problems = problems;
  }
}

/** Codes of errors that only other settings mend: a supervisor need not start the service again. Exit status 2. */
export const WRONG_SETTINGS: readonly unknown[] = [
  'CONFIG_INVALID',
  'INVALID_STORE_URL',
  'REDIS_POLICY',
  'REDIS_REFUSED',
  'STORE_DAMAGED',
  'STORE_MISMATCH',
  'STORE_REFUSED',
  'STORE_SETUP',
  'TLS_UNUSABLE',
];

/**
 * Reads the settings of a service from the environment. An empty variable counts as unset, since that is how compose
 * files and shells pass on what was not set.
 *
 * @throws {ConfigError} listing everything that is wrong, not just the first
 */
export function readConfig<const Table extends VariableTable>(
  table: Table,
  env: Environment = process.env,
): Config<Table> {
  const problems: string[] = [];
  const values: Record<string, unknown> = {};
  for (const [name, spec] of Object.entries(table)) {
    try {
      values[name] = readVariable(spec, env);
    } catch (error) {
      problems.push(messageOf(error));
    }
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return Object.freeze(values) as Config<Table>;
}

function readVariable(spec: Variable<unknown>, env: Environment): unknown {
  const used = spec.fallbackEnv !== undefined && isUnset(env[spec.env]) ? spec.fallbackEnv : spec.env;
  const text = env[used];
  if (isUnset(text)) {
    if (spec.default !== undefined) return spec.default(env);
    if (spec.optional === true) return undefined;
    const names = spec.fallbackEnv === undefined ? spec.env : `${spec.env} (or ${spec.fallbackEnv})`;
    throw new Error(`${names} is not set: ${lowerFirst(spec.description)}; allowed: ${spec.allowed}`);
  }
  const value = convert(spec.schema, text);
  if (!Value.Check(spec.schema, value)) {
    const shown =
      spec.secret === true ? 'the value given' : JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}...` : text);
    throw new Error(`${used}: ${shown} is not allowed; allowed: ${spec.allowed}`);
  }
  try {
    spec.check?.(value);
  } catch (error) {
    throw new Error(`${used}: ${messageOf(error)}`, { cause: error });
  }
  return value;
}

function isUnset(text: string | undefined): text is undefined | '' {
  return text === undefined || text === '';
}

/** Text to the kind of value that the schema is about. Stricter than TypeBox's own, which reads 1.5 and true as 1. */
function convert(schema: TSchema, text: string): unknown {
  const type = 'type' in schema ? schema.type : undefined;
  if ((type === 'integer' || type === 'number') && /^-?\d+(\.\d+)?$/.test(text)) return Number(text);
  if (type === 'boolean' && /^(true|false)$/.test(text)) return text === 'true';
  return text;
}

/** A variable as the documentation describes it. */
export interface VariableDescription {
  name: string;
  fallback: string | undefined;
  description: string;
  allowed: string;
  /** The default in words; undefined when there is none. */
  default: string | undefined;
}

/** Describes variables for generated documentation, in the order of the table. */
export function describeVariables(table: VariableTable): VariableDescription[] {
  return Object.values(table).map((spec) => ({
    name: spec.env,
    fallback: spec.fallbackEnv,
    description: spec.description,
    allowed: spec.allowed,
    default: spec.defaultText ?? (spec.default === undefined ? undefined : String(spec.default({}))),
  }));
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
