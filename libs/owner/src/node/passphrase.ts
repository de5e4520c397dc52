/** Where the passphrase of secret keys comes from, and how files are read and written with it. */
import { messageOf } from '@blindfit/base';
import { KeysetError } from '../errors.ts';
import { isSealed, openSealed, sealSecret, type SealingCost } from './sealed-secret.ts';

export interface PassphraseSource {
  /**
   * @param path the file to be opened
   * @param attempt from 1; more than one after a wrong passphrase
   * @returns undefined when there is no passphrase, or no further one
   */
  open(path: string, attempt: number): Promise<string | undefined>;
  /** @returns the passphrase of a new key; undefined: it gets none */
  create(path: string): Promise<string | undefined>;
}

/** Opens and seals secret files. A passphrase that has opened one is tried first for the next. */
export class Sealing {
  readonly #source: PassphraseSource | undefined;
  readonly #cost: SealingCost | undefined;
  #last: string | undefined;

  /** @param cost @default {@link SEALING_COST} */
  constructor(source: PassphraseSource | undefined, cost?: SealingCost) {
    this.#source = source;
    this.#cost = cost;
  }

  /** The content of a secret file, for which a passphrase is asked if it is under one. @throws KeysetError */
  async opened(path: string, bytes: Uint8Array): Promise<Uint8Array> {
    if (!isSealed(bytes)) return bytes;
    const before = this.#last === undefined ? undefined : await open(path, bytes, this.#last);
    if (before !== undefined) return before;
    for (let attempt = 1; ; attempt++) {
      const passphrase = await this.#source?.open(path, attempt);
      if (passphrase === undefined) throw attempt === 1 ? locked(path) : wrong(path);
      const content = await open(path, bytes, passphrase);
      if (content === undefined) continue;
      this.#last = passphrase;
      return content;
    }
  }

  /** What is written for a new secret: the bytes themselves unless there is a passphrase. */
  async sealed(path: string, bytes: Uint8Array): Promise<Uint8Array> {
    const passphrase = await this.#source?.create(path);
    if (passphrase === undefined) return bytes;
    this.#last = passphrase;
    return await sealSecret(bytes, passphrase, this.#cost);
  }
}

async function open(path: string, bytes: Uint8Array, passphrase: string): Promise<Uint8Array | undefined> {
  try {
    return await openSealed(bytes, passphrase);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new KeysetError('KEYSET_CORRUPT', `${path} is damaged: ${messageOf(error)}`, 'restore it from your backup');
  }
}

function locked(path: string): KeysetError {
  return new KeysetError(
    'KEYSET_LOCKED',
    `the secret key ${path} is under a passphrase, and none was given`,
    'set BLINDFIT_PASSPHRASE, give --passphrase-command, or run the command on a terminal, which asks for it; from a ' +
      'program: directoryKeys(DIRECTORY, { passphrase })',
  );
}

function wrong(path: string): KeysetError {
  return new KeysetError(
    'KEYSET_PASSPHRASE',
    `the passphrase does not open the secret key ${path}`,
    'try again with the one it was made with; if it is that one, the file is damaged: restore it from your backup',
  );
}
