/**
 * A data owner's keys: `<parameter set>-<fingerprint>/` in a store, with the secret key (`secret.key`), the public
 * evaluation keys, one file each and wrapped for upload, and an index of them (`keyset.json`).
 */
import { Type, type Static } from 'typebox';
import { digestOf, errnoOf, messageOf, parseDigest, required, type Digest } from '@blindfit/base';
import { HeError, wrap, type Parameters, type WireFields } from '@blindfit/he';
import { SealBackend } from '@blindfit/he/seal';
import { checker, ContractError, DigestSchema, ParametersSchema } from '@blindfit/protocol';
import { type Plan } from '@blindfit/training';
import { KeysetError } from './errors.ts';
import type { KeysetFiles, KeyStore } from './key-store.ts';
import { nextTurn } from './next-turn.ts';
import { createSecret, readSecret, SECRET_FILE, type StoredSecret } from './secret-file.ts';
import type { SecretKeyHolder } from './secret-key.ts';

const FORMAT = 'blindfit-keys/1';
const INDEX_FILE = 'keyset.json';

const KeyRecordSchema = Type.Object({ digest: DigestSchema, size: Type.Integer({ minimum: 1 }) });

const KeysetIndexSchema = Type.Object({
  format: Type.Literal(FORMAT),
  parameters: ParametersSchema,
  fingerprint: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  /** Name of the secret key that these public keys belong to. */
  secretKey: Type.String({ pattern: '^[0-9a-f]{32}$' }),
  createdAt: Type.String(),
  relinearisationKey: Type.Optional(KeyRecordSchema),
  /** By rotation step; 0 is the conjugation. */
  galoisKeys: Type.Record(Type.String({ pattern: '^(0|[1-9][0-9]{0,4})$' }), KeyRecordSchema),
});
type KeysetIndex = Static<typeof KeysetIndexSchema>;

const checkIndex = checker('not an index of keys', KeysetIndexSchema);

/** A public key: a blob as it is uploaded. */
export interface KeyFile {
  /** Where it is, for messages; in Node a path. */
  readonly path: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  read(): Promise<Uint8Array>;
}

export interface Keyset extends Disposable {
  /** Where the files are. */
  readonly directory: string;
  readonly parameters: Parameters;
  readonly backend: SealBackend;
  readonly secret: SecretKeyHolder;
  readonly relinearisationKey: KeyFile;
  /** By rotation step, exactly those asked for; 0 is the conjugation. */
  readonly galoisKeys: ReadonlyMap<number, KeyFile>;
  /** What opening took: making keys, and everything else. */
  readonly seconds: { readonly generate: number; readonly load: number };
}

export interface OpenKeysetOptions {
  readonly keys: KeyStore;
  /** A plan, or just the parameters and the rotation steps that keys are needed for. */
  readonly plan: Pick<Plan, 'parameters' | 'steps'>;
  /** Whether a keyset that does not exist is made. Public keys that an existing one lacks are made in any case. */
  readonly create: boolean;
  /** Called before the first and after every public key that has to be made; not at all when none has. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** `<parameter set>-<first 8 hex digits of its fingerprint>`: the directory of a keyset inside its parent. */
export function keysetName(parameters: Parameters): string {
  return `${parameters.name}-${parameters.fingerprint.slice(0, 8)}`;
}

/**
 * Opens a keyset, making whatever is missing. May be killed at any moment and called again; any number of processes may
 * open the same keyset at once. Making a key blocks the event loop (some 0.1 s at N = 16384); it is free between keys.
 * @throws KeysetError
 */
export async function openKeyset(options: OpenKeysetOptions): Promise<Keyset> {
  const backend = await SealBackend.open(options.plan.parameters);
  const opening = new Opening(options, backend);
  try {
    return await opening.run();
  } catch (error) {
    opening.abandon();
    if (error instanceof HeError || errnoOf(error) === undefined) throw error;
    throw new KeysetError(
      'KEYSET_ACCESS',
      `cannot use the keyset in ${opening.directory}: ${messageOf(error)}`,
      'check the path, who owns it, its permissions and the free space, or choose another directory',
    );
  }
}

/** What is to be made, and where it goes. */
interface WantedKey {
  readonly fields: WireFields;
  readonly file: string;
  make(secret: SecretKeyHolder): Uint8Array;
  record(index: KeysetIndex): Static<typeof KeyRecordSchema> | undefined;
  withRecord(index: KeysetIndex, record: Static<typeof KeyRecordSchema>): KeysetIndex;
}

class Opening {
  readonly directory: string;
  readonly #options: OpenKeysetOptions;
  readonly #backend: SealBackend;
  readonly #parameters: Parameters;
  readonly #started = performance.now();
  readonly #files: KeysetFiles;
  #stored: StoredSecret | undefined;
  #generating = 0;

  constructor(options: OpenKeysetOptions, backend: SealBackend) {
    this.#options = options;
    this.#backend = backend;
    this.#parameters = backend.parameters;
    this.#files = options.keys.keyset(keysetName(this.#parameters));
    this.directory = this.#files.location;
  }

  async run(): Promise<Keyset> {
    this.#stored = await readSecret(this.#files, this.#backend);
    if (this.#stored === undefined) await this.#assertMayCreate();
    // What is complete is opened without a lock, and without writing.
    const found = this.#stored === undefined ? undefined : await this.#findKeys(await this.#readIndex(this.#stored));
    if (this.#stored !== undefined && found?.missing.length === 0) return this.#finish(this.#stored, found.files);
    return await this.#makeKeys();
  }

  /** Frees what `run` left in SEAL's memory when it failed. */
  abandon(): void {
    this.#stored?.secret[Symbol.dispose]();
    this.#backend[Symbol.dispose]();
  }

  async #makeKeys(): Promise<Keyset> {
    using lock = await this.#files.lock();
    // Another process may have been here since.
    this.#stored ??=
      (await readSecret(this.#files, this.#backend)) ??
      (await this.#timed(() => createSecret(this.#files, this.#backend)));
    const stored = this.#stored;
    let index = await this.#readIndex(stored);
    const { files, missing } = await this.#findKeys(index);
    if (missing.length > 0) this.#options.onProgress?.(0, missing.length);
    for (const [done, key] of missing.entries()) {
      await nextTurn();
      await this.#timed(async () => {
        const bytes = wrap(this.#parameters, key.fields, key.make(stored.secret));
        const record = { digest: digestOf(bytes), size: bytes.length };
        await this.#files.replace(key.file, bytes);
        index = key.withRecord(index, record);
        await this.#files.replace(INDEX_FILE, new TextEncoder().encode(`${JSON.stringify(index, undefined, 2)}\n`));
        files.set(key, this.#keyFile(key, record));
      });
      await lock.refresh();
      this.#options.onProgress?.(done + 1, missing.length);
    }
    return this.#finish(stored, files);
  }

  #finish(stored: StoredSecret, files: ReadonlyMap<WantedKey, KeyFile>): Keyset {
    const backend = this.#backend;
    let relinearisationKey: KeyFile | undefined;
    const galoisKeys = new Map<number, KeyFile>();
    for (const [{ fields }, file] of files) {
      if (fields.step === undefined) relinearisationKey = file;
      else galoisKeys.set(fields.step, file);
    }
    if (relinearisationKey === undefined)
      throw new KeysetError('KEYSET_MISSING', `${this.directory} has no relinearisation key`, 'open it again');
    const total = (performance.now() - this.#started) / 1000;
    return {
      directory: this.directory,
      parameters: this.#parameters,
      backend,
      secret: stored.secret,
      relinearisationKey,
      galoisKeys: new Map([...galoisKeys].sort(([a], [b]) => a - b)),
      seconds: { generate: this.#generating, load: total - this.#generating },
      [Symbol.dispose]() {
        stored.secret[Symbol.dispose]();
        backend[Symbol.dispose]();
      },
    };
  }

  /** There is no secret key: may one be made? A lost one must not be papered over by a new one. */
  async #assertMayCreate(): Promise<void> {
    const { directory } = this;
    const options = this.#options;
    const parameters = this.#parameters;
    const names = await options.keys.list();
    if (!options.create) {
      throw new KeysetError(
        'KEYSET_MISSING',
        `there is no keyset for ${parameters.name} in ${options.keys.location}`,
        names.length === 0 ? 'make one first, or name the directory that has it' : `keysets there: ${names.join(', ')}`,
      );
    }
    if ((await this.#files.read(INDEX_FILE)) !== undefined) {
      // Unless another process made the key just now.
      this.#stored = await readSecret(this.#files, this.#backend);
      if (this.#stored === undefined) {
        throw new KeysetError(
          'KEYSET_MISSING',
          `${directory} has public keys, but its ${SECRET_FILE} is gone`,
          'restore secret.key from your backup, or move the whole directory away to start anew',
        );
      }
    }
  }

  async #readIndex(stored: StoredSecret): Promise<KeysetIndex> {
    const parameters = this.#parameters;
    const indexPath = this.#files.pathOf(INDEX_FILE);
    const { fingerprint } = parameters;
    const bytes = await this.#files.read(INDEX_FILE);
    if (bytes === undefined) {
      const { ring, dataBits, specialBits, scaleBits } = parameters;
      return {
        format: FORMAT,
        parameters: { ring, dataBits: [...dataBits], specialBits, scaleBits },
        fingerprint,
        secretKey: stored.name,
        createdAt: new Date().toISOString(),
        galoisKeys: {},
      };
    }
    let index: KeysetIndex;
    try {
      index = checkIndex(JSON.parse(new TextDecoder().decode(bytes)));
    } catch (error) {
      if (!(error instanceof SyntaxError || error instanceof ContractError)) throw error;
      throw new KeysetError(
        'KEYSET_CORRUPT',
        `${indexPath} is damaged: ${error.message}`,
        'delete it: the public keys are then made anew from the secret key',
      );
    }
    if (index.fingerprint !== fingerprint || JSON.stringify(index.parameters) !== JSON.stringify(parameters)) {
      throw new KeysetError(
        'KEYSET_FOREIGN',
        `${indexPath} is of other parameters than ${parameters.name}`,
        'delete it: the public keys are then made anew from the secret key',
      );
    }
    if (index.secretKey !== stored.name) {
      throw new KeysetError(
        'KEYSET_FOREIGN',
        `${indexPath} lists the public keys of another secret key than ${this.#files.pathOf(SECRET_FILE)}`,
        'restore the secret key that belongs to it, or delete keyset.json: the public keys are then made anew',
      );
    }
    return index;
  }

  /** Which keys are there, byte for byte as the index says. */
  async #findKeys(index: KeysetIndex): Promise<{ files: Map<WantedKey, KeyFile>; missing: WantedKey[] }> {
    const files = new Map<WantedKey, KeyFile>();
    const missing: WantedKey[] = [];
    for (const key of this.#wantedKeys()) {
      const record = key.record(index);
      if (record !== undefined && (await this.#files.digest(key.file)) === record.digest)
        files.set(key, this.#keyFile(key, { ...record, digest: parseDigest(record.digest) }));
      else missing.push(key);
    }
    return { files, missing };
  }

  #keyFile({ file }: WantedKey, record: { readonly digest: Digest; readonly size: number }): KeyFile {
    const path = this.#files.pathOf(file);
    return { path, ...record, read: async () => required(await this.#files.read(file), path) };
  }

  #wantedKeys(): WantedKey[] {
    const galois = [...new Set(this.#options.plan.steps)].map((step): WantedKey => ({
      fields: { kind: 'galois-key', step },
      file: `galois-${step}.key`,
      make: (secret) => secret.galoisKey(step),
      record: (index) => index.galoisKeys[String(step)],
      withRecord: (index, record) => ({ ...index, galoisKeys: { ...index.galoisKeys, [String(step)]: record } }),
    }));
    const relinearisation: WantedKey = {
      fields: { kind: 'relinearisation-key' },
      file: 'relinearisation.key',
      make: (secret) => secret.relinearisationKey(),
      record: (index) => index.relinearisationKey,
      withRecord: (index, record) => ({ ...index, relinearisationKey: record }),
    };
    return [relinearisation, ...galois];
  }

  async #timed<T>(body: () => Promise<T>): Promise<T> {
    const start = performance.now();
    try {
      return await body();
    } finally {
      this.#generating += (performance.now() - start) / 1000;
    }
  }
}
