import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { digestOf, digestOfHex, hexOf, required, type Digest } from '@blindfit/base';
import {
  openSource,
  type BlobInfo,
  type BlobSource,
  type CollectableBlobStore,
  type PutOptions,
  type PutResult,
} from './blob-store.ts';
import { BlobNotFoundError, BlobTooLargeError, CorruptBlobError, DigestMismatchError } from './errors.ts';
import { formatIdentity, IDENTITY_NAME, parseIdentity, type StoreIdentity } from './identity.ts';
import { limited, type Limits } from './limits.ts';
import { S3Bucket, type S3BucketOptions } from './s3-bucket.ts';
import { isPassing } from './s3-errors.ts';
import { abortUploads, MultipartUpload } from './s3-upload.ts';
import type { S3Address } from './s3-url.ts';
import { verifyBytes, verifyStream } from './verify.ts';

/** S3 takes no smaller part but the last. Bytes. */
const MIN_PART_BYTES = 5 * 2 ** 20;
const EMPTY = digestOf(new Uint8Array());
/** What a process that died has left is older than this. Milliseconds. */
const STALE_MS = 24 * 3_600_000;

export interface S3BlobStoreOptions extends S3BucketOptions {
  /** Blobs above this are sent in parts of this size. From 5 MiB on. Bytes. @default 8 MiB */
  readonly partBytes?: number | undefined;
  /** Parts under way at a time: a put holds one more in memory. @default 3 */
  readonly partsAtOnce?: number | undefined;
}

type Kind = 'blobs' | 'touched' | 'aside';

/**
 * Blobs as objects of a bucket: `<prefix>blobs/sha256/<64 hex digits>`. An object appears as a whole or not at all, is
 * written only where there is none (`If-None-Match: *`), and is checked on every read.
 *
 * S3 dates an object by its last write, so that a touch writes an empty object `<prefix>touched/sha256/<64 hex digits>`
 * rather than the blob once more. What the collector is about to remove lies in `<prefix>aside/` for a moment.
 */
export class S3BlobStore implements CollectableBlobStore {
  /** The URL without its parameters. */
  readonly url: string;
  readonly #bucket: S3Bucket;
  readonly #prefix: string;
  readonly #partBytes: number;
  readonly #partsAtOnce: number;

  constructor(address: S3Address, options: S3BlobStoreOptions = {}) {
    const { partBytes = 8 * 2 ** 20, partsAtOnce = 3 } = options;
    this.#bucket = new S3Bucket(address, options);
    this.url = this.#bucket.url;
    this.#prefix = address.prefix;
    this.#partBytes = Math.max(MIN_PART_BYTES, partBytes);
    this.#partsAtOnce = Math.max(1, partsAtOnce);
  }

  get where(): string {
    return this.url;
  }

  async has(digest: Digest): Promise<{ size: number } | undefined> {
    const head = await this.#bucket.head(this.#key('blobs', digest));
    return head === undefined ? undefined : { size: head.size };
  }

  /** Like `BlobStore.touch`. The mark is written before the look, so that a collection under way sees it or is seen. */
  async touch(digest: Digest): Promise<boolean> {
    if ((await this.has(digest)) === undefined) return false;
    await this.#mark(digest);
    return (await this.has(digest)) !== undefined;
  }

  async put(digest: Digest, source: BlobSource, options: PutOptions = {}): Promise<PutResult> {
    const existing = await this.has(digest);
    if (options.proof !== true && existing !== undefined && (await this.touch(digest)))
      return { created: false, size: existing.size };
    const { maxBytes = Infinity, size = source instanceof Uint8Array ? source.length : undefined } = options;
    if (size !== undefined && size > maxBytes) throw new BlobTooLargeError(digest, maxBytes);
    const result = await this.#receive(digest, openSource(source), { declared: size, maxBytes });
    // Another writer was quicker. The mark makes its blob as new as this one would have been.
    if (!result.created) await this.#mark(digest);
    return result;
  }

  async get(digest: Digest): Promise<Uint8Array> {
    return await this.#reading(async () => {
      const bytes = await this.#bytes(digest);
      verifyBytes(bytes, digest, this.url);
      return bytes;
    });
  }

  async stream(digest: Digest): Promise<Readable> {
    const { Body: body } = await this.#open(digest);
    return verifyStream(body as Readable, digest, this.url);
  }

  async readHead(digest: Digest, bytes: number): Promise<Uint8Array> {
    if (bytes <= 0) return new Uint8Array();
    // S3 refuses a range of an empty object.
    const whole = digest === EMPTY || !Number.isFinite(bytes);
    const range = whole ? undefined : `bytes=0-${bytes - 1}`;
    return await this.#reading(async () => (await this.#bytes(digest, range)).slice(0, bytes));
  }

  async delete(digest: Digest): Promise<void> {
    await this.#bucket.remove(this.#key('blobs', digest));
    await this.#bucket.remove(this.#key('touched', digest));
  }

  /**
   * Like `CollectableBlobStore.collect`. A touch marks the blob first and looks for it then: either it finds the blob
   * gone, or its mark is there when this looks once more, and the copy that lies aside goes back.
   */
  async collect(digest: Digest, olderThan: Date): Promise<boolean> {
    const [blob, mark, aside] = (['blobs', 'touched', 'aside'] as const).map((kind) => this.#key(kind, digest)) as [
      string,
      string,
      string,
    ];
    const isOlder = async (key: string): Promise<boolean | undefined> => {
      const head = await this.#bucket.head(key);
      return head === undefined ? undefined : head.modified < olderThan;
    };
    if ((await isOlder(blob)) !== true || (await isOlder(mark)) === false) return false;
    await this.#bucket.copy(blob, aside);
    await this.#bucket.remove(blob);
    const touched = (await isOlder(mark)) === false;
    if (touched) await this.#bucket.copy(aside, blob);
    else await this.#bucket.remove(mark);
    await this.#bucket.remove(aside);
    return !touched;
  }

  async *list(): AsyncGenerator<BlobInfo> {
    // Both lists come in the order of their names, so that they can be read side by side.
    const marks = this.#objects('touched');
    let mark = await marks.next();
    for await (const blob of this.#objects('blobs')) {
      while (mark.done !== true && mark.value.hex < blob.hex) mark = await marks.next();
      const touched = mark.done !== true && mark.value.hex === blob.hex ? mark.value.modified : blob.modified;
      const modified = touched > blob.modified ? touched : blob.modified;
      yield { digest: digestOfHex(blob.hex), size: blob.size, modified };
    }
  }

  /** Removes uploads that were not ended, and copies that were not put back, for a day. */
  async removeLeftovers(): Promise<void> {
    const old = Date.now() - STALE_MS;
    await abortUploads(this.#bucket, this.#prefix, old);
    for await (const { hex, modified } of this.#objects('aside'))
      if (modified.getTime() < old) await this.#bucket.remove(this.#key('aside', digestOfHex(hex)));
  }

  async check(): Promise<void> {
    // Not the bucket's HEAD, whose answer has no body to say what is wrong.
    await this.#bucket.listPage(`${this.#prefix}aside/`);
  }

  async identity(): Promise<StoreIdentity | undefined> {
    return await this.#reading(async () => {
      const object = await this.#bucket.get(this.#prefix + IDENTITY_NAME);
      if (object === undefined) return undefined;
      const body = required(object.Body, 'the body of an object');
      return parseIdentity(await body.transformToString(), this.url);
    });
  }

  async createIdentity(identity: StoreIdentity): Promise<StoreIdentity> {
    // Not every server knows conditional writes: the second look narrows the gap there.
    const before = await this.identity();
    if (before !== undefined) return before;
    await this.#bucket.create(this.#prefix + IDENTITY_NAME, Buffer.from(formatIdentity(identity)));
    return (await this.identity()) ?? identity;
  }

  async replaceIdentity(identity: StoreIdentity): Promise<void> {
    await this.#bucket.put(this.#prefix + IDENTITY_NAME, Buffer.from(formatIdentity(identity)));
  }

  close(): Promise<void> {
    this.#bucket.client.destroy();
    return Promise.resolve();
  }

  /** Reads the source part by part. Nothing appears under the name before the digest of all bytes is verified. */
  async #receive(digest: Digest, source: AsyncIterable<Uint8Array>, limits: Limits): Promise<PutResult> {
    const key = this.#key('blobs', digest);
    const hash = createHash('sha256');
    let size = 0;
    let upload: MultipartUpload | undefined;
    let buffered: Uint8Array[] = [];
    let bytes = 0;
    const take = (): Uint8Array => {
      const part = Buffer.concat(buffered, bytes);
      [buffered, bytes] = [[], 0];
      return part;
    };
    try {
      for await (const chunk of limited(source, digest, limits)) {
        size += chunk.length;
        hash.update(chunk);
        for (let at = 0; at < chunk.length;) {
          const piece = chunk.subarray(at, at + this.#partBytes - bytes);
          // A full part goes only when there is more, or the last one might be empty.
          if (piece.length === 0) {
            upload ??= await MultipartUpload.start(this.#bucket, key, this.#partsAtOnce);
            await upload.add(take());
            continue;
          }
          buffered.push(piece);
          bytes += piece.length;
          at += piece.length;
        }
      }
      const actual = digestOfHex(hash.digest('hex'));
      if (actual !== digest) throw new DigestMismatchError(digest, actual);
      const last = take();
      if (upload === undefined) return { created: await this.#bucket.create(key, last), size };
      await upload.add(last);
      return { created: await upload.complete(), size };
    } catch (error) {
      await upload?.abort();
      throw error;
    }
  }

  async #mark(digest: Digest): Promise<void> {
    await this.#bucket.put(this.#key('touched', digest), new Uint8Array());
  }

  async #open(digest: Digest, range?: string) {
    const object = await this.#bucket.get(this.#key('blobs', digest), range);
    if (object === undefined) throw new BlobNotFoundError(digest, this.url);
    return object;
  }

  async #bytes(digest: Digest, range?: string): Promise<Uint8Array> {
    const { Body: body } = await this.#open(digest, range);
    return Uint8Array.from((await body?.transformToByteArray()) ?? []);
  }

  /** The client repeats what fails before an answer. This also repeats what breaks off, or is damaged, on the way. */
  async #reading<T>(once: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await once();
      } catch (error) {
        if (attempt >= this.#bucket.attempts || !(error instanceof CorruptBlobError || isPassing(error)))
          throw this.#bucket.explain(error);
        await this.#bucket.wait(attempt);
      }
    }
  }

  async *#objects(kind: Kind): AsyncGenerator<{ hex: string; size: number; modified: Date }> {
    const prefix = `${this.#prefix}${kind}/sha256/`;
    for await (const { key, size, modified } of this.#bucket.list(prefix)) {
      const hex = key.slice(prefix.length);
      if (/^[0-9a-f]{64}$/.test(hex)) yield { hex, size, modified };
    }
  }

  #key(kind: Kind, digest: Digest): string {
    return `${this.#prefix}${kind}/sha256/${hexOf(digest)}`;
  }
}
