import { fileURLToPath } from 'node:url';

import type { BlobStore } from './blob-store.ts';
import { InvalidStoreUrlError } from './errors.ts';
import { FileBlobStore } from './file-store.ts';
import { HttpBlobStore } from './http-store.ts';

export interface OpenBlobStoreOptions {
  /** Bearer token; only used for http(s) stores. */
  token?: string | undefined;
}

/**
 * Opens the store a URL names: `file:///absolute/directory` (created where needed), or `http(s)://host[/prefix]` for the
 * blob routes of a Blindfit API.
 *
 * @throws {InvalidStoreUrlError} for any other URL
 */
export async function openBlobStore(url: string, options: OpenBlobStoreOptions = {}): Promise<BlobStore> {
  const parsed = URL.parse(url);
  if (parsed === null) throw new InvalidStoreUrlError(url, 'it is not a URL');
  switch (parsed.protocol) {
    case 'file:':
      if (parsed.host !== '') throw new InvalidStoreUrlError(url, `a file URL names no host; did you mean file:///${parsed.host}${parsed.pathname}?`);
      return await FileBlobStore.open(fileURLToPath(parsed));
    case 'http:':
    case 'https:':
      if (parsed.username !== '' || parsed.password !== '') throw new InvalidStoreUrlError(parsed.origin, 'credentials belong in the token, not in the URL');
      return new HttpBlobStore(parsed, { token: options.token });
    default:
      throw new InvalidStoreUrlError(url, `${parsed.protocol}// is not supported`);
  }
}
