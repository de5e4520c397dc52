import { BlindfitError, type BlindfitErrorOptions } from '@blindfit/base';
import { HeError } from '@blindfit/he';

/**
 * - `KEYSET_MISSING`: there is no such keyset, or its secret key is gone.
 * - `KEYSET_EXPOSED`: others may read the secret key.
 * - `KEYSET_FOREIGN`: files of other parameters or of another secret key.
 * - `KEYSET_CORRUPT`: a file that is not what was written.
 * - `KEYSET_ACCESS`: the operating system refused to read or write.
 * - `KEYSET_IN_GIT`: a new secret key would lie in a git work tree that does not ignore it.
 * - `KEYSET_LOCKED`: the secret key is under a passphrase, and there is none.
 * - `KEYSET_PASSPHRASE`: the passphrase is another one.
 * - `KEYSET_BUSY`: another process has been making keys there for too long.
 */
export type KeysetErrorCode =
  | 'KEYSET_MISSING'
  | 'KEYSET_EXPOSED'
  | 'KEYSET_FOREIGN'
  | 'KEYSET_CORRUPT'
  | 'KEYSET_ACCESS'
  | 'KEYSET_IN_GIT'
  | 'KEYSET_LOCKED'
  | 'KEYSET_PASSPHRASE'
  | 'KEYSET_BUSY';

/** A directory of keys that cannot be used as it is. */
export class KeysetError extends HeError {
  override readonly code: KeysetErrorCode;

  constructor(code: KeysetErrorCode, message: string, hint: string) {
    super(code, message, hint);
    this.code = code;
  }
}

/** Data that do not fit their plan. */
export class JobDataError extends HeError {
  constructor(message: string, hint: string) {
    super('JOB_DATA', message, hint);
  }
}

/** What came back from the server is no plausible model, or no plausible scores. */
export class ModelError extends HeError {
  constructor(message: string, hint: string) {
    super('MODEL', message, hint);
  }
}

/**
 * `ANSWER_NOT_OWN`: a job has gone on from an answer to a refresh that the owner did not give, or that the server does
 * not show. Nothing of the job is decrypted any more.
 */
export class ForeignAnswerError extends BlindfitError {
  constructor(message: string) {
    super('ANSWER_NOT_OWN', message, {
      hint:
        'the weights of this job are not those of its owner: somebody who can write to the servers interferes; do ' +
        'not use the job, and tell whoever runs the servers',
    });
  }
}

/**
 * - `OWNER`: the job failed or was cancelled, its ticket is missing or damaged, or the server is not to be trusted.
 * - `OWNER_REQUEST`: what was asked for cannot work.
 * - `GAVE_UP`: the servers were away for longer than the connection waits; the job goes on without its owner.
 */
export type OwnerErrorCode = 'OWNER' | 'OWNER_REQUEST' | 'GAVE_UP';

/** A training or a prediction that cannot go on. */
export class OwnerError extends BlindfitError {
  constructor(
    message: string,
    { code = 'OWNER', ...options }: { readonly code?: OwnerErrorCode } & BlindfitErrorOptions = {},
  ) {
    super(code, message, options);
  }
}
