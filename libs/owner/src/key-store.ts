/** Where an owner's keys are kept: a directory in Node, something else in a browser. */
import { digestOf, type Digest } from '@blindfit/base';

/** A place for any number of keysets and for the tickets of jobs. */
export interface KeyStore {
  /** The place as messages name it. */
  readonly location: string;
  /** Names of the keysets; none where nothing is. */
  list(): Promise<readonly string[]>;
  /** The files of one keyset, which need not exist. */
  keyset(name: string): KeysetFiles;
  /** Where the ticket of a job is, for messages. */
  ticketPath(job: string): string;
  /** @returns undefined when there is none */
  readTicket(job: string): Promise<string | undefined>;
  /** Writes a ticket that only the owner can read. */
  writeTicket(job: string, text: string): Promise<void>;
}

/** The files of one keyset, by name. */
export interface KeysetFiles {
  readonly location: string;
  pathOf(name: string): string;
  /**
   * Reads a secret file into a buffer that the caller wipes.
   * @returns undefined when there is none
   * @throws KeysetError KEYSET_EXPOSED when others may read it
   */
  readSecret(name: string): Promise<Uint8Array | undefined>;
  /** Writes a secret file that only the owner can read. Never overwrites. */
  createSecret(name: string, bytes: Uint8Array): Promise<void>;
  /** @returns undefined when there is no such file */
  read(name: string): Promise<Uint8Array | undefined>;
  /** @returns undefined when there is no such file */
  digest(name: string): Promise<Digest | undefined>;
  /** Writes all of a file or nothing. */
  replace(name: string, bytes: Uint8Array): Promise<void>;
  /**
   * Makes the place and keeps other processes from writing there.
   * @throws KeysetError KEYSET_BUSY
   */
  lock(): Promise<KeysetLock>;
}

export interface KeysetLock extends Disposable {
  /** Tells that the holder is alive; is called between long steps. */
  refresh(): Promise<void>;
}

/** Keys in memory: they last as long as the page or the process. */
export class MemoryKeys implements KeyStore {
  readonly location = 'memory';
  readonly #keysets = new Map<string, MemoryFiles>();
  readonly #tickets = new Map<string, string>();

  list(): Promise<readonly string[]> {
    return Promise.resolve([...this.#keysets.keys()]);
  }

  keyset(name: string): KeysetFiles {
    const files = this.#keysets.get(name) ?? new MemoryFiles(`${this.location}/${name}`);
    this.#keysets.set(name, files);
    return files;
  }

  ticketPath(job: string): string {
    return `${this.location}/jobs/${job}.json`;
  }

  readTicket(job: string): Promise<string | undefined> {
    return Promise.resolve(this.#tickets.get(job));
  }

  writeTicket(job: string, text: string): Promise<void> {
    this.#tickets.set(job, text);
    return Promise.resolve();
  }
}

class MemoryFiles implements KeysetFiles {
  readonly location: string;
  readonly #files = new Map<string, Uint8Array>();

  constructor(location: string) {
    this.location = location;
  }

  pathOf(name: string): string {
    return `${this.location}/${name}`;
  }

  readSecret(name: string): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.#files.get(name)?.slice());
  }

  createSecret(name: string, bytes: Uint8Array): Promise<void> {
    if (this.#files.has(name)) return Promise.reject(new Error(`${this.pathOf(name)} exists`));
    return this.replace(name, bytes);
  }

  read(name: string): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.#files.get(name));
  }

  digest(name: string): Promise<Digest | undefined> {
    const bytes = this.#files.get(name);
    return Promise.resolve(bytes === undefined ? undefined : digestOf(bytes));
  }

  /** A copy, because the writer of a secret wipes its buffer. */
  replace(name: string, bytes: Uint8Array): Promise<void> {
    this.#files.set(name, bytes.slice());
    return Promise.resolve();
  }

  lock(): Promise<KeysetLock> {
    return Promise.resolve({ refresh: () => Promise.resolve(), [Symbol.dispose]: () => undefined });
  }
}
