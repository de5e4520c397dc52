/** The store of a service: opened, waited for, and known to belong to this Redis. */
import { isRedisAway } from '@blindfit/base';
import { openBlobStore, type OpenBlobStoreOptions, type RootBlobStore } from '@blindfit/blobs';
import { waitFor, type ServiceBase } from '@blindfit/service';
import type { Keys } from './names.ts';
import { StoreBinding } from './store-binding.ts';

export interface ServiceStoreOptions<Store> extends OpenBlobStoreOptions {
  readonly storeUrl: string;
  readonly keys: Keys;
  /** What the service needs its store to be. @throws an error that ends the start */
  readonly narrow: (store: RootBlobStore) => Store;
}

/**
 * Opens the store, waits until it can be used and belongs to this Redis, and watches both in `/readyz` from then on.
 * @throws {StorageError} when the settings are wrong: `STORE_MISMATCH`, `STORE_REFUSED`, `STORE_SETUP`,
 *   `INVALID_STORE_URL`
 */
export async function openServiceStore<Store extends RootBlobStore>(
  { redis, readiness, start, logger }: Pick<ServiceBase, 'redis' | 'readiness' | 'start' | 'logger'>,
  { storeUrl, token, keys, narrow }: ServiceStoreOptions<Store>,
): Promise<Store> {
  const wait = { what: 'the store', condition: start, logger };
  start.fail('opening the store');
  const store = await waitFor(wait, async () => narrow(await openBlobStore(storeUrl, { token })));
  const binding = new StoreBinding(redis, keys, store);
  const check = async (): Promise<void> => {
    await store.check();
    await binding.check();
  };
  // While Redis is away there is nothing to compare with, and the condition of Redis says so.
  const checkWhatIsThere = async (): Promise<void> => {
    await store.check();
    if (redis.status !== 'ready') return;
    await binding.check().catch((error: unknown) => {
      if (!isRedisAway(error)) throw error;
    });
  };
  readiness.check('store', checkWhatIsThere);
  try {
    await waitFor(wait, check);
  } catch (error) {
    await store.close();
    throw error;
  }
  return store;
}
