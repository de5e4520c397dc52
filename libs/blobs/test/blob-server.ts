import { Readable } from 'node:stream';
import fastify from 'fastify';
import { at, parseDigest } from '@blindfit/base';
import { StorageError, type FileBlobStore } from '@blindfit/blobs';

/** A blob API over a directory, real HTTP and all, that can be told to misbehave. */
export interface BlobServer {
  url: string;
  /** Methods of the requests so far. */
  requests: string[];
  /** What to do with a request instead of serving it: a status, a broken connection, or nothing. */
  answer: (method: string) => number | 'reset' | undefined;
  /** How to spoil the body of a GET. */
  damage: () => 'truncate' | 'flip' | undefined;
  close(): Promise<void>;
}

const STATUS: Record<string, number> = {
  BLOB_NOT_FOUND: 404,
  DIGEST_MISMATCH: 422,
  BLOB_TOO_LARGE: 413,
  BLOB_SIZE_MISMATCH: 400,
  STORAGE_FULL: 507,
};

export async function startBlobServer(store: FileBlobStore, token: string, maxBytes: number): Promise<BlobServer> {
  const app = fastify({ exposeHeadRoutes: false, forceCloseConnections: true });
  const server: BlobServer = {
    url: '',
    requests: [],
    answer: () => undefined,
    damage: () => undefined,
    close: () => app.close(),
  };
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
  app.setErrorHandler(async (error, _request, reply) => {
    const code = error instanceof StorageError ? error.code : 'INTERNAL';
    await reply.code(STATUS[code] ?? 500).send({ code, detail: error instanceof Error ? error.message : '' });
  });
  app.addHook('onRequest', async (request, reply) => {
    server.requests.push(request.method);
    const answer = server.answer(request.method);
    if (answer === 'reset') request.raw.socket.destroy();
    else if (answer !== undefined) await reply.code(answer).send({ detail: 'as told' });
    else if (request.headers.authorization !== `Bearer ${token}`)
      await reply.code(401).send({ detail: 'who are you?' });
  });

  app.head<{ Params: { digest: string } }>('/v1/blobs/:digest', async (request, reply) => {
    const info = await store.has(parseDigest(request.params.digest));
    return info === undefined ? reply.code(404).send() : reply.header('content-length', info.size).send();
  });
  app.get<{ Params: { digest: string } }>('/v1/blobs/:digest', async (request, reply) => {
    const digest = parseDigest(request.params.digest);
    const damage = server.damage();
    const { size } = (await store.has(digest)) ?? { size: 0 };
    if (damage === undefined) return reply.header('content-length', size).send(await store.stream(digest));
    const bytes = await store.get(digest);
    bytes[1000] = at(bytes, 1000, 'bytes') ^ 1;
    const body = damage === 'flip' ? Readable.from([Buffer.from(bytes)]) : Readable.from(breakOff(bytes));
    return reply.header('content-length', size).send(body);
  });
  app.put<{ Params: { digest: string } }>('/v1/blobs/:digest', async (request, reply) => {
    const digest = parseDigest(request.params.digest);
    const result = await store.put(
      digest,
      request.raw.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>,
      { maxBytes },
    );
    return reply.code(result.created ? 201 : 200).send({ digest, ...result });
  });
  app.get('/v1/store', async (_request, reply) => {
    await store.check();
    return reply.send((await store.identity()) ?? {});
  });
  server.url = await app.listen({ host: '127.0.0.1', port: 0 });
  return server;
}

// eslint-disable-next-line @typescript-eslint/require-await
async function* breakOff(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield Buffer.from(bytes.subarray(0, bytes.length / 2));
  throw new Error('broken off as told');
}
