import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Digest } from '@blindfit/base';
import { BlobNotFoundError, type BlobStore } from '@blindfit/blobs';

/** Told of the bytes of blobs that come and go. */
export interface BlobTraffic {
  received(bytes: number): void;
  sent(bytes: number): void;
}

export interface SentBlob {
  store: BlobStore;
  digest: Digest;
  traffic: BlobTraffic | undefined;
  headers?: Readonly<Record<string, string>>;
}

/**
 * Answers with a blob, or with 304 when the client has it.
 *
 * @throws {BlobNotFoundError}
 */
export async function sendBlob(
  request: FastifyRequest,
  reply: FastifyReply,
  { store, digest, traffic, headers = {} }: SentBlob,
): Promise<FastifyReply> {
  const info = await store.has(digest);
  if (info === undefined) throw new BlobNotFoundError(digest, 'this store');
  void reply.headers(headers);
  // The content of a digest never changes, so a copy the client has is always the right one.
  if (request.headers['if-none-match']?.includes(`"${digest}"`) === true)
    return reply.code(304).header('etag', `"${digest}"`).send();
  const content = await store.stream(digest);
  content.once('end', () => traffic?.sent(info.size));
  return reply.code(200).headers(blobHeaders(digest, info.size)).send(content);
}

/** What is said of a blob, on GET and HEAD. */
export function blobHeaders(digest: Digest, size: number): Record<string, string | number> {
  return {
    'content-type': 'application/octet-stream',
    'content-length': size,
    etag: `"${digest}"`,
    // RFC 9530.
    'repr-digest': `sha-256=:${Buffer.from(digest.slice('sha256:'.length), 'hex').toString('base64')}:`,
    'cache-control': 'private, max-age=31536000, immutable',
    'x-content-type-options': 'nosniff',
  };
}
