import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import { parseDigest, type Digest } from '@blindfit/base';
import { BlobNotFoundError, BlobTooLargeError, type BlobStore } from '@blindfit/blobs';
import type { BlobOwners, Tenants } from '@blindfit/queue';
import { principalOf } from '../auth.ts';
import { enter, limitBodyTime, type Bounds } from '../bounds.ts';
import type { Gate } from '../gate.ts';
import { ProblemSchema, handleError } from '../problems.ts';
import { assertMayStore } from '../quotas.ts';
import { blobHeaders, sendBlob, type BlobTraffic } from '../send-blob.ts';

export interface BlobRoutesOptions {
  store: BlobStore;
  owners: Pick<BlobOwners, 'add' | 'has'>;
  tenants: Pick<Tenants, 'storedBytes'>;
  /** Throws when the room that is left is for running jobs. */
  assertRoom: (tenant: string, bytes: number) => Promise<void>;
  /** Uploads and submissions under way. */
  uploads: Gate;
  bounds: Pick<Bounds, 'bodyMs' | 'minUploadRate'>;
  /** Largest blob accepted, in bytes. */
  maxBytes: number;
  /** Milliseconds without a byte after which an upload is given up. @default 60000 */
  idleTimeoutMs?: number | undefined;
  traffic?: BlobTraffic;
}

const Params = Type.Object({
  // No pattern here: the store checks the syntax, and its error says how a digest is written.
  digest: Type.String({
    description: 'sha256: and 64 lower-case hex digits',
    examples: [`sha256:${'0123456789abcdef'.repeat(4)}`],
  }),
});

const Stored = Type.Object({
  digest: Type.String(),
  size: Type.Integer({ description: 'Bytes' }),
  created: Type.Boolean({ description: 'False when the blob was there already' }),
});

/**
 * `PUT`, `HEAD` and `GET /v1/blobs/:digest`: upload, presence and download of content-addressed blobs. Bodies are
 * streamed between socket and store and never held in memory.
 */
export const blobRoutes: FastifyPluginAsyncTypebox<BlobRoutesOptions> = (
  app,
  { store, owners, tenants, assertRoom, uploads, bounds, maxBytes, idleTimeoutMs = 60_000, traffic },
) => {
  app.setErrorHandler(handleError);
  // Whatever a client calls its body, these routes take it as bytes. Only within this plugin.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(['application/octet-stream', '*'], (_request, payload, done) => done(null, payload));

  app.put(
    '/v1/blobs/:digest',
    {
      onRequest: (request, reply, done) => {
        enter(uploads, request, reply, 'uploads');
        done();
      },
      schema: {
        tags: ['blobs'],
        summary: 'Upload a blob',
        description:
          'Idempotent. Nothing is stored unless all bytes arrive and hash to the digest. Ask with HEAD first ' +
          'to save the transfer.',
        consumes: ['application/octet-stream'],
        params: Params,
        response: {
          200: Stored,
          201: Stored,
          400: ProblemSchema,
          401: ProblemSchema,
          403: ProblemSchema,
          413: ProblemSchema,
          422: ProblemSchema,
          507: ProblemSchema,
        },
      },
    },
    async (request, reply) => {
      const digest = parseDigest(request.params.digest);
      const length = request.headers['content-length'];
      const announced = length === undefined ? undefined : Number(length);
      if (announced !== undefined && announced > maxBytes) throw new BlobTooLargeError(digest, maxBytes);
      limitIdleTime(request.raw, idleTimeoutMs);
      limitBodyTime(request, reply, bounds);
      const { tenant, scopes } = principalOf(request);
      // What workers store is a job's, and belongs to its tenant when the tenant is to see it.
      const known = !scopes.has('blobs') || (await owners.has(tenant, digest));
      if (!known) {
        await assertMayStore(tenants, tenant, announced ?? 0);
        await assertRoom(tenant, announced ?? 0);
      }
      const stored = await store.put(digest, chunksOf(request.raw, traffic), {
        maxBytes,
        proof: !known,
        size: announced,
      });
      // The store leaves the body of a known blob unread, but the client wants to get rid of it before it listens.
      if (!request.raw.complete) await drain(request.raw, digest, maxBytes, traffic);
      if (!known) await owners.add(tenant, [digest], stored.size);
      const created = !known || stored.created;
      return reply.code(created ? 201 : 200).send({ digest, size: stored.size, created });
    },
  );

  app.head(
    '/v1/blobs/:digest',
    {
      config: { swagger: { exposeHeadRoute: true } },
      schema: {
        tags: ['blobs'],
        summary: 'Ask whether a blob is there, and how large it is',
        description:
          'A blob that was asked about counts as new: it stays for the retention time from then on, also when ' +
          'no job refers to it yet.',
        params: Params,
        response: {
          200: Type.Unsafe<undefined>({
            type: 'null',
            description: 'It is there; Content-Length says how large it is',
          }),
          404: Type.Unsafe<undefined>({ type: 'null', description: 'It is not' }),
        },
      },
    },
    async (request, reply) => {
      const digest = parseDigest(request.params.digest);
      const { tenant, scopes } = principalOf(request);
      if (scopes.has('blobs') && !(await owners.has(tenant, digest))) throw new BlobNotFoundError(digest, 'this store');
      // Whoever hears that it is there does not send it again, and must find it there later.
      const info = (await store.touch(digest)) ? await store.has(digest) : undefined;
      if (info === undefined) throw new BlobNotFoundError(digest, 'this store');
      return reply.code(200).headers(blobHeaders(digest, info.size)).send(undefined);
    },
  );

  app.get(
    '/v1/blobs/:digest',
    {
      // HEAD is a route of its own, which opens no file.
      exposeHeadRoute: false,
      schema: {
        tags: ['blobs'],
        summary: 'Download a blob',
        produces: ['application/octet-stream'],
        params: Params,
        response: {
          200: Type.Unsafe<Readable>({ type: 'string', format: 'binary', description: 'The bytes of the blob' }),
          304: Type.Unsafe<undefined>({ type: 'null', description: 'The client has the blob (If-None-Match)' }),
          400: ProblemSchema,
          401: ProblemSchema,
          404: ProblemSchema,
        },
      },
    },
    async (request, reply) => {
      const digest = parseDigest(request.params.digest);
      await assertMayRead(request, owners, digest);
      return await sendBlob(request, reply, { store, digest, traffic });
    },
  );
  return Promise.resolve();
};

/** Blobs of others are not there. @throws {BlobNotFoundError} */
async function assertMayRead(request: FastifyRequest, owners: Pick<BlobOwners, 'has'>, digest: Digest): Promise<void> {
  const { tenant, scopes } = principalOf(request);
  if (scopes.has('work') || (await owners.has(tenant, digest))) return;
  throw new BlobNotFoundError(digest, 'this store');
}

/**
 * The body in chunks. Ending the iteration early must not destroy the request: its socket still has to carry the
 * answer.
 */
async function* chunksOf(body: IncomingMessage, traffic: BlobTraffic | undefined): AsyncGenerator<Uint8Array> {
  for await (const chunk of body.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>) {
    traffic?.received(chunk.length);
    yield chunk;
  }
}

/** Reads a body to its end without keeping it; the limit holds here too. */
async function drain(
  body: IncomingMessage,
  digest: Digest,
  maxBytes: number,
  traffic: BlobTraffic | undefined,
): Promise<void> {
  let size = 0;
  for await (const chunk of chunksOf(body, traffic)) {
    size += chunk.length;
    if (size > maxBytes) throw new BlobTooLargeError(digest, maxBytes);
  }
}

/** A client that stops sending without hanging up would hold a temporary file for ever. */
function limitIdleTime(request: IncomingMessage, milliseconds: number): void {
  request.setTimeout(milliseconds, () => request.destroy(new Error(`no byte came for ${milliseconds} ms`)));
  // Not the time that the store needs to bring a large blob to disk.
  request.once('end', () => request.socket.setTimeout(0));
}
