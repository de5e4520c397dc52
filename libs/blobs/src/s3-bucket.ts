/** Objects of one bucket: each call is one request to S3, and errors come in the words of this package. */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CopyObjectCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  type GetObjectCommandOutput,
} from '@aws-sdk/client-s3';
import { backoffMs } from '@blindfit/base';
import { explainS3, isMissing, s3ErrorOf } from './s3-errors.ts';
import { s3UrlOf, type S3Address } from './s3-url.ts';

/** First and longest wait between two attempts of this package; the client has its own. Milliseconds. */
const BACKOFF_MS = { first: 100, longest: 5_000 };

export interface S3BucketOptions {
  /** How often a call is tried in all. @default 5 */
  readonly attempts?: number | undefined;
  /** Milliseconds without a byte before an attempt counts as failed. @default 60000 */
  readonly idleTimeoutMs?: number | undefined;
}

export interface S3Object {
  readonly key: string;
  /** Bytes. */
  readonly size: number;
  readonly modified: Date;
}

/** The condition under which an object is written: that there is none of its name. */
export type WriteCondition = { readonly IfNoneMatch?: string };

export class S3Bucket {
  /** The URL of the store without its parameters. */
  readonly url: string;
  readonly name: string;
  readonly client: S3Client;
  readonly attempts: number;
  /** Dropped when the server says that it knows no conditional writes: the content of a name is always the same. */
  #condition: WriteCondition = { IfNoneMatch: '*' };

  constructor(address: S3Address, { attempts = 5, idleTimeoutMs = 60_000 }: S3BucketOptions) {
    const { bucket, endpoint, pathStyle = endpoint !== undefined } = address;
    this.url = s3UrlOf(address);
    this.name = bucket;
    this.attempts = Math.max(1, attempts);
    this.client = new S3Client({
      // Servers other than Amazon's rarely need a region, but it is part of every signature.
      ...(endpoint !== undefined && { endpoint, region: process.env['AWS_REGION'] ?? 'us-east-1' }),
      forcePathStyle: pathStyle,
      maxAttempts: this.attempts,
      retryMode: 'standard',
      // The signature covers the SHA-256 of every body already, and not every server knows the newer checksums.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      requestHandler: { connectionTimeout: 10_000, socketTimeout: idleTimeoutMs },
    });
  }

  async head(key: string): Promise<{ size: number; modified: Date } | undefined> {
    try {
      const { ContentLength: size = 0, LastModified: modified = new Date() } = await this.client.send(
        new HeadObjectCommand({ Bucket: this.name, Key: key }),
      );
      return { size, modified };
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw this.explain(error);
    }
  }

  /** @returns undefined when there is no such object */
  async get(key: string, range?: string): Promise<GetObjectCommandOutput | undefined> {
    try {
      const condition = range === undefined ? {} : { Range: range };
      return await this.client.send(new GetObjectCommand({ Bucket: this.name, Key: key, ...condition }));
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw this.explain(error);
    }
  }

  /** Writes an object, over one that exists. */
  async put(key: string, body: Uint8Array): Promise<void> {
    const put = new PutObjectCommand({ Bucket: this.name, Key: key, Body: body, ContentLength: body.length });
    await this.call(() => this.client.send(put));
  }

  /** Writes an object. @returns false when there is one of this name already */
  create(key: string, body: Uint8Array): Promise<boolean> {
    const object = { Bucket: this.name, Key: key, Body: body, ContentLength: body.length };
    return this.conditional((condition) =>
      this.client.send(new PutObjectCommand({ ...object, ContentType: 'application/octet-stream', ...condition })),
    );
  }

  async copy(from: string, to: string): Promise<void> {
    const source = encodeURI(`${this.name}/${from}`);
    await this.call(() => this.client.send(new CopyObjectCommand({ Bucket: this.name, Key: to, CopySource: source })));
  }

  async remove(key: string): Promise<void> {
    await this.call(() => this.client.send(new DeleteObjectCommand({ Bucket: this.name, Key: key })));
  }

  /** All objects whose key begins with a prefix, in the order of their keys. */
  async *list(prefix: string): AsyncGenerator<S3Object> {
    let token: string | undefined;
    do {
      const page = await this.listPage(prefix, token);
      for (const { Key: key, Size: size = 0, LastModified: modified } of page.Contents ?? [])
        if (key !== undefined && modified !== undefined) yield { key, size, modified };
      token = page.NextContinuationToken;
    } while (token !== undefined);
  }

  listPage(prefix: string, token?: string) {
    const from = token === undefined ? {} : { ContinuationToken: token };
    return this.call(() => this.client.send(new ListObjectsV2Command({ Bucket: this.name, Prefix: prefix, ...from })));
  }

  /**
   * Sends a write on the condition that there is no object of its name.
   * @returns false when there is one
   */
  async conditional(send: (condition: WriteCondition) => Promise<unknown>): Promise<boolean> {
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
        if (!conflict || attempt >= this.attempts) throw this.explain(error);
        await this.wait(attempt);
      }
    }
  }

  async call<T>(send: () => Promise<T>): Promise<T> {
    try {
      return await send();
    } catch (error) {
      throw this.explain(error);
    }
  }

  explain(error: unknown): unknown {
    return explainS3(error, { url: this.url, bucket: this.name, attempts: this.attempts });
  }

  /** Waits after the given number of failed attempts. */
  async wait(failures: number): Promise<void> {
    await sleep(backoffMs(failures, BACKOFF_MS.first, BACKOFF_MS.longest));
  }
}
