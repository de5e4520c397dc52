import { BlindfitError } from '@blindfit/base';

/** A failure that another attempt may mend; `cause` is the failure itself. Users of a connection never see it. */
export class TransientError extends Error {
  constructor(cause: unknown) {
    super('transient', { cause });
  }
}

/** An answer whose status is a failure. */
export class StatusError extends Error {
  readonly status: number;
  /** Its content type. */
  readonly type: string;
  /** Where it redirects to. */
  readonly location: string | undefined;
  /** The beginning of its body. */
  readonly text: string;

  constructor(url: string, status: number, type: string, location: string | undefined, text: string) {
    super(`${url} answered ${status}`);
    this.status = status;
    this.type = type;
    this.location = location;
    this.text = text;
  }

  /** Whether another attempt may mend it. 507 is a full disk, which waiting does not empty. */
  get transient(): boolean {
    return (this.status >= 500 && this.status !== 507) || this.status === 429;
  }
}

/** `ANSWER_TOO_LARGE`: an answer has more bytes than its reader takes in. */
export class AnswerTooLargeError extends BlindfitError {
  constructor(limit: number) {
    super('ANSWER_TOO_LARGE', `an answer has more than ${limit} bytes`);
  }
}
