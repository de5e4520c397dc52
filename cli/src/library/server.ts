/** Where a job runs: a given API, or an embedded stack that lives as long as the job. */
import { availableParallelism } from 'node:os';
import { BlindfitClient } from '@blindfit/client';
import { OwnerError } from '@blindfit/owner';
import { startStack } from '@blindfit/stack';
import { withTemporaryDirectory } from '../temporary.ts';

export interface ServerChoice {
  /** A running API. @default an embedded stack */
  readonly server?: BlindfitClient | undefined;
  /** Threads of the embedded stack's worker. @default the number of cores */
  readonly threads?: number | undefined;
  /** Is told what the embedded stack does. */
  readonly onLog?: ((line: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs `work` with a client. An embedded stack is taken down however the work ends. The signal that the work gets is
 * aborted by `choice.signal`, and when a service of the embedded stack dies.
 */
export async function withServer<T>(
  choice: ServerChoice,
  work: (client: BlindfitClient, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { server, threads = availableParallelism(), onLog, signal = new AbortController().signal } = choice;
  if (server !== undefined) return await work(server, signal);
  return withTemporaryDirectory('blindfit-', async (dataDir) => {
    const broken = new AbortController();
    const stack = await startStack({
      dataDir,
      threads,
      log: (line) => onLog?.(line),
      signal,
      onExit: (name, reason) => broken.abort(new OwnerError(`the ${name} of the embedded stack ended: ${reason}`)),
    });
    const client = new BlindfitClient({ server: stack.url, token: stack.token });
    try {
      return await work(client, AbortSignal.any([signal, broken.signal]));
    } finally {
      await client.close().finally(() => stack.stop());
    }
  });
}
