import { Compile } from 'typebox/compile';
import type { Static, TSchema } from 'typebox';

/** A value from outside does not have the shape it must have. */
export class ContractError extends Error {
  readonly code = 'CONTRACT';

  constructor(what: string, problems: readonly string[]) {
    super(`${what}: ${problems.join('; ')}`);
    this.name = 'ContractError';
  }
}

/** Makes a checker that returns the value typed. It lists the first few problems, each with its place. */
export function checker<S extends TSchema>(what: string, schema: S): (value: unknown) => Static<S> {
  const compiled = Compile(schema);
  return (value) => {
    if (compiled.Check(value)) return value;
    const problems = compiled.Errors(value).slice(0, 5).map((error) => `${error.instancePath || '/'} ${error.message}`);
    throw new ContractError(what, problems);
  };
}
