/** Files of features: CSV for interchange, a compact binary form for many images. */
import { open, readdir, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { messageOf } from '@blindfit/base';
import { processExists, syncDirectory } from '@blindfit/base/node';
import { readCsv, type LabelledDataset } from '@blindfit/data';
import { FeatureError } from '../feature-error.ts';
import { BIN_HEADER_BYTES, BIN_MAGIC, BinEncoder, readBin } from './feature-bin.ts';

/** Extensions of features files. */
export const FEATURE_FORMATS = ['.csv', '.bin'] as const;

const WRITE_BYTES = 2 ** 20;
/** Suffix of files that are being written. */
const PARTIAL = '.partial';

/**
 * Reads labelled features from a `.bin` file or else from CSV; the first bytes tell which it is.
 * @throws FeatureError `bad-file`
 * @throws DatasetError as `readCsv`
 */
export async function readFeatures(path: string): Promise<LabelledDataset> {
  if (await isFeaturesBin(path)) {
    try {
      return await readBin(path);
    } catch (error) {
      throw fileError(error, path, 'read');
    }
  }
  return await readCsv(path);
}

/** Whether a file is one of `blindfit features`, by its name or its first bytes. Pipes are left unread. */
export async function isFeaturesBin(path: string): Promise<boolean> {
  if (path.toLowerCase().endsWith('.bin')) return true;
  let handle: FileHandle | undefined;
  try {
    if (!(await stat(path)).isFile()) return false;
    handle = await open(path, 'r');
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(BIN_MAGIC.length), 0, BIN_MAGIC.length, 0);
    return bytesRead === BIN_MAGIC.length && buffer.equals(BIN_MAGIC);
  } catch {
    return false; // readCsv says what is wrong
  } finally {
    await handle?.close();
  }
}

/**
 * Writes a features file row by row. The file gets its name when it is complete; until then, and if the writer is
 * discarded, an older file of this name stays.
 */
export class FeatureWriter {
  readonly #path: string;
  readonly #partial: string;
  readonly #handle: FileHandle;
  readonly #bin: BinEncoder | undefined;
  #chunks: Buffer[] = [];
  #pending = 0;
  #rows = 0;
  #d = 0;

  /**
   * @param path ends in `.csv` or `.bin`
   * @throws FeatureError `bad-file` if it cannot be written there
   */
  static async create(path: string): Promise<FeatureWriter> {
    const extension = extname(path).toLowerCase();
    if (!FEATURE_FORMATS.some((format) => format === extension)) {
      throw new FeatureError(
        'bad-file',
        `features cannot be written to ${path}; its name must end in ${FEATURE_FORMATS.join(' or ')}`,
      );
    }
    const existing = await stat(path).catch(() => undefined);
    // Renaming would replace a device such as /dev/null.
    if (existing !== undefined && !existing.isFile())
      throw new FeatureError(
        'bad-file',
        `features cannot be written to ${path}: it is there and no file; choose another name`,
      );
    try {
      await removeLeftovers(path);
      const partial = partialName(path);
      return new FeatureWriter(
        path,
        partial,
        await open(partial, 'w'),
        extension === '.bin' ? new BinEncoder() : undefined,
      );
    } catch (error) {
      throw fileError(error, path, 'written');
    }
  }

  private constructor(path: string, partial: string, handle: FileHandle, bin: BinEncoder | undefined) {
    this.#path = path;
    this.#partial = partial;
    this.#handle = handle;
    this.#bin = bin;
    if (bin !== undefined) this.#add(Buffer.alloc(BIN_HEADER_BYTES));
  }

  /**
   * Adds a row. After an error call {@link discard}.
   * @param features as many as in every other row
   * @throws FeatureError `bad-file`
   */
  async write(label: string, features: Float32Array): Promise<void> {
    if (this.#rows === 0) this.#d = features.length;
    if (features.length !== this.#d)
      throw new RangeError(`a row of ${features.length} features after rows of ${this.#d}`);
    this.#rows++;
    this.#add(this.#bin?.row(label, features) ?? csvRow(label, features));
    if (this.#pending >= WRITE_BYTES) await this.#guard(() => this.#flush());
  }

  /** Completes the file under its name. @throws FeatureError `bad-file` */
  async finish(): Promise<void> {
    await this.#guard(async () => {
      const end = this.#bin?.finish();
      if (end !== undefined) this.#add(end.table);
      await this.#flush();
      if (end !== undefined) await this.#handle.write(end.header, 0, end.header.length, 0);
      await this.#handle.sync();
      await this.#handle.close();
      await rename(this.#partial, this.#path);
      await syncDirectory(dirname(this.#path));
    });
  }

  /** Removes the partial file. */
  async discard(): Promise<void> {
    await this.#handle.close().catch(() => undefined);
    await rm(this.#partial, { force: true });
  }

  #add(bytes: Buffer): void {
    this.#chunks.push(bytes);
    this.#pending += bytes.length;
  }

  async #flush(): Promise<void> {
    const chunks = this.#chunks;
    this.#chunks = [];
    this.#pending = 0;
    await this.#handle.writeFile(Buffer.concat(chunks));
  }

  async #guard(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      throw fileError(error, this.#path, 'written');
    }
  }
}

function csvRow(label: string, features: Float32Array): Buffer {
  let text = /["\r\n,]/.test(label) ? `"${label.replaceAll('"', '""')}"` : label;
  // 9 significant digits tell any two 32-bit floats apart.
  for (const value of features) text += `,${Number(value.toPrecision(9))}`;
  return Buffer.from(`${text}\n`);
}

function partialName(path: string): string {
  return join(dirname(path), `.${basename(path)}.${process.pid}${PARTIAL}`);
}

/** Removes the partial files of processes that have ended. */
async function removeLeftovers(path: string): Promise<void> {
  const prefix = `.${basename(path)}.`;
  for (const name of await readdir(dirname(path))) {
    if (!name.startsWith(prefix) || !name.endsWith(PARTIAL)) continue;
    const pid = Number(name.slice(prefix.length, -PARTIAL.length));
    if (Number.isSafeInteger(pid) && pid > 0 && !processExists(pid))
      await rm(join(dirname(path), name), { force: true });
  }
}

/** Names the file in what the system threw; anything else passes unchanged. */
function fileError(error: unknown, path: string, what: 'read' | 'written'): unknown {
  if (!(error instanceof Error) || !('syscall' in error)) return error;
  return new FeatureError('bad-file', `${path} cannot be ${what}: ${messageOf(error)}`, { cause: error });
}
