import { createHash } from 'node:crypto';
import { Transform, pipeline, type Readable } from 'node:stream';
import { digestOf, digestOfHex, type Digest } from '@blindfit/base';
import { CorruptBlobError } from './errors.ts';

/**
 * Checks bytes against the digest they were fetched by.
 *
 * @throws {CorruptBlobError} `where` names the store in its message
 */
export function verifyBytes(bytes: Uint8Array, digest: Digest, where: string): void {
  const actual = digestOf(bytes);
  if (actual !== digest) throw new CorruptBlobError(digest, actual, where);
}

/**
 * Passes a stream through while hashing it. The last chunk is held back until the hash is verified, so that a reader
 * gets the true blob or an error, never all bytes of a damaged one.
 */
export function verifyStream(
  source: Readable,
  digest: Digest,
  where: string,
  onCorrupt?: () => Promise<void>,
): Readable {
  const hash = createHash('sha256');
  let last: Uint8Array | undefined;
  const check = new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      hash.update(chunk);
      const previous = last;
      last = chunk;
      done(null, previous);
    },
    flush(done) {
      const actual = digestOfHex(hash.digest('hex'));
      if (actual === digest) {
        done(null, last);
        return;
      }
      const error = new CorruptBlobError(digest, actual, where);
      if (onCorrupt === undefined) done(error);
      else
        onCorrupt().then(
          () => done(error),
          () => done(error),
        );
    },
  });
  // pipeline (not pipe) closes the source when the reader goes away; errors reach the reader through `check`.
  pipeline(source, check, () => undefined);
  return check;
}
