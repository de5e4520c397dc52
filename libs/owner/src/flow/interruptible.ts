/** Calls that an abort ends at once, also while they wait through an outage of the servers. */
import type { BlindfitClient } from '@blindfit/client';

/**
 * The client, whose calls reject with the reason of the signal as soon as that is aborted. What was sent may still
 * arrive. A call that waits for a server ends when the client is closed.
 */
export function interruptible(client: BlindfitClient, signal: AbortSignal | undefined): BlindfitClient {
  if (signal === undefined) return client;
  return new Proxy(client, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== 'function') return member;
      return (...values: unknown[]): unknown => {
        signal.throwIfAborted();
        const result: unknown = Reflect.apply(member, target, values);
        return result instanceof Promise ? unlessAborted(result, signal) : result;
      };
    },
  });
}

function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    void promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
