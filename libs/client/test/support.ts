import { createHash, randomBytes } from 'node:crypto';
import type { TestContext } from 'node:test';
import fastify, { type FastifyInstance } from 'fastify';
import { BlindfitClient, type BlindfitClientOptions } from '@blindfit/client';
import type { JobState, JobView } from '@blindfit/protocol';

export const TOKEN = 'the-token-of-the-tests';

/** A server whose routes the test adds, listening until the test ends. */
export async function serve(t: TestContext, addRoutes: (app: FastifyInstance) => void, port = 0): Promise<string> {
  const app = fastify({ forceCloseConnections: true, bodyLimit: 2 ** 30 });
  app.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (_request, body, done) =>
    done(null, body),
  );
  addRoutes(app);
  const url = await app.listen({ host: '127.0.0.1', port });
  t.after(() => app.close());
  return url;
}

/** A client that does not wait long between attempts. */
export function clientOf(t: TestContext, server: string, options: Partial<BlindfitClientOptions> = {}): BlindfitClient {
  const client = new BlindfitClient({ server, token: TOKEN, backoffMs: 5, maxBackoffMs: 20, ...options });
  t.after(() => client.close());
  return client;
}

export function randomBlob(size: number): { bytes: Buffer; digest: string } {
  const bytes = randomBytes(size);
  return { bytes, digest: digestOf(bytes) };
}

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

export function problem(
  status: number,
  code: string,
  detail: string,
  hint?: string,
): { type: string; title: string; status: number; code: string; detail: string; hint?: string | undefined } {
  return {
    type: `urn:blindfit:problem:${code}`,
    title: 'Problem',
    status,
    code,
    detail,
    hint,
  };
}

export const PROBLEM = 'application/problem+json';

export function jobView(state: JobState = 'running', tasksDone = 0): JobView {
  return {
    id: 'job-0123456789ab',
    kind: 'train',
    state,
    tenant: 'default',
    manifest: digestOf(new Uint8Array()),
    signer: `ed25519:${'0'.repeat(64)}`,
    shape: { samples: 128, features: 401, classes: 10 },
    hyperparameters: {
      iterations: 2,
      learningRate: 1,
      initialWeight: 0,
      sigmoid: { degree: 3, range: 8, odd: [0.1, -0.0004] },
    },
    parameters: 'N14QP380',
    createdAt: new Date(0).toISOString(),
    progress: { phase: 'training', iteration: 0, iterations: 2, tasksDone, tasksTotal: 10, levelsLeft: 3 },
    refreshes: [],
    answers: [],
  };
}
