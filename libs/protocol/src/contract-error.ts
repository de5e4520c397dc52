import { BlindfitError } from '@blindfit/base';

/** `CONTRACT`: a value from outside does not have the shape it must have. */
export class ContractError extends BlindfitError {
  constructor(what: string, problems: readonly string[]) {
    super('CONTRACT', `${what}: ${problems.join('; ')}`);
  }
}
