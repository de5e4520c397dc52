import { BlindfitClient, type BlindfitClientOptions } from '@blindfit/client';

/** How long a connection waits for a server that is away. One hour. Milliseconds. */
export const DEFAULT_PATIENCE_MS = 3_600_000;

export type ConnectOptions = Omit<BlindfitClientOptions, 'server'>;

/**
 * A connection to a running Blindfit API, for the `server` option of the other functions. Close it at the end:
 * `await server.close()`.
 * A server that has answered before is waited for when it is away: `patienceMs`, an hour by default.
 * @param url base URL, e.g. `https://blindfit.example.org`
 * @throws InvalidServerError
 */
export function connect(url: string, options: ConnectOptions = {}): BlindfitClient {
  return new BlindfitClient({ patienceMs: DEFAULT_PATIENCE_MS, ...options, server: url });
}
