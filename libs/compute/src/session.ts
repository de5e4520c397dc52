/** What one thread keeps between tasks: its store, plans, backends, keys and parsed ciphertexts. */
import { join } from 'node:path';
import { LRUCache } from 'lru-cache';
import { at, digestOf, type Digest } from '@blindfit/base';
import { BlobCache, meteredStore, openBlobStore, type BlobStore } from '@blindfit/blobs';
import { discard, wrap, type Ciphertext, type CiphertextCodec, type Parameters } from '@blindfit/he';
import { evaluatorName, loadAddon } from '@blindfit/he/native';
import { loadSeal } from '@blindfit/he/seal';
import type { Manifest } from '@blindfit/protocol';
import { PlanCache, type PlannedJob } from '@blindfit/training';
import { CIPHERTEXT_BYTES, INPUT_DISK_BYTES } from './budgets.ts';
import { CiphertextCache } from './ciphertext-cache.ts';
import type { Engine } from './engine.ts';
import { TaskCancelledError } from './errors.ts';
import { HostFiles } from './host-files.ts';
import { Keysets } from './keysets.ts';
import { MappedInputs } from './mapped-inputs.ts';
import { MappedKeys } from './mapped-keys.ts';
import type { ThreadData, ThreadStatistics } from './messages.ts';
import { NativeEngine } from './native-engine.ts';
import { Phases } from './phases.ts';
import { SealEngine } from './seal-engine.ts';
import { freeSealKeys } from './seal-keys.ts';

/** Plans and backends are small, but a service lives long. */
const MAX_PLANS = 32;
const MAX_ENGINES = 4;
/** Calls of the store that one report tells of; a task makes some dozens. */
const MAX_CALLS = 1_000;
const KEY_DISK_BYTES = 8 * 2 ** 30;

export function noStatistics(): ThreadStatistics {
  return {
    keyHits: 0,
    keyMisses: 0,
    ciphertextHits: 0,
    ciphertextMisses: 0,
    inputHits: 0,
    inputMisses: 0,
    blobHits: 0,
    blobMisses: 0,
    damagedKeys: 0,
    damagedInputs: 0,
    damagedBlobs: 0,
    bytesRead: 0,
    bytesWritten: 0,
    heapBytes: 0,
    levelsWritten: [],
    storeCalls: [],
  };
}

export class Session {
  readonly store: BlobStore;
  readonly statistics: ThreadStatistics;
  readonly ciphertexts: CiphertextCache;
  /** The phases of the current task. */
  phases = new Phases(0, 'load inputs');
  readonly #flag: Int32Array;
  readonly #plans: PlanCache;
  /** Evicted engines are not freed: keys and ciphertexts made with them may still be cached. */
  readonly #engines = new LRUCache<string, Engine>({ max: MAX_ENGINES });
  readonly #openEngine: (parameters: Parameters) => Promise<Engine> | Engine;
  readonly #usesSeal: boolean;
  /** The name of the evaluator, for people. */
  readonly evaluator: string;

  private constructor(
    data: ThreadData,
    readManifest: (digest: string) => Promise<Manifest>,
    store: BlobStore,
    statistics: ThreadStatistics,
  ) {
    this.#plans = new PlanCache(readManifest, MAX_PLANS);
    this.store = store;
    this.statistics = statistics;
    this.#flag = new Int32Array(data.cancelFlag);
    this.#openEngine = engineOpener(data, store, statistics);
    this.#usesSeal = data.evaluator.kind === 'seal';
    this.evaluator = evaluatorName(data.evaluator);
    this.ciphertexts = new CiphertextCache(CIPHERTEXT_BYTES[data.evaluator.kind], statistics);
  }

  /** @param readManifest gets a manifest whose form has been checked */
  static async open(data: ThreadData, readManifest: (digest: string) => Promise<Manifest>): Promise<Session> {
    const statistics = noStatistics();
    const origin = meteredStore(await openBlobStore(data.storeUrl, { token: data.token }), (call) => {
      if (statistics.storeCalls.length < MAX_CALLS) statistics.storeCalls.push(call);
    });
    // A directory store is as near as a cache would be, and it verifies what it reads.
    const store = data.storeUrl.startsWith('file:')
      ? origin
      : await BlobCache.open(origin, {
          directory: data.cacheDirectory,
          maxBytes: data.cacheBytes,
          onEvent: (event) => {
            if (event.kind === 'hit') statistics.blobHits++;
            if (event.kind === 'miss') statistics.blobMisses++;
            if (event.kind === 'corrupt') statistics.damagedBlobs++;
          },
        });
    return new Session(data, readManifest, store, statistics);
  }

  /** What the thread has done so far. The calls of the store are told once. */
  report(): ThreadStatistics {
    const report = { ...this.statistics };
    this.statistics.storeCalls = [];
    return report;
  }

  /** @throws TaskCancelledError once the pool has raised the flag */
  readonly checkpoint = (): void => {
    if (Atomics.load(this.#flag, 0) === 1) throw new TaskCancelledError();
  };

  /** The plan of a manifest. */
  planned(digest: string): Promise<PlannedJob> {
    return this.#plans.get(digest);
  }

  async engine(parameters: Parameters): Promise<Engine> {
    const cached = this.#engines.get(parameters.fingerprint);
    if (cached !== undefined) return cached;
    const engine = await this.#openEngine(parameters);
    this.#engines.set(parameters.fingerprint, engine);
    return engine;
  }

  /** Stores a result under the digest of its bytes. */
  write(codec: CiphertextCodec, ciphertext: Ciphertext): Promise<string> {
    return this.phases.during('store result', () => this.#put(codec, ciphertext));
  }

  async #put(codec: CiphertextCodec, ciphertext: Ciphertext): Promise<string> {
    const payload = codec.saveCiphertext(ciphertext);
    const bytes = wrap(
      codec.parameters,
      { kind: 'ciphertext', level: ciphertext.level, scale: ciphertext.scale },
      payload,
    );
    discard(payload);
    const digest = digestOf(bytes);
    this.statistics.bytesWritten += bytes.length;
    await this.store.put(digest, bytes, { size: bytes.length });
    discard(bytes);
    const { levelsWritten } = this.statistics;
    for (let level = levelsWritten.length; level <= ciphertext.level; level++) levelsWritten.push(0);
    levelsWritten[ciphertext.level] = at(levelsWritten, ciphertext.level, 'levels') + 1;
    return digest;
  }

  async read(digest: Digest): Promise<Uint8Array> {
    const bytes = await this.store.get(digest);
    this.statistics.bytesRead += bytes.length;
    return bytes;
  }

  async finishTask(): Promise<void> {
    this.ciphertexts.trim();
    // A thread without SEAL must not load it to ask.
    if (this.#usesSeal) this.statistics.heapBytes = (await loadSeal()).heapBytes();
  }
}

/** All engines of a thread share their keys' budget. */
function engineOpener(
  { evaluator, keyBytes, keyDiskBytes, inputDiskBytes, cacheDirectory }: ThreadData,
  store: BlobStore,
  statistics: ThreadStatistics,
): (parameters: Parameters) => Promise<Engine> | Engine {
  if (evaluator.kind === 'seal') {
    const keys = new Keysets(keyBytes, statistics, freeSealKeys);
    return (parameters) => SealEngine.open(parameters, keys, store);
  }
  const addon = loadAddon(evaluator.path);
  const keys = new MappedKeys(
    new HostFiles(join(cacheDirectory, 'keys'), '.key', keyDiskBytes ?? KEY_DISK_BYTES, () => statistics.damagedKeys++),
    store,
    keyBytes,
    statistics,
  );
  const inputs = new MappedInputs(
    new HostFiles(
      join(cacheDirectory, 'inputs'),
      '.ct',
      inputDiskBytes ?? INPUT_DISK_BYTES,
      () => statistics.damagedInputs++,
    ),
    statistics,
  );
  return (parameters) => new NativeEngine(addon, parameters, keys, inputs);
}
