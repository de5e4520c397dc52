import type { BlobStore } from './blob-store.ts';

/** The calls that are timed. */
export const OPERATIONS = ['has', 'touch', 'put', 'get', 'stream', 'readHead'] as const;

/** One call of a store. */
export interface StoreCall {
  readonly operation: (typeof OPERATIONS)[number];
  readonly seconds: number;
  readonly failed: boolean;
}

const TIMED: ReadonlySet<string> = new Set(OPERATIONS);

/**
 * The same store, whose calls are timed. Of a stream the time to its beginning counts. That a blob is missing or too
 * large is no failure of the store.
 */
export function meteredStore<Store extends BlobStore>(store: Store, onCall: (call: StoreCall) => void): Store {
  return new Proxy(store, {
    get(target, name): unknown {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      const method = value.bind(target) as (...args: unknown[]) => unknown;
      if (typeof name !== 'string' || !TIMED.has(name)) return method;
      return async (...args: unknown[]): Promise<unknown> => {
        const operation = name as StoreCall['operation'];
        const started = performance.now();
        const done = (failed: boolean): void =>
          onCall({ operation, seconds: (performance.now() - started) / 1000, failed });
        try {
          const result = await method(...args);
          done(false);
          return result;
        } catch (error) {
          done(!isAnswer(error));
          throw error;
        }
      };
    },
  });
}

/** Codes of errors by which a store that works tells of a blob. */
const ANSWERS: ReadonlySet<unknown> = new Set([
  'BLOB_NOT_FOUND',
  'BLOB_TOO_LARGE',
  'BLOB_SIZE_MISMATCH',
  'DIGEST_MISMATCH',
]);

function isAnswer(error: unknown): boolean {
  return error instanceof Error && 'code' in error && ANSWERS.has(error.code);
}
