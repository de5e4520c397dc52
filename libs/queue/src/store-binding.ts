/**
 * Which store a Redis belongs to. Both hold the same id and epoch: a service that is given another store, an empty
 * directory in place of a mount, or a Redis that has lost its data finds out before it does harm.
 */
import { randomUUID } from 'node:crypto';
import {
  describeIdentity,
  isCollectable,
  isSameIdentity,
  StoreMismatchError,
  StoreUnboundError,
  StoreUnconfirmedError,
  StoreUnknownError,
  StoreUnsupportedError,
  type RootBlobStore,
  type StoreIdentity,
} from '@blindfit/blobs';
import type { Connection } from './connection.ts';
import type { Keys } from './names.ts';

/**
 * `claimed`: neither had an id, and a service is giving both one; `bound`: they belong together; `found`: Redis had no
 * data when it met a store with an id, so nothing may be removed from the store until an operator adopts it.
 */
export type BindingState = 'claimed' | 'bound' | 'found';

export interface Binding extends StoreIdentity {
  readonly state: BindingState;
}

/** What both sides say; undefined where a side has no id. */
export interface Identities {
  readonly redis: Binding | undefined;
  readonly store: StoreIdentity | undefined;
}

/** A service that has claimed and then died is waited for this long. Milliseconds. */
const CLAIM_MS = 2_000;

const REPLACE = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1`;

export class StoreBinding {
  readonly #redis: Connection;
  readonly #key: string;
  readonly #store: RootBlobStore;
  /** The claim of another service, and since when this one sees it. */
  #claim: { readonly id: string; readonly since: number } | undefined;

  constructor(redis: Connection, keys: Keys, store: RootBlobStore) {
    this.#redis = redis;
    this.#key = keys.store;
    this.#store = store;
  }

  async read(): Promise<Identities> {
    const [redis, store] = await Promise.all([this.#binding(), this.#store.identity()]);
    return { redis, store };
  }

  /**
   * Compares both sides, and gives both an id when neither has one. Safe among any number of services at once.
   *
   * @throws {StoreMismatchError} `STORE_MISMATCH`, `STORE_UNKNOWN`, `STORE_UNBOUND`; what Redis and the store throw
   */
  async check(): Promise<void> {
    let identities: Identities;
    try {
      identities = await this.read();
    } catch (error) {
      // An API of the release before cannot be asked: what it stores is its own affair.
      if (error instanceof StoreUnsupportedError) return;
      throw error;
    }
    const { redis, store } = identities;
    if (redis === undefined) await (store === undefined ? this.#bindBoth() : this.#bindFound(store));
    else if (redis.state === 'claimed') await this.#finishClaim(redis, store);
    else this.#compare(redis, store);
  }

  /** @throws also {StoreUnconfirmedError} `STORE_UNCONFIRMED`: what Redis does not name may be needed all the same */
  async assertConfirmed(): Promise<void> {
    await this.check();
    const { redis, store } = await this.read();
    if (redis === undefined || store === undefined) throw new StoreUnboundError(this.#store.where);
    this.#compare(redis, store);
    if (redis.state !== 'bound') throw new StoreUnconfirmedError(this.#store.where, describeIdentity(store));
  }

  /**
   * Declares that this Redis and this store belong together, whatever both said before, with an epoch above both. The
   * store is written first: after a failure in between, both differ and this can be repeated.
   *
   * @throws {StoreUnsupportedError} for a store behind the API
   */
  async adopt(): Promise<StoreIdentity> {
    if (!isCollectable(this.#store)) throw new StoreUnsupportedError('adopting a store', this.#store.where);
    const { redis, store } = await this.read();
    const epochs = [redis, store].map((side) => (side === undefined ? 0 : side.epoch));
    const identity = { id: store === undefined ? randomUUID() : store.id, epoch: Math.max(...epochs) + 1 };
    await this.#store.replaceIdentity(identity);
    await this.#redis.set(this.#key, textOf({ ...identity, state: 'bound' }));
    return identity;
  }

  /** The claim comes first: a store with an id next to a Redis without one is always a loss, never a start. */
  async #bindBoth(): Promise<void> {
    if (!isCollectable(this.#store)) throw new StoreUnboundError(this.#store.where);
    const claim = { id: randomUUID(), epoch: 1, state: 'claimed' } as const;
    if ((await this.#redis.set(this.#key, textOf(claim), 'NX')) === 'OK') await this.#giveId(claim);
    else await this.check();
  }

  async #bindFound(store: StoreIdentity): Promise<void> {
    await this.#redis.set(this.#key, textOf({ ...store, state: 'found' }), 'NX');
    const redis = await this.#binding();
    if (redis === undefined || redis.state === 'claimed') throw new StoreUnboundError(this.#store.where);
    this.#compare(redis, store);
  }

  async #finishClaim(claim: Binding, store: StoreIdentity | undefined): Promise<void> {
    if (this.#claim?.id !== claim.id) this.#claim = { id: claim.id, since: performance.now() };
    // A directory that is not mounted must not get the id that is meant for the store.
    if (store === undefined && performance.now() - this.#claim.since < CLAIM_MS)
      throw new StoreUnboundError(this.#store.where);
    await this.#giveId(claim);
  }

  async #giveId(claim: Binding): Promise<void> {
    if (!isCollectable(this.#store)) throw new StoreUnboundError(this.#store.where);
    const store = await this.#store.createIdentity({ id: claim.id, epoch: claim.epoch });
    const state: BindingState = isSameIdentity(claim, store) ? 'bound' : 'found';
    await this.#redis.eval(REPLACE, 1, this.#key, textOf(claim), textOf({ ...store, state }));
    const redis = await this.#binding();
    if (redis !== undefined) this.#compare(redis, store);
  }

  #compare(redis: Binding, store: StoreIdentity | undefined): void {
    const { where } = this.#store;
    if (store === undefined) throw new StoreUnknownError(where, describeIdentity(redis));
    if (!isSameIdentity(redis, store))
      throw new StoreMismatchError(where, describeIdentity(store), describeIdentity(redis));
  }

  async #binding(): Promise<Binding | undefined> {
    const text = await this.#redis.get(this.#key);
    return text === null ? undefined : (JSON.parse(text) as Binding);
  }
}

function textOf({ id, epoch, state }: Binding): string {
  return JSON.stringify({ id, epoch, state });
}
