/** Uploads of one object in several parts. */
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { required } from '@blindfit/base';
import type { S3Bucket } from './s3-bucket.ts';
import { s3ErrorOf } from './s3-errors.ts';

export class MultipartUpload {
  readonly #bucket: S3Bucket;
  readonly #target: { readonly Bucket: string; readonly Key: string; readonly UploadId: string };
  readonly #partsAtOnce: number;
  readonly #etags: (string | undefined)[] = [];
  readonly #running = new Set<Promise<void>>();

  private constructor(bucket: S3Bucket, key: string, id: string, partsAtOnce: number) {
    this.#bucket = bucket;
    this.#target = { Bucket: bucket.name, Key: key, UploadId: id };
    this.#partsAtOnce = partsAtOnce;
  }

  static async start(bucket: S3Bucket, key: string, partsAtOnce: number): Promise<MultipartUpload> {
    const object = { Bucket: bucket.name, Key: key, ContentType: 'application/octet-stream' };
    const { UploadId: id } = await bucket.call(() => bucket.client.send(new CreateMultipartUploadCommand(object)));
    return new MultipartUpload(bucket, key, required(id, 'the id of an upload'), partsAtOnce);
  }

  /** Sends a part. Waits while enough parts are under way. @throws the error of a part that was sent before */
  async add(body: Uint8Array): Promise<void> {
    while (this.#running.size >= this.#partsAtOnce) await Promise.race(this.#running);
    const index = this.#etags.push(undefined) - 1;
    const part = new UploadPartCommand({ ...this.#target, PartNumber: index + 1, Body: body });
    const sent = this.#bucket
      .call(() => this.#bucket.client.send(part))
      .then(({ ETag: etag }) => {
        this.#etags[index] = etag;
        this.#running.delete(sent);
      });
    // A failure stays in the set and comes out of the race.
    sent.catch(() => undefined);
    this.#running.add(sent);
  }

  /** @returns false when there is an object of this name already */
  async complete(): Promise<boolean> {
    await Promise.all(this.#running);
    const Parts = this.#etags.map((ETag, index) => ({ PartNumber: index + 1, ETag }));
    const created = await this.#bucket.conditional((condition) =>
      this.#bucket.client.send(
        new CompleteMultipartUploadCommand({ ...this.#target, MultipartUpload: { Parts }, ...condition }),
      ),
    );
    if (!created) await abort(this.#bucket, this.#target.Key, this.#target.UploadId);
    return created;
  }

  async abort(): Promise<void> {
    await Promise.allSettled(this.#running);
    await abort(this.#bucket, this.#target.Key, this.#target.UploadId);
  }
}

/** Aborts uploads below a prefix that were begun before a time: the first thousand, none if they cannot be listed. */
export async function abortUploads(bucket: S3Bucket, prefix: string, before: number): Promise<void> {
  for (const { Key: key, UploadId: id, Initiated: since } of await uploadsBelow(bucket, prefix))
    if (key !== undefined && id !== undefined && since !== undefined && since.getTime() < before)
      await abort(bucket, key, id);
}

async function uploadsBelow(bucket: S3Bucket, prefix: string) {
  try {
    const list = new ListMultipartUploadsCommand({ Bucket: bucket.name, Prefix: prefix });
    return (await bucket.client.send(list)).Uploads ?? [];
  } catch (error) {
    if (s3ErrorOf(error).status === 501) return [];
    throw bucket.explain(error);
  }
}

/** A failure is ignored: {@link abortUploads} finds the upload later. */
async function abort(bucket: S3Bucket, key: string, id: string): Promise<void> {
  const command = new AbortMultipartUploadCommand({ Bucket: bucket.name, Key: key, UploadId: id });
  await bucket.client.send(command).catch(() => undefined);
}
