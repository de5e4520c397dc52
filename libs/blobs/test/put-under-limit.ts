// Runs in a child process with a limit on the size of files; see file-store.test.ts.
import { at } from '@blindfit/base';
import { FileBlobStore, StorageFullError } from '@blindfit/blobs';
import { chunked, randomBlob } from './support.ts';

const store = await FileBlobStore.open(at(process.argv, 2, 'arguments'));
const large = randomBlob(1_000_000);
const small = randomBlob(1_000);
const error: unknown = await store.put(large.digest, chunked(large.bytes)).catch((reason: unknown) => reason);
const { created } = await store.put(small.digest, small.bytes);
const full = error instanceof StorageFullError ? error : undefined;
console.log(
  JSON.stringify({ code: full?.code, cause: (full?.cause as NodeJS.ErrnoException | undefined)?.code, small: created }),
);
