/** How an S3 store is named: `s3://bucket[/prefix][?endpoint=URL&path-style=true]`. */
import { InvalidStoreUrlError } from './errors.ts';

export interface S3Address {
  readonly bucket: string;
  /** The beginning of all keys; empty or with a `/` at its end. */
  readonly prefix: string;
  /** URL of a server other than Amazon's. @default what the AWS variables and files say */
  readonly endpoint?: string | undefined;
  /** Whether the bucket is part of the path instead of the host name. @default with an endpoint */
  readonly pathStyle?: boolean | undefined;
}

const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
/** Characters that need no encoding anywhere. */
const PREFIX = /^[A-Za-z0-9!_.*'()/-]*$/;

/** @throws {InvalidStoreUrlError} */
export function parseS3Url(url: string): S3Address {
  const parsed = URL.parse(url);
  if (parsed?.protocol !== 's3:') throw new InvalidStoreUrlError(url, 'it is not an s3 URL');
  if (parsed.username !== '' || parsed.password !== '')
    throw new InvalidStoreUrlError(
      's3:',
      'credentials belong in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, not in the URL',
    );
  if (!BUCKET.test(parsed.host))
    throw new InvalidStoreUrlError(url, 'a bucket has 3 to 63 lower-case letters, digits, dots and hyphens');
  const path = parsed.pathname.replace(/^\/+|\/+$/g, '');
  if (!PREFIX.test(path)) throw new InvalidStoreUrlError(url, "a prefix has letters, digits and any of !_.*'()/-");
  for (const name of parsed.searchParams.keys()) {
    if (name !== 'endpoint' && name !== 'path-style')
      throw new InvalidStoreUrlError(url, `its parameter '${name}' is not known (only endpoint and path-style)`);
  }
  const endpoint = parsed.searchParams.get('endpoint');
  if (endpoint !== null && !/^https?:$/.test(String(URL.parse(endpoint)?.protocol)))
    throw new InvalidStoreUrlError(url, 'its endpoint is not an http or https URL');
  const style = parsed.searchParams.get('path-style');
  if (style !== null && style !== 'true' && style !== 'false')
    throw new InvalidStoreUrlError(url, 'path-style is true or false');
  return {
    bucket: parsed.host,
    prefix: path === '' ? '' : `${path}/`,
    endpoint: endpoint ?? undefined,
    pathStyle: style === null ? undefined : style === 'true',
  };
}

/** The URL of a store in messages: without its parameters. */
export function s3UrlOf({ bucket, prefix }: Pick<S3Address, 'bucket' | 'prefix'>): string {
  return `s3://${bucket}/${prefix}`.replace(/\/$/, '');
}

/** Adds settings, unless they are `auto`, to an s3 URL that does not name them itself; leaves any other URL alone. */
export function withS3Settings(
  url: string,
  settings: { readonly endpoint?: string | undefined; readonly pathStyle?: string | undefined },
): string {
  const parsed = URL.parse(url);
  if (parsed?.protocol !== 's3:') return url;
  for (const [name, value] of [
    ['endpoint', settings.endpoint],
    ['path-style', settings.pathStyle],
  ] as const) {
    if (value !== undefined && value !== 'auto' && !parsed.searchParams.has(name)) parsed.searchParams.set(name, value);
  }
  return parsed.href;
}
