/** A value from outside does not have the shape it must have. */
export class ContractError extends Error {
  readonly code = 'CONTRACT';

  constructor(what: string, problems: readonly string[]) {
    super(`${what}: ${problems.join('; ')}`);
    this.name = 'ContractError';
  }
}
