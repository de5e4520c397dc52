/** Failures to connect to Redis that waiting does not mend: the settings of the service, or of Redis, are wrong. */
import { BlindfitError } from '@blindfit/base';

interface Refusal {
  readonly pattern: RegExp;
  readonly hint: string;
}

const REFUSALS: readonly Refusal[] = [
  {
    pattern: /^(WRONGPASS|NOAUTH|ERR (Client sent AUTH|invalid password|AUTH ))/,
    hint: 'correct the user and the password in BLINDFIT_REDIS_URL: redis://user:password@host',
  },
  { pattern: /^NOPERM/, hint: 'give the user of BLINDFIT_REDIS_URL the rights that docs/operations/deploy.md names' },
  {
    pattern: /^ERR (DB index|invalid DB index|SELECT is not)/,
    hint: 'correct the database number in BLINDFIT_REDIS_URL',
  },
];

/** What Node calls certificates that it does not accept. */
const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO_|HOSTNAME_MISMATCH|ERR_SSL|ERR_TLS/;

/** The error that ends the start of a service, or undefined for a failure that may pass. */
export function redisRefusal(error: unknown): BlindfitError | undefined {
  if (!(error instanceof Error)) return undefined;
  // A cluster fails with the error of the node that it has tried last.
  const cause = 'lastNodeError' in error && error.lastNodeError instanceof Error ? error.lastNodeError : error;
  const { message } = cause;
  const code = 'code' in cause ? String(cause.code) : '';
  if (CERTIFICATE.test(code))
    return refused(message, cause, {
      hint:
        'have the certificate of Redis issued for the name in BLINDFIT_REDIS_URL, by an authority that Node knows ' +
        '(NODE_EXTRA_CA_CERTS names a file with more of them)',
    });
  const refusal = REFUSALS.find(({ pattern }) => pattern.test(message));
  return refusal && refused(message, cause, refusal);
}

function refused(message: string, cause: unknown, { hint }: Pick<Refusal, 'hint'>): BlindfitError {
  return new BlindfitError('REDIS_REFUSED', `Redis cannot be used: ${message}`, { hint, cause });
}
