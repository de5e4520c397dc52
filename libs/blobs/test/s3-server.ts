/**
 * A real S3 server, s3rver, in its own process behind a proxy that can do two things: fail on demand, and honour
 * `If-None-Match: *` on writes as Amazon does, which no server from npm or Debian does. s3rver 5.0.0 computes the
 * signature of requests for a bucket wrongly (it drops the trailing slash), so it checks the signer only.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Agent, createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { HeadObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { at } from '@blindfit/base';

export const BUCKET = 'blindfit-test';
/** The only ones that s3rver knows. */
export const CREDENTIALS = {
  AWS_ACCESS_KEY_ID: 'S3RVER',
  AWS_SECRET_ACCESS_KEY: 'S3RVER',
  AWS_REGION: 'us-east-1',
} as const;

export interface S3Request {
  readonly method: string;
  /** Path with query. */
  readonly path: string;
}

/** What to do with a request instead of passing it on: an S3 error, a broken connection before or within the answer. */
export type Failure = { readonly status: number; readonly code: string } | 'reset' | 'truncate' | 'flip';

export interface S3Server {
  /** URL of the proxy. */
  readonly endpoint: string;
  /** All so far. */
  readonly requests: S3Request[];
  fail: (request: S3Request) => Failure | undefined;
  close(): Promise<void>;
}

export async function startS3Server(directory: string): Promise<S3Server> {
  const cli = createRequire(import.meta.url).resolve('@20minutes/s3rver/lib/cli.js');
  const args = [
    '--directory',
    directory,
    '--address',
    '127.0.0.1',
    '--port',
    '0',
    '--silent',
    '--allow-mismatched-signatures',
    '--configure-bucket',
    BUCKET,
  ];
  const child = spawn(
    process.execPath,
    ['-e', `require(${JSON.stringify(cli)}).parseAsync(process.argv)`, 's3rver', ...args],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const port = await new Promise<number>((resolve, reject) => {
    child.once('exit', (status) => reject(new Error(`s3rver ended with status ${status}`)));
    createInterface(child.stdout).on('line', (line) => {
      const match = /listening on .*:(\d+)$/.exec(line);
      if (match !== null) resolve(Number(match[1]));
    });
  });
  const behind = new S3Client({
    endpoint: `http://127.0.0.1:${port}`,
    region: CREDENTIALS.AWS_REGION,
    forcePathStyle: true,
    credentials: { accessKeyId: CREDENTIALS.AWS_ACCESS_KEY_ID, secretAccessKey: CREDENTIALS.AWS_SECRET_ACCESS_KEY },
  });
  const agent = new Agent({ keepAlive: true });
  const requests: S3Request[] = [];
  const writing = new Map<string, Promise<void>>();

  const pass = (request: IncomingMessage, response: ServerResponse, failure: Failure | undefined): Promise<void> =>
    new Promise((resolve) => {
      const upstream = httpRequest(
        { host: '127.0.0.1', port, agent, method: request.method, path: request.url, headers: request.headers },
        (answer) => {
          response.writeHead(answer.statusCode ?? 500, answer.headers);
          let sent = 0;
          answer.on('data', (chunk: Buffer) => {
            if (failure === 'flip' && sent === 0) chunk[0] = at(chunk, 0, 'bytes') ^ 1;
            if (failure === 'truncate' && sent > 100_000) return;
            sent += chunk.length;
            response.write(chunk);
            // Late enough for the head of the answer to have been read.
            if (failure === 'truncate' && sent > 100_000) setTimeout(() => response.destroy(), 50);
          });
          answer.once('end', () => failure !== 'truncate' && response.end());
          answer.once('error', () => response.destroy());
        },
      );
      upstream.once('error', () => response.destroy());
      request.once('error', () => upstream.destroy());
      // A connection that ends before its body does not end the body.
      request.once('close', () => request.complete || upstream.destroy());
      response.once('close', resolve);
      request.pipe(upstream);
    });

  const exists = async (path: string): Promise<boolean> => {
    const Key = decodeURIComponent(path.slice(`/${BUCKET}/`.length).replace(/\?.*/s, ''));
    return await behind.send(new HeadObjectCommand({ Bucket: BUCKET, Key })).then(
      () => true,
      () => false,
    );
  };

  /** Serialises conditional writes of the same name. */
  const passIfNone = async (request: IncomingMessage, response: ServerResponse, path: string): Promise<void> => {
    const key = path.replace(/\?.*/s, '');
    const before = writing.get(key) ?? Promise.resolve();
    const mine = before.then(async () => {
      if (!(await exists(path))) return await pass(request, response, undefined);
      await text(request);
      refuse(response, 412, 'PreconditionFailed');
    });
    writing.set(key, mine);
    await mine;
  };

  const proxy = createServer((request, response) => {
    const { method = '', url: path = '' } = request;
    requests.push({ method, path });
    const failure = server.fail({ method, path });
    if (failure === 'reset') request.socket.destroy();
    else if (typeof failure === 'object')
      void text(request).then(
        () => refuse(response, failure.status, failure.code),
        () => undefined,
      );
    else if (request.headers['if-none-match'] === '*' && (method === 'PUT' || method === 'POST'))
      void passIfNone(request, response, path);
    else void pass(request, response, failure);
  }).listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const server: S3Server = {
    endpoint: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    requests,
    fail: () => undefined,
    async close() {
      proxy.close();
      proxy.closeAllConnections();
      behind.destroy();
      agent.destroy();
      if (child.exitCode === null) {
        child.kill('SIGKILL');
        await once(child, 'exit');
      }
    },
  };
  return server;
}

function refuse(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { 'content-type': 'application/xml' });
  response.end(`<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>as told</Message></Error>`);
}
