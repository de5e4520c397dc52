import { BlindfitError } from '@blindfit/base';

/** A failure that another attempt may mend; `cause` is the failure itself. Users of a connection never see it. */
export class TransientError extends Error {
  constructor(cause: unknown) {
    super('transient', { cause });
  }
}

/** What TLS finds wrong with the certificate of a server: no further attempt mends it. */
const CERTIFICATE_CODES: ReadonlySet<string> = new Set([
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/** Whether a failure of the network is a certificate that this process does not trust. */
export function isUntrusted(failure: unknown): boolean {
  return failure instanceof Error && 'code' in failure && CERTIFICATE_CODES.has(String(failure.code));
}

/** Too many requests; bad gateway, service unavailable, gateway time-out; insufficient storage. */
const OUTAGES: ReadonlySet<number> = new Set([429, 502, 503, 504, 507]);

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

  /** Whether something is away or full for a while, rather than broken. */
  get outage(): boolean {
    return OUTAGES.has(this.status);
  }
}

/** `ANSWER_TOO_LARGE`: an answer has more bytes than its reader takes in. */
export class AnswerTooLargeError extends BlindfitError {
  constructor(limit: number) {
    super('ANSWER_TOO_LARGE', `an answer has more than ${limit} bytes`);
  }
}
