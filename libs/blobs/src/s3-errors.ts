/** Errors of S3 as errors of this package. */
import { StorageError, StorageFullError, StoreRefusedError, StoreSetupError, StoreUnavailableError } from './errors.ts';

interface S3Place {
  readonly url: string;
  readonly bucket: string;
  readonly attempts: number;
}

const PASSING_NAMES = new Set([
  'SlowDown',
  'Throttling',
  'ThrottlingException',
  'RequestTimeout',
  'RequestTimeoutException',
  'TimeoutError',
  'InternalError',
  'ServiceUnavailable',
  'IncompleteBody',
  'NetworkingError',
  'AbortError',
]);
const WRONG_KEYS = new Set([
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
  'ExpiredToken',
  'InvalidToken',
  'AuthorizationHeaderMalformed',
  'RequestTimeTooSkewed',
]);

/** The status is undefined where no answer came. */
export function s3ErrorOf(error: unknown): { readonly name: string; readonly status: number | undefined } {
  if (!(error instanceof Error)) return { name: '', status: undefined };
  const metadata = '$metadata' in error ? (error.$metadata as { httpStatusCode?: number } | undefined) : undefined;
  return { name: error.name, status: metadata?.httpStatusCode };
}

/** Whether the object is not there. (An answer to HEAD has no body that could say that the bucket is not.) */
export function isMissing(error: unknown): boolean {
  const { name, status } = s3ErrorOf(error);
  return name === 'NoSuchKey' || name === 'NotFound' || (status === 404 && name !== 'NoSuchBucket');
}

/** Whether another attempt may mend it: the network, or the server's own trouble. */
export function isPassing(error: unknown): boolean {
  if (!(error instanceof Error) || error instanceof StorageError) return false;
  const { name, status } = s3ErrorOf(error);
  if (
    PASSING_NAMES.has(name) ||
    status === 429 ||
    (status !== undefined && status >= 500 && status !== 501 && status !== 507)
  )
    return true;
  // Sockets name what happened to them in capitals.
  return 'code' in error && typeof error.code === 'string' && /^(E[A-Z]+|UND_ERR_\w+)$/.test(error.code);
}

export function explainS3(error: unknown, { url, bucket, attempts }: S3Place): unknown {
  if (!(error instanceof Error) || error instanceof StorageError) return error;
  const { name, status } = s3ErrorOf(error);
  if (name === 'CredentialsProviderError' || /credential/i.test(name)) {
    return new StoreSetupError(
      url,
      'no credentials were found',
      'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give this machine a role',
      error,
    );
  }
  if (/region is missing/i.test(error.message))
    return new StoreSetupError(url, 'no region is set', 'set AWS_REGION to the region of the bucket', error);
  if (isPassing(error))
    return new StoreUnavailableError(
      url,
      attempts,
      error,
      'check that the S3 endpoint is reachable (BLINDFIT_S3_ENDPOINT, or AWS_REGION), then try again; ' +
        'nothing is half-stored',
    );
  const reason = error.message === '' || error.message === 'UnknownError' ? name : `${name}: ${error.message}`;
  if (status === 507) return new StorageFullError(url, undefined, error);
  if (name === 'NoSuchBucket' || status === 404)
    return new StoreRefusedError(
      url,
      status ?? 404,
      `there is no bucket ${bucket}`,
      'create the bucket, or correct BLINDFIT_STORE, BLINDFIT_S3_ENDPOINT or AWS_REGION',
    );
  if (WRONG_KEYS.has(name))
    return new StoreRefusedError(
      url,
      status ?? 403,
      reason,
      'check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION and the clock of this machine',
    );
  if (status === 403)
    return new StoreRefusedError(
      url,
      status,
      reason,
      'check the credentials (AWS_ACCESS_KEY_ID, ...) and that they allow s3:ListBucket, s3:GetObject, s3:PutObject ' +
        `and s3:DeleteObject on ${bucket}`,
    );
  if (status === 301 || status === 307)
    return new StoreRefusedError(url, status, reason, 'set AWS_REGION to the region of the bucket');
  return status === undefined ? error : new StoreRefusedError(url, status, reason);
}
