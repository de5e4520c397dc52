/** Where a job runs: an API that is there, or a stack of our own for as long as the job lasts. */
import { availableParallelism } from 'node:os';
import { BlindfitClient } from '@blindfit/client';
import { startStack } from '@blindfit/stack';
import { CliError } from '../errors.ts';
import { withTemporaryDirectory } from '../temporary.ts';

export interface ServerChoice {
  /** Base URL of a running API; without it an embedded stack is started. */
  readonly server?: string | undefined;
  readonly token?: string | undefined;
  /** Threads of the embedded stack's worker. @default the number of cores */
  readonly threads?: number | undefined;
}

/**
 * Does something with a client, and takes down whatever was started for it, however the work ends. The signal it gets is
 * aborted by `signal`, and when a service of the embedded stack dies.
 */
export async function withServer<T>(
  choice: ServerChoice,
  log: (line: string) => void,
  signal: AbortSignal,
  work: (client: BlindfitClient, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  if (choice.server !== undefined) {
    return withClosing(new BlindfitClient({ server: choice.server, token: choice.token }), (client) =>
      work(client, signal),
    );
  }
  return withTemporaryDirectory('blindfit-', async (dataDir) => {
    const broken = new AbortController();
    const stack = await startStack({
      dataDir,
      threads: choice.threads ?? availableParallelism(),
      log,
      signal,
      onExit: (name, reason) => broken.abort(new CliError(`the ${name} of the embedded stack ended: ${reason}`)),
    });
    try {
      return await withClosing(new BlindfitClient({ server: stack.url, token: stack.token }), (client) =>
        work(client, AbortSignal.any([signal, broken.signal])),
      );
    } finally {
      await stack.stop();
    }
  });
}

async function withClosing<T>(client: BlindfitClient, work: (client: BlindfitClient) => Promise<T>): Promise<T> {
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}
