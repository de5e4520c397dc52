import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
  type _Object,
  type CompletedPart,
  type GetObjectCommandOutput,
  type MultipartUpload as MultipartUploadInfo,
} from '@aws-sdk/client-s3';
import { digestOf, digestOfHex, hexOf, type Digest } from '@blindfit/base';
import {
  openSource,
  type BlobInfo,
  type BlobSource,
  type CollectableBlobStore,
  type PutOptions,
  type PutResult,
} from './blob-store.ts';
import {
  BlobNotFoundError,
  BlobSizeMismatchError,
  BlobTooLargeError,
  CorruptBlobError,
  DigestMismatchError,
} from './errors.ts';
import { explainS3, isMissing, isPassing, s3ErrorOf } from './s3-errors.ts';
import { s3UrlOf, type S3Address } from './s3-url.ts';
import { verifyBytes, verifyStream } from './verify.ts';

/** S3 takes no smaller part but the last. Bytes. */
const MIN_PART_BYTES = 5 * 2 ** 20;
const EMPTY = digestOf(new Uint8Array());
/** Longest wait between two attempts to read a body. Milliseconds. */
const MAX_BACKOFF_MS = 5_000;
/** What a process that died has left is old by then. Milliseconds. */
const STALE_MS = 24 * 3_600_000;

export interface S3BlobStoreOptions {
  /** How often a call is tried in all. @default 5 */
  attempts?: number;
  /** Milliseconds without a byte before an attempt counts as failed. @default 60000 */
  idleTimeoutMs?: number;
  /** Blobs above this are sent in parts of this size. From 5 MiB on. Bytes. @default 8 MiB */
  partBytes?: number;
  /** Parts under way at a time: a put holds one more in memory. @default 3 */
  partsAtOnce?: number;
}

/**
 * Blobs as objects of a bucket: `<prefix>blobs/sha256/<64 hex digits>`. An object appears as a whole or not at all, is
 * written only where there is none (`If-None-Match: *`), and is checked on every read.
 *
 * S3 dates an object by its last write, so that a touch writes an empty object `<prefix>touched/sha256/<64 hex digits>`
 * rather than the blob once more. What the collector is about to remove lies in `<prefix>aside/` for a moment.
 */
export class S3BlobStore implements CollectableBlobStore {
  /** Without the parameters of the URL it was opened by. */
  readonly url: string;
  readonly #bucket: string;
  readonly #prefix: string;
  readonly #client: S3Client;
  readonly #attempts: number;
  readonly #partBytes: number;
  readonly #partsAtOnce: number;
  /** Until the server has said that it knows no conditional writes: the content of a name is the same whoever writes it. */
  #condition: { IfNoneMatch?: string } = { IfNoneMatch: '*' };

  constructor(address: S3Address, options: S3BlobStoreOptions = {}) {
    const idle = options.idleTimeoutMs ?? 60_000;
    this.url = s3UrlOf(address);
    this.#bucket = address.bucket;
    this.#prefix = address.prefix;
    this.#attempts = Math.max(1, options.attempts ?? 5);
    this.#partBytes = Math.max(MIN_PART_BYTES, options.partBytes ?? 8 * 2 ** 20);
    this.#partsAtOnce = Math.max(1, options.partsAtOnce ?? 3);
    this.#client = new S3Client({
      ...(address.endpoint === undefined ? {} : { endpoint: address.endpoint }),
      // Servers of one's own rarely care for it, but it is part of every signature.
      ...(address.endpoint === undefined ? {} : { region: process.env['AWS_REGION'] ?? 'us-east-1' }),
      forcePathStyle: address.pathStyle ?? address.endpoint !== undefined,
      maxAttempts: this.#attempts,
      retryMode: 'standard',
      // The signature covers the SHA-256 of every body already, and not every server knows the newer checksums.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      requestHandler: { connectionTimeout: 10_000, socketTimeout: idle },
    });
  }

  async has(digest: Digest): Promise<{ size: number } | undefined> {
    const head = await this.#head(this.#key('blobs', digest));
    return head === undefined ? undefined : { size: head.size };
  }

  /** As `BlobStore.touch`. The mark is written before the look, so that a collection under way sees it or is seen. */
  async touch(digest: Digest): Promise<boolean> {
    if ((await this.has(digest)) === undefined) return false;
    await this.#mark(digest);
    return (await this.has(digest)) !== undefined;
  }

  async put(digest: Digest, source: BlobSource, options: PutOptions = {}): Promise<PutResult> {
    const existing = await this.has(digest);
    if (existing !== undefined && (await this.touch(digest))) return { created: false, size: existing.size };
    const maxBytes = options.maxBytes ?? Infinity;
    const declared = options.size ?? (source instanceof Uint8Array ? source.length : undefined);
    if (declared !== undefined && declared > maxBytes) throw new BlobTooLargeError(digest, maxBytes);
    const result = await this.#receive(digest, openSource(source), declared, maxBytes);
    // Somebody else was quicker; this makes theirs as new as ours would have been.
    if (!result.created) await this.#mark(digest);
    return result;
  }

  async get(digest: Digest): Promise<Uint8Array> {
    return await this.#reading(async () => {
      const { Body: body } = await this.#open(digest);
      const bytes = Uint8Array.from((await body?.transformToByteArray()) ?? []);
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
    return await this.#reading(async () => {
      // A range of an empty object is an error to S3.
      const whole = digest === EMPTY || !Number.isFinite(bytes);
      const { Body: body } = await this.#open(digest, whole ? undefined : `bytes=0-${bytes - 1}`);
      return Uint8Array.from((await body?.transformToByteArray()) ?? []).slice(0, bytes);
    });
  }

  async delete(digest: Digest): Promise<void> {
    await this.#remove(this.#key('blobs', digest));
    await this.#remove(this.#key('touched', digest));
  }

  /**
   * As `CollectableBlobStore.collect`. Whoever touches the blob marks it first and looks for it then: either they find it
   * gone, or their mark is there when this looks once more, and the copy that lies aside goes back.
   */
  async collect(digest: Digest, olderThan: Date): Promise<boolean> {
    const [blob, aside] = [this.#key('blobs', digest), this.#key('aside', digest)];
    const isOlder = async (key: string): Promise<boolean | undefined> => {
      const found = await this.#head(key);
      return found === undefined ? undefined : found.modified < olderThan;
    };
    if ((await isOlder(blob)) !== true || (await isOlder(this.#key('touched', digest))) === false) return false;
    await this.#copy(blob, aside);
    await this.#remove(blob);
    const kept = (await isOlder(this.#key('touched', digest))) === false;
    if (kept) await this.#copy(aside, blob);
    else await this.#remove(this.#key('touched', digest));
    await this.#remove(aside);
    return !kept;
  }

  async *list(): AsyncGenerator<BlobInfo> {
    // Both lists come in the order of their names, so that they can be read side by side.
    const marks = this.#objects('touched');
    let mark = await marks.next();
    for await (const blob of this.#objects('blobs')) {
      while (mark.done !== true && mark.value.hex < blob.hex) mark = await marks.next();
      const touched = mark.done !== true && mark.value.hex === blob.hex ? mark.value.modified : blob.modified;
      yield {
        digest: digestOfHex(blob.hex),
        size: blob.size,
        modified: touched > blob.modified ? touched : blob.modified,
      };
    }
  }

  /** Uploads that nobody has ended, and copies that nobody has put back, for a day. */
  async removeLeftovers(): Promise<void> {
    const old = Date.now() - STALE_MS;
    for (const { Key: key, UploadId: id, Initiated: since } of await this.#uploads()) {
      if (key !== undefined && id !== undefined && since !== undefined && since.getTime() < old)
        await this.#abort(key, id);
    }
    for await (const { hex, modified } of this.#objects('aside'))
      if (modified.getTime() < old) await this.#remove(this.#key('aside', digestOfHex(hex)));
  }

  async check(): Promise<void> {
    // Not the bucket's HEAD, whose answer has no body to say what is wrong.
    await this.#call(() =>
      this.#client.send(new ListObjectsV2Command({ Bucket: this.#bucket, Prefix: `${this.#prefix}aside/` })),
    );
  }

  close(): Promise<void> {
    this.#client.destroy();
    return Promise.resolve();
  }

  /** Reads the source part by part; nothing appears under the name before the digest of all of it is known to be right. */
  async #receive(
    digest: Digest,
    source: AsyncIterable<Uint8Array>,
    declared: number | undefined,
    maxBytes: number,
  ): Promise<PutResult> {
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
      for await (const chunk of source) {
        size += chunk.length;
        if (size > maxBytes) throw new BlobTooLargeError(digest, maxBytes);
        if (declared !== undefined && size > declared) throw new BlobSizeMismatchError(digest, declared, 'more');
        hash.update(chunk);
        for (let at = 0; at < chunk.length;) {
          const piece = chunk.subarray(at, at + this.#partBytes - bytes);
          // A full part goes only when there is more, or the last one might be empty.
          if (piece.length === 0) {
            upload ??= await this.#startUpload(key);
            await upload.add(take());
            continue;
          }
          buffered.push(piece);
          bytes += piece.length;
          at += piece.length;
        }
      }
      if (declared !== undefined && size < declared) throw new BlobSizeMismatchError(digest, declared, `only ${size}`);
      const actual = digestOfHex(hash.digest('hex'));
      if (actual !== digest) throw new DigestMismatchError(digest, actual);
      const last = take();
      if (upload === undefined) return { created: await this.#write(key, last), size };
      await upload.add(last);
      return { created: await upload.complete(), size };
    } catch (error) {
      await upload?.abort();
      throw error;
    }
  }

  async #startUpload(key: string): Promise<MultipartUpload> {
    const { UploadId: id } = await this.#call(() =>
      this.#client.send(
        new CreateMultipartUploadCommand({ Bucket: this.#bucket, Key: key, ContentType: 'application/octet-stream' }),
      ),
    );
    const target = { Bucket: this.#bucket, Key: key, UploadId: id ?? '' };
    const parts: CompletedPart[] = [];
    const running = new Set<Promise<void>>();
    let number = 0;
    return {
      add: async (body) => {
        while (running.size >= this.#partsAtOnce) await Promise.race(running);
        const PartNumber = ++number;
        const sent = this.#call(() =>
          this.#client.send(new UploadPartCommand({ ...target, PartNumber, Body: body })),
        ).then(({ ETag: etag }) => {
          parts.push({ PartNumber, ETag: etag });
          running.delete(sent);
        });
        // A failure stays in the set, and comes out of the race.
        sent.catch(() => undefined);
        running.add(sent);
      },
      complete: async () => {
        await Promise.all(running);
        parts.sort((a, b) => (a.PartNumber ?? 0) - (b.PartNumber ?? 0));
        const created = await this.#conditional((condition) =>
          this.#client.send(
            new CompleteMultipartUploadCommand({ ...target, MultipartUpload: { Parts: parts }, ...condition }),
          ),
        );
        if (!created) await this.#abort(key, target.UploadId);
        return created;
      },
      abort: async () => {
        await Promise.allSettled(running);
        await this.#abort(key, target.UploadId);
      },
    };
  }

  /** If it fails, `removeLeftovers` finds the upload later. */
  async #abort(key: string, id: string): Promise<void> {
    await this.#client
      .send(new AbortMultipartUploadCommand({ Bucket: this.#bucket, Key: key, UploadId: id }))
      .catch(() => undefined);
  }

  /** @returns false when there is such an object already */
  #write(key: string, body: Uint8Array): Promise<boolean> {
    return this.#conditional((condition) =>
      this.#client.send(
        new PutObjectCommand({
          Bucket: this.#bucket,
          Key: key,
          Body: body,
          ContentLength: body.length,
          ContentType: 'application/octet-stream',
          ...condition,
        }),
      ),
    );
  }

  async #conditional(send: (condition: { IfNoneMatch?: string }) => Promise<unknown>): Promise<boolean> {
    for (let attempt = 1; ; attempt++) {
      try {
        await send(this.#condition);
        return true;
      } catch (error) {
        const { status, name } = s3ErrorOf(error);
        if (status === 412) return false;
        if (status === 501 && this.#condition.IfNoneMatch !== undefined) {
          this.#condition = {};
          continue;
        }
        // 409: another write of the same name is under way, or was when this one began.
        const conflict = status === 409 && name === 'ConditionalRequestConflict';
        if (!conflict || attempt >= this.#attempts) throw explainS3(error, this.#place);
        await backoff(attempt);
      }
    }
  }

  async #mark(digest: Digest): Promise<void> {
    await this.#call(() =>
      this.#client.send(
        new PutObjectCommand({
          Bucket: this.#bucket,
          Key: this.#key('touched', digest),
          Body: new Uint8Array(),
          ContentLength: 0,
        }),
      ),
    );
  }

  async #copy(from: string, to: string): Promise<void> {
    await this.#call(() =>
      this.#client.send(
        new CopyObjectCommand({ Bucket: this.#bucket, Key: to, CopySource: encodeURI(`${this.#bucket}/${from}`) }),
      ),
    );
  }

  async #remove(key: string): Promise<void> {
    await this.#call(() => this.#client.send(new DeleteObjectCommand({ Bucket: this.#bucket, Key: key })));
  }

  async #head(key: string): Promise<{ size: number; modified: Date } | undefined> {
    try {
      const { ContentLength: size, LastModified: modified } = await this.#client.send(
        new HeadObjectCommand({ Bucket: this.#bucket, Key: key }),
      );
      return { size: size ?? 0, modified: modified ?? new Date() };
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw explainS3(error, this.#place);
    }
  }

  async #open(digest: Digest, range?: string): Promise<GetObjectCommandOutput> {
    try {
      return await this.#client.send(
        new GetObjectCommand({
          Bucket: this.#bucket,
          Key: this.#key('blobs', digest),
          ...(range === undefined ? {} : { Range: range }),
        }),
      );
    } catch (error) {
      if (isMissing(error)) throw new BlobNotFoundError(digest, this.url);
      throw explainS3(error, this.#place);
    }
  }

  /** The client repeats what fails before an answer; this also what breaks off, or is damaged, on the way. */
  async #reading<T>(once: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await once();
      } catch (error) {
        if (attempt >= this.#attempts || !(error instanceof CorruptBlobError || isPassing(error)))
          throw explainS3(error, this.#place);
        await backoff(attempt);
      }
    }
  }

  /** The first thousand; none where the server cannot list them. */
  async #uploads(): Promise<MultipartUploadInfo[]> {
    try {
      const { Uploads: uploads } = await this.#client.send(
        new ListMultipartUploadsCommand({ Bucket: this.#bucket, Prefix: this.#prefix }),
      );
      return uploads ?? [];
    } catch (error) {
      if (s3ErrorOf(error).status === 501) return [];
      throw explainS3(error, this.#place);
    }
  }

  async *#objects(kind: Kind): AsyncGenerator<{ hex: string; size: number; modified: Date }> {
    const prefix = `${this.#prefix}${kind}/sha256/`;
    let token: string | undefined;
    do {
      const page = await this.#call(() =>
        this.#client.send(
          new ListObjectsV2Command({
            Bucket: this.#bucket,
            Prefix: prefix,
            ...(token === undefined ? {} : { ContinuationToken: token }),
          }),
        ),
      );
      for (const each of page.Contents ?? []) {
        const found = infoOf(each, prefix);
        if (found !== undefined) yield found;
      }
      token = page.NextContinuationToken;
    } while (token !== undefined);
  }

  #key(kind: Kind, digest: Digest): string {
    return `${this.#prefix}${kind}/sha256/${hexOf(digest)}`;
  }

  async #call<T>(send: () => Promise<T>): Promise<T> {
    try {
      return await send();
    } catch (error) {
      throw explainS3(error, this.#place);
    }
  }

  get #place(): { url: string; bucket: string; attempts: number } {
    return { url: this.url, bucket: this.#bucket, attempts: this.#attempts };
  }
}

type Kind = 'blobs' | 'touched' | 'aside';

interface MultipartUpload {
  /** Sends a part; waits while enough are under way. */
  add(part: Uint8Array): Promise<void>;
  /** @returns false when there is such an object already */
  complete(): Promise<boolean>;
  abort(): Promise<void>;
}

function infoOf(
  { Key: key = '', Size: size = 0, LastModified: modified }: _Object,
  prefix: string,
): { hex: string; size: number; modified: Date } | undefined {
  const hex = key.slice(prefix.length);
  return /^[0-9a-f]{64}$/.test(hex) && modified !== undefined ? { hex, size, modified } : undefined;
}

async function backoff(attempt: number): Promise<void> {
  await sleep(Math.min(MAX_BACKOFF_MS, 100 * 2 ** (attempt - 1)) * (0.5 + Math.random() / 2));
}
