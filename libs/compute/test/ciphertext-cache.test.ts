/** The cache of parsed inputs: what it frees, when, and what it refuses to hand out. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { BlobStore } from '@blindfit/blobs';
import type { Ciphertext, Parameters } from '@blindfit/he';
import { CiphertextCache } from '../src/ciphertext-cache.ts';
import type { Engine } from '../src/engine.ts';
import { noStatistics } from '../src/session.ts';

const MB = 2 ** 20;
/** With this ring a ciphertext at level 0 takes 1 MiB, at level 3 it takes 4 MiB. */
const RING = 2 ** 16;

interface Fixture {
  readonly cache: CiphertextCache;
  readonly statistics: ReturnType<typeof noStatistics>;
  /** Digests that were loaded, and those that were freed, in order. */
  readonly loaded: string[];
  readonly freed: string[];
  /** Names of mapped ciphertexts whose files are not as they were written. */
  readonly damaged: Set<string>;
  clock: number;
  readonly get: (name: string, level?: number, scale?: number) => Promise<Ciphertext>;
}

/** Names that begin with `m` are mapped. */
function fixture(budget: number): Fixture {
  const [loaded, freed]: [string[], string[]] = [[], []];
  const damaged = new Set<string>();
  const statistics = noStatistics();
  const store = { get: (digest: string) => Promise.resolve(new TextEncoder().encode(digest)) } as unknown as BlobStore;
  const engine = {
    parameters: { ring: RING } as unknown as Parameters,
    loadInput: async (digest: string, place: { level: number; scale?: number }, read: () => Promise<Uint8Array>) => {
      assert.equal(new TextDecoder().decode(await read()), digest, 'the blob of this digest');
      const name = nameOf(digest);
      loaded.push(name);
      const { level, scale = 2 ** 40 } = place;
      const ciphertext = { level, scale, size: 2, [Symbol.dispose]: () => void freed.push(name) };
      return { ciphertext, isIntact: name.startsWith('m') ? () => !damaged.has(name) : undefined };
    },
  } as unknown as Engine;
  const self: Fixture = {
    cache: new CiphertextCache(budget, statistics, () => self.clock),
    statistics,
    loaded,
    freed,
    damaged,
    clock: 0,
    get: (name, level = 0, scale) =>
      self.cache.get(engine, store, digestNamed(name), { level, ...(scale !== undefined && { scale }) }),
  };
  self.cache.workFor('job');
  return self;
}

const digestNamed = (name: string): string => `sha256:${Buffer.from(name.padEnd(32)).toString('hex')}`;
const nameOf = (digest: string): string => Buffer.from(digest.slice(7), 'hex').toString().trim();

it('loads a ciphertext once and counts hits and misses', async () => {
  const { get, loaded, statistics } = fixture(MB);
  const [first, second] = [await get('a'), await get('a')];
  assert.equal(first, second);
  assert.deepEqual(loaded, ['a']);
  assert.deepEqual([statistics.ciphertextHits, statistics.ciphertextMisses], [1, 1]);
});

describe('a cached ciphertext at another place', () => {
  it('of another level is refused', async () => {
    const { get } = fixture(8 * MB);
    await get('a', 3);
    await assert.rejects(get('a', 2), {
      code: 'HE_WIRE',
      message: 'a ciphertext at level 3',
      hint: 'level 2 is expected',
    });
    await get('a', 3);
  });

  it('of another scale is refused; one that fixes no scale takes it', async () => {
    const { get } = fixture(8 * MB);
    await get('m', 3, 2 ** 40);
    await assert.rejects(get('m', 3, 2 ** 41), {
      code: 'HE_WIRE',
      message: 'a ciphertext of scale 1099511627776',
      hint: /^scale 2199023255552 /,
    });
    await get('m', 3, 2 ** 40);
    await get('m', 3);
  });
});

describe('memory of the thread', () => {
  it('is kept up to the budget exactly, and nothing is freed before trim', async () => {
    const { cache, get, freed } = fixture(3 * MB);
    for (const name of ['a', 'b', 'c']) await get(name);
    cache.trim();
    assert.deepEqual(freed, []);
    await get('d');
    assert.deepEqual(freed, [], 'a circuit may hold any of them');
    cache.trim();
    assert.deepEqual(freed, ['a']);
    cache.trim();
    assert.deepEqual(freed, ['a'], 'once');
  });

  it('goes least recently used first, as far as needed', async () => {
    const { cache, get, freed, loaded } = fixture(4 * MB);
    for (const name of ['a', 'b', 'c']) await get(name);
    await get('a');
    await get('big', 2);
    cache.trim();
    assert.deepEqual(freed, ['b', 'c']);
    await get('a');
    await get('b');
    assert.deepEqual(loaded, ['a', 'b', 'c', 'big', 'b']);
  });

  it('is not kept for one that exceeds the budget alone', async () => {
    const { cache, get, freed } = fixture(MB);
    await get('big', 1);
    assert.deepEqual(freed, []);
    cache.trim();
    assert.deepEqual(freed, ['big']);
  });

  it('does not expire', async () => {
    const self = fixture(MB);
    await self.get('a');
    self.clock = 1e9;
    self.cache.workFor('another');
    self.cache.trim();
    assert.deepEqual(self.freed, []);
  });
});

describe('mapped ciphertexts', () => {
  it('take no share of the budget but have 512 MiB of their own', async () => {
    const { cache, get, freed } = fixture(MB);
    for (let i = 0; i < 8; i++) await get(`m${i}`, 63);
    cache.trim();
    assert.deepEqual(freed, [], '8 of 64 MiB');
    await get('m-small');
    await get('m1', 63);
    cache.trim();
    assert.deepEqual(freed, ['m0']);
  });

  it('expire 10 s after their last use by the current job', async () => {
    const self = fixture(MB);
    await self.get('m');
    self.clock = 5_000;
    await self.get('m');
    self.clock = 15_000;
    self.cache.trim();
    assert.deepEqual(self.freed, []);
    self.clock = 15_001;
    self.cache.trim();
    assert.deepEqual(self.freed, ['m']);
  });

  it('expire after half a second when another job used them last', async () => {
    const self = fixture(MB);
    await self.get('m1');
    await self.get('m2');
    self.cache.workFor('another');
    await self.get('m2');
    self.clock = 500;
    self.cache.trim();
    assert.deepEqual(self.freed, []);
    self.clock = 501;
    self.cache.trim();
    assert.deepEqual(self.freed, ['m1'], 'm2 belongs to the current job now');
    self.cache.workFor('job');
    self.cache.trim();
    assert.deepEqual(self.freed, ['m1', 'm2']);
  });

  it('go, and only they, when their file is damaged', async () => {
    const { cache, get, freed, loaded, damaged } = fixture(MB);
    for (const name of ['m1', 'm2', 'own']) await get(name);
    assert.equal(cache.discardDamaged(), true);
    damaged.add('m2');
    assert.equal(cache.discardDamaged(), false);
    assert.deepEqual(freed, ['m2']);
    assert.equal(cache.discardDamaged(), true);
    damaged.clear();
    await get('m2');
    assert.deepEqual(loaded, ['m1', 'm2', 'own', 'm2']);
  });
});
