/** The tokens of a cluster, in Redis: hashes of their secrets, never the secrets. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { defined } from '@blindfit/base';
import { SCOPES, type MadeToken, type NewToken, type TokenView } from '@blindfit/protocol';
import type { Connection } from './connection.ts';
import type { Keys } from './names.ts';

/** `blindfit_<id>_<secret>`: the prefix lets scanners of leaked secrets find it. */
const FORM = /^blindfit_([0-9a-f]{16})_([A-Za-z0-9_-]{43})$/;

type StoredToken = Omit<TokenView, 'id'> & { readonly hash: string };

export class TokenStore {
  readonly #redis: Connection;
  readonly #key: string;

  constructor(redis: Connection, keys: Pick<Keys, 'tokens'>) {
    this.#redis = redis;
    this.#key = keys.tokens;
  }

  /** Makes a token of 256 random bits. Its text is returned here and can be had never again. */
  async create({ tenant, scopes, expiresAt }: NewToken): Promise<MadeToken> {
    const id = randomBytes(8).toString('hex');
    const secret = randomBytes(32).toString('base64url');
    const stored = defined<StoredToken>({
      hash: hashOf(secret),
      tenant,
      scopes: SCOPES.filter((scope) => scopes.includes(scope)),
      createdAt: new Date().toISOString(),
      expiresAt,
    });
    await this.#redis.hset(this.#key, id, JSON.stringify(stored));
    return { ...viewOf(id, stored), token: `blindfit_${id}_${secret}` };
  }

  /** Newest first; those that have expired as well. */
  async list(): Promise<TokenView[]> {
    const all = Object.entries(await this.#redis.hgetall(this.#key));
    return all
      .map(([id, text]) => viewOf(id, JSON.parse(text) as StoredToken))
      .sort((a, b) => b.createdAt.localeCompare(a.createdAt) || a.id.localeCompare(b.id));
  }

  /** Takes effect at the next request. @returns false when there is no such token */
  async revoke(id: string): Promise<boolean> {
    return (await this.#redis.hdel(this.#key, id)) === 1;
  }

  /** @returns undefined for a text that is no token, or one that was revoked or has expired */
  async find(text: string): Promise<TokenView | undefined> {
    const [, id, secret] = FORM.exec(text) ?? [];
    if (id === undefined || secret === undefined) return undefined;
    const found = await this.#redis.hget(this.#key, id);
    if (found === null) return undefined;
    const stored = JSON.parse(found) as StoredToken;
    if (!timingSafeEqual(Buffer.from(hashOf(secret)), Buffer.from(stored.hash))) return undefined;
    if (stored.expiresAt !== undefined && Date.parse(stored.expiresAt) <= Date.now()) return undefined;
    return viewOf(id, stored);
  }
}

/** Secrets have 256 random bits, so a plain hash is as good as a slow one. */
function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

function viewOf(id: string, { tenant, scopes, createdAt, expiresAt }: StoredToken): TokenView {
  return defined<TokenView>({ id, tenant, scopes, createdAt, expiresAt });
}
