/** Waiting for the server to answer. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { messageOf } from '@blindfit/base';
import type { RedisConnection } from './listen.ts';

const START_TIMEOUT_MS = 30_000;

export const SILENT = `Redis did not answer within ${START_TIMEOUT_MS / 1000} s`;

/** Resolves with undefined once PING is answered, else with the reason to give up. Loading data may take any time. */
export async function waitUntilReady(connection: RedisConnection, givingUp: AbortSignal): Promise<string | undefined> {
  let deadline = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < deadline && !givingUp.aborted) {
    const client = new Redis({
      ...connection,
      lazyConnect: true,
      enableReadyCheck: false,
      maxRetriesPerRequest: 0,
      connectTimeout: 5000,
      commandTimeout: 5000,
      retryStrategy: () => null,
    });
    client.on('error', () => undefined); // the rejected promises tell the same
    try {
      await client.connect();
      await client.ping();
      return undefined;
    } catch (error) {
      if (messageOf(error).startsWith('LOADING')) deadline = Date.now() + START_TIMEOUT_MS;
    } finally {
      // A client whose attempt failed is at its end; disconnecting it once more would leave a timer behind.
      if (client.status !== 'end') client.disconnect();
    }
    await sleep(20);
  }
  return SILENT;
}
