import type { Static, TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { ContractError } from './contract-error.ts';

/** Makes a checker that returns the value typed. It lists the first few problems, each with its place. */
export function checker<S extends TSchema>(what: string, schema: S): (value: unknown) => Static<S> {
  const compiled = Compile(schema);
  return (value) => {
    if (compiled.Check(value)) return value;
    const problems = compiled
      .Errors(value)
      .slice(0, 5)
      .map((error) => {
        const surplus = error.keyword === 'additionalProperties' ? error.params.additionalProperties : [];
        const names = surplus.slice(0, 3).map((name) => JSON.stringify(name.slice(0, 40)));
        return `${error.instancePath || '/'} ${error.message}${names.length > 0 ? `: ${names.join(', ')}` : ''}`;
      });
    throw new ContractError(what, problems);
  };
}
