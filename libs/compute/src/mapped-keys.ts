/** Keysets of one thread for the native evaluator: opened from the host's key files, the least recently used closed when the budget is full. */
import { parseDigest } from '@blindfit/base';
import { type BlobStore } from '@blindfit/blobs';
import { unwrap, type WireFields } from '@blindfit/he';
import { type NativeKey, type NativeKeys, type NativeScheme } from '@blindfit/he/native';
import type { KeyedJob } from './engine.ts';
import { named } from './errors.ts';
import type { HostFiles } from './host-files.ts';
import { keysetId, KeyBudgetError, loadedKeyBytes } from './key-cache.ts';
import type { ThreadStatistics } from './messages.ts';

interface Entry {
  readonly keys: NativeKeys;
  readonly bytes: number;
}

interface Wanted {
  /** Undefined for the relinearisation key. */
  readonly step: number | undefined;
  readonly digest: string;
  /** As the manifest calls it. */
  readonly place: string;
  /** Of its file. */
  readonly name: string;
}

export class MappedKeys {
  readonly #files: HostFiles;
  readonly #store: BlobStore;
  readonly #budget: number;
  readonly #statistics: ThreadStatistics;
  /** In order of use, the oldest first. */
  readonly #entries = new Map<string, Entry>();

  /** @param budget bytes mapped at a time; threads of a process share what they map of the same file */
  constructor(files: HostFiles, store: BlobStore, budget: number, statistics: ThreadStatistics) {
    this.#files = files;
    this.#store = store;
    this.#budget = budget;
    this.#statistics = statistics;
  }

  async get(job: KeyedJob, scheme: NativeScheme, checkpoint: () => void): Promise<NativeKeys> {
    const id = keysetId(job);
    const known = this.#entries.get(id);
    if (known !== undefined) {
      this.#entries.delete(id);
      this.#entries.set(id, known);
      this.#statistics.keyHits++;
      return known.keys;
    }
    this.#statistics.keyMisses++;
    const {
      plan: { parameters, steps },
    } = job;
    const bytes = loadedKeyBytes(parameters.dataBits.length, parameters.ring) * (steps.length + 1);
    this.#makeRoom(bytes);
    const keys = await this.#open(wantedKeys(job), scheme, checkpoint);
    this.#entries.set(id, { keys, bytes });
    return keys;
  }

  /** Opens what is there, makes what is missing, and waits for what others make. */
  async #open(wanted: readonly Wanted[], scheme: NativeScheme, checkpoint: () => void): Promise<NativeKeys> {
    const opened = new Map<number | undefined, NativeKey>();
    let made = false;
    try {
      for (let missing = wanted; missing.length > 0; missing = wanted.filter(({ step }) => !opened.has(step))) {
        let progress = false;
        for (const key of missing) {
          checkpoint();
          let path = await this.#files.find(key.name);
          if (path === undefined) {
            path = await this.#files.make(key.name, () => this.#content(key, scheme));
            made ||= path !== undefined;
          }
          if (path === undefined) continue;
          progress = true;
          const mapped = await this.#files.open(path, (at) => scheme.ring.openKey(at));
          if (mapped !== undefined) opened.set(key.step, mapped);
        }
        if (!progress) await this.#files.pause();
      }
      if (made) await this.#files.trim(new Set(wanted.map(({ name }) => name)));
    } catch (error) {
      for (const key of opened.values()) key.close();
      throw error;
    }
    const galois = new Map<number, NativeKey>();
    for (const [step, key] of opened) if (step !== undefined) galois.set(step, key);
    return { relinearisation: opened.get(undefined), galois };
  }

  #content({ step, digest, place }: Wanted, scheme: NativeScheme): Promise<Uint8Array> {
    const fields: WireFields = step === undefined ? { kind: 'relinearisation-key' } : { kind: 'galois-key', step };
    return named(place, digest, async () =>
      scheme.packKey(
        unwrap(await this.#store.get(parseDigest(digest)), { parameters: scheme.parameters, fields }),
        step,
      ),
    );
  }

  #makeRoom(bytes: number): void {
    if (bytes > this.#budget) throw new KeyBudgetError(bytes, this.#budget);
    let held = [...this.#entries.values()].reduce((sum, entry) => sum + entry.bytes, 0);
    for (const [id, { keys, bytes: freed }] of this.#entries) {
      if (held + bytes <= this.#budget) break;
      keys.relinearisation?.close();
      for (const key of keys.galois.values()) key.close();
      this.#entries.delete(id);
      held -= freed;
    }
  }
}

function wantedKeys({ manifest: { blobs }, plan }: KeyedJob): Wanted[] {
  const key = (step: number | undefined, digest: string, place: string): Wanted => ({
    step,
    digest,
    place,
    name: `${digest.replace(/^sha256:/, '')}${step === undefined ? '' : `-${step}`}`,
  });
  return [
    key(undefined, blobs.relinearisationKey, 'blobs.relinearisationKey'),
    ...plan.steps.map((step) => key(step, blobs.galoisKeys[String(step)] ?? '', `blobs.galoisKeys.${step}`)),
  ];
}
