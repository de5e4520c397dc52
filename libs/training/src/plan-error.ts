import { HeError } from '@blindfit/he';

/** A job that no supported parameter set can carry. */
export class PlanError extends HeError {
  constructor(message: string, hint: string) {
    super('HE_PLAN', message, hint);
  }
}
