/** What tenants may use, and what they have used. */
import { DEFAULT_TENANT, type TenantSettings, type Usage } from '@blindfit/protocol';
import type { Connection } from './connection.ts';
import type { JobIndex } from './job-index.ts';
import type { Keys } from './names.ts';

/** Limits of tenants for which an operator has set none. Those without a value are unlimited. */
export interface TenantDefaults {
  readonly runningJobs: number;
  readonly jobs?: number | undefined;
  readonly bytes?: number | undefined;
  readonly computeSeconds?: number | undefined;
}

export class Tenants {
  readonly #redis: Connection;
  readonly #keys: Keys;
  readonly #index: Pick<JobIndex, 'open'>;
  readonly #defaults: TenantDefaults;

  constructor(redis: Connection, keys: Keys, index: Pick<JobIndex, 'open'>, defaults: TenantDefaults) {
    this.#redis = redis;
    this.#keys = keys;
    this.#index = index;
    this.#defaults = defaults;
  }

  async settings(tenant: string): Promise<TenantSettings> {
    return JSON.parse((await this.#redis.hget(this.#keys.tenantSettings, tenant)) ?? '{}') as TenantSettings;
  }

  /** Takes effect at once: at the next entry, submission or upload. */
  async set(tenant: string, settings: TenantSettings): Promise<void> {
    await this.#redis.hset(this.#keys.tenantSettings, tenant, JSON.stringify(settings));
  }

  /** Those that have blobs or settings, and the default one. */
  async names(): Promise<string[]> {
    const [withBlobs, withSettings] = await Promise.all([
      this.#redis.smembers(this.#keys.tenants),
      this.#redis.hkeys(this.#keys.tenantSettings),
    ]);
    return [...new Set([DEFAULT_TENANT, ...withBlobs, ...withSettings])].sort();
  }

  async limits(tenant: string): Promise<TenantDefaults> {
    return { ...this.#defaults, ...(await this.settings(tenant)) };
  }

  /** Bytes of its blobs. */
  async storedBytes(tenant: string): Promise<Usage['bytes']> {
    const [{ bytes: limit }, used] = await Promise.all([
      this.limits(tenant),
      this.#redis.hget(this.#keys.storedBytes, tenant),
    ]);
    return limited(Math.max(0, Number(used)), limit);
  }

  /** The usage at this moment. Costs the same however many jobs there are. */
  async usage(tenant: string, now = Date.now()): Promise<Usage> {
    const day = dayOf(now);
    const [{ weight = 1 }, limits, open, bytes, seconds] = await Promise.all([
      this.settings(tenant),
      this.limits(tenant),
      this.#index.open(tenant),
      this.storedBytes(tenant),
      this.#redis.get(this.#keys.computed(tenant, day)),
    ]);
    return {
      tenant,
      weight,
      jobs: limited(open.all, limits.jobs),
      runningJobs: limited(open.running, limits.runningJobs),
      bytes,
      computeSeconds: { ...limited(Number(seconds), limits.computeSeconds), day },
    };
  }
}

/** The day in UTC, as in `2026-01-31`. @param time milliseconds since the epoch */
export function dayOf(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}

function limited(used: number, limit: number | undefined): Usage['jobs'] {
  return limit === undefined ? { used } : { used, limit };
}
