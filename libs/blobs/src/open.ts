import { fileURLToPath } from 'node:url';
import type { RootBlobStore } from './blob-store.ts';
import { InvalidStoreUrlError } from './errors.ts';
import { FileBlobStore } from './file-store.ts';
import { parseS3Url } from './s3-url.ts';

export interface OpenBlobStoreOptions {
  /** Bearer token; only used for http(s) stores. */
  token?: string | undefined;
}

/**
 * Opens the store that a URL names: `file:///absolute/directory` (created where needed), `s3://bucket[/prefix]` with
 * the parameters `endpoint` and `path-style`, or `http(s)://host[/prefix]` for the blob routes of a Blindfit API.
 * Credentials and region of S3 are found where AWS's tools find them.
 *
 * @throws {InvalidStoreUrlError} for any other URL
 */
export async function openBlobStore(url: string, options: OpenBlobStoreOptions = {}): Promise<RootBlobStore> {
  const parsed = URL.parse(url);
  if (parsed === null) throw new InvalidStoreUrlError(url, 'it is not a URL');
  switch (parsed.protocol) {
    case 'file:':
      if (parsed.host !== '')
        throw new InvalidStoreUrlError(
          url,
          `a file URL names no host; did you mean file:///${parsed.host}${parsed.pathname}?`,
        );
      return await FileBlobStore.open(fileURLToPath(parsed));
    case 's3:': {
      const address = parseS3Url(url);
      // The S3 client takes half a second and 30 MiB.
      const { S3BlobStore } = await import('./s3-store.ts');
      return new S3BlobStore(address);
    }
    case 'http:':
    case 'https:': {
      if (parsed.username !== '' || parsed.password !== '')
        throw new InvalidStoreUrlError(parsed.origin, 'credentials belong in the token, not in the URL');
      // The HTTP client has a hundred modules; most threads and processes read a directory.
      const { HttpBlobStore } = await import('./http-store.ts');
      return new HttpBlobStore(parsed, { token: options.token });
    }
    default:
      throw new InvalidStoreUrlError(url, `${parsed.protocol}// is not supported`);
  }
}
