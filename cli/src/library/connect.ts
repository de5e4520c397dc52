import { BlindfitClient, type BlindfitClientOptions } from '@blindfit/client';

export type ConnectOptions = Omit<BlindfitClientOptions, 'server'>;

/**
 * A connection to a running Blindfit API, for the `server` option of the other functions. Close it at the end:
 * `await server.close()`.
 * @param url base URL, e.g. `https://blindfit.example.org`
 * @throws InvalidServerError
 */
export function connect(url: string, options: ConnectOptions = {}): BlindfitClient {
  return new BlindfitClient({ ...options, server: url });
}
