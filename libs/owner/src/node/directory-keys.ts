/** Keys in a directory: `DIR/<keyset>/` with mode 0700, its secret with mode 0600, tickets in `DIR/jobs/`. */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { mkdir, open, readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { digestOfHex, errnoOf, type Digest } from '@blindfit/base';
import { createFile, removeParts, replaceFile, undefinedIfMissing } from '@blindfit/base/node';
import { KeysetError } from '../errors.ts';
import type { KeysetFiles, KeysetLock, KeyStore } from '../key-store.ts';
import { openKeyset as openIn, type Keyset, type OpenKeysetOptions } from '../keyset.ts';
import { SECRET_FILE } from '../secret-file.ts';
import { lockDirectory } from './directory-lock.ts';
import { assertNotInGit } from './git.ts';
import { Sealing, type PassphraseSource } from './passphrase.ts';
import { isSealed, sealSecret, type SealingCost } from './sealed-secret.ts';

export interface OpenDirectoryOptions extends Omit<OpenKeysetOptions, 'keys'> {
  /** Holds any number of keysets, each in a directory of its own. */
  readonly directory: string;
}

/** Opens a keyset in a directory, making whatever is missing. @throws KeysetError */
export function openKeyset({ directory, ...options }: OpenDirectoryOptions): Promise<Keyset> {
  return openIn({ ...options, keys: directoryKeys(directory) });
}

export interface DirectoryKeysOptions {
  /** Opens secret keys that are under a passphrase, and seals new ones. @default none */
  readonly passphrase?: string | PassphraseSource | undefined;
  /** What a guess of the passphrase of a new key costs. @default 128 MiB and some 0.4 s */
  readonly cost?: SealingCost | undefined;
}

/** The keys in a directory, which need not exist. */
export function directoryKeys(directory: string, { passphrase, cost }: DirectoryKeysOptions = {}): KeyStore {
  const sealing = new Sealing(typeof passphrase === 'string' ? always(passphrase) : passphrase, cost);
  const ticketPath = (job: string): string => join(directory, 'jobs', `${job}.json`);
  return {
    location: resolve(directory),
    list: async () =>
      (await readdir(directory).catch(() => [])).filter((name) => /^N\d+QP\d+L\d+S\d+-[0-9a-f]{8}$/.test(name)),
    keyset: (name) => new DirectoryFiles(join(resolve(directory), name), sealing),
    ticketPath,
    readTicket: (job) => readFile(ticketPath(job), 'utf8').catch(undefinedIfMissing),
    writeTicket: async (job, text) => {
      await mkdir(join(directory, 'jobs'), { recursive: true, mode: 0o700 });
      await replaceFile(ticketPath(job), text);
    },
  };
}

function always(passphrase: string): PassphraseSource {
  return {
    open: (_, attempt) => Promise.resolve(attempt === 1 ? passphrase : undefined),
    create: () => Promise.resolve(passphrase),
  };
}

/**
 * Puts a secret key that has no passphrase under one.
 * @param directory of the keyset
 * @returns whether it has got one now
 */
export async function protectKeyset(directory: string, source: PassphraseSource, cost?: SealingCost): Promise<boolean> {
  const path = join(directory, SECRET_FILE);
  const bytes = await readFile(path);
  try {
    if (isSealed(bytes)) return false;
    const passphrase = await source.create(path);
    if (passphrase === undefined) return false;
    await replaceFile(path, await sealSecret(bytes, passphrase, cost));
    return true;
  } finally {
    bytes.fill(0);
  }
}

class DirectoryFiles implements KeysetFiles {
  readonly location: string;

  readonly #sealing: Sealing;

  constructor(location: string, sealing: Sealing) {
    this.location = location;
    this.#sealing = sealing;
  }

  pathOf(name: string): string {
    return join(this.location, name);
  }

  async readSecret(name: string): Promise<Uint8Array | undefined> {
    const path = this.pathOf(name);
    const file = await open(path, 'r').catch(undefinedIfMissing);
    if (file === undefined) return undefined;
    try {
      // The open file is asked, so that it cannot be exchanged between the question and the reading.
      const mode = (await file.stat()).mode & 0o777;
      if ((mode & 0o077) !== 0) {
        throw new KeysetError(
          'KEYSET_EXPOSED',
          `others may read the secret key ${path} (mode ${mode.toString(8).padStart(4, '0')})`,
          `run: chmod 600 ${path}; if others use this machine, make a new keyset`,
        );
      }
      return await this.#sealing.opened(path, await file.readFile());
    } finally {
      await file.close();
    }
  }

  async createSecret(name: string, bytes: Uint8Array): Promise<void> {
    const path = this.pathOf(name);
    await createFile(path, await this.#sealing.sealed(path, bytes));
  }

  read(name: string): Promise<Uint8Array | undefined> {
    return readFile(this.pathOf(name)).catch(undefinedIfMissing);
  }

  async digest(name: string): Promise<Digest | undefined> {
    const hash = createHash('sha256');
    try {
      const chunks = createReadStream(this.pathOf(name), { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>;
      for await (const chunk of chunks) hash.update(chunk);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    }
    return digestOfHex(hash.digest('hex'));
  }

  replace(name: string, bytes: Uint8Array): Promise<void> {
    return replaceFile(this.pathOf(name), bytes);
  }

  async lock(): Promise<KeysetLock> {
    if (!existsSync(this.pathOf(SECRET_FILE))) await assertNotInGit(this.location);
    await mkdir(this.location, { recursive: true, mode: 0o700 });
    const lock = await lockDirectory(this.location);
    try {
      await removeParts(this.location);
    } catch (error) {
      lock.release();
      throw error;
    }
    return lock;
  }
}
