import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { asFileError, DatasetError } from '../dataset-error.ts';

const CHUNK_BYTES = 2 ** 20;

/** The path that means standard input. */
export const STANDARD_INPUT = '-';

/** How messages call a file. */
export function fileTitle(path: string): string {
  return path === STANDARD_INPUT ? 'standard input' : path;
}

/** The bytes of a file or, for `-`, of standard input; gzip, which its first bytes tell, is decompressed. */
export async function* bytesOf(path: string): AsyncGenerator<Buffer> {
  const file = fileTitle(path);
  const raw = path === STANDARD_INPUT ? process.stdin : openFile(path, file);
  const chunks = raw.iterator({ destroyOnReturn: true }) as AsyncIterable<Buffer>;
  const opened = chunks[Symbol.asyncIterator]();
  try {
    let head: Buffer = Buffer.alloc(0);
    while (head.length < 2) {
      const next = await opened.next();
      if (next.done === true) break;
      head = Buffer.concat([head, next.value]);
    }
    const all = rest(head, opened);
    yield* head[0] === 0x1f && head[1] === 0x8b ? gunzipped(all) : all;
  } catch (error) {
    throw gzipError(error, file) ?? asFileError(error, file);
  } finally {
    await opened.return?.();
  }
}

function openFile(path: string, file: string): NodeJS.ReadStream | ReturnType<typeof createReadStream> {
  try {
    return createReadStream(path, { highWaterMark: CHUNK_BYTES });
  } catch (error) {
    throw asFileError(error, file);
  }
}

async function* rest(head: Buffer, chunks: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  if (head.length > 0) yield head;
  for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) yield next.value;
}

async function* gunzipped(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  // An error of the source reaches the reader through the stream; the callback only says that it was seen.
  const stream = pipeline(chunks, createGunzip({ chunkSize: CHUNK_BYTES }), () => undefined);
  yield* stream as AsyncIterable<Buffer>;
}

function gzipError(error: unknown, file: string): DatasetError | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined;
  if (!error.code.startsWith('Z_')) return undefined;
  return new DatasetError(
    'bad-file',
    `the gzip data are damaged or cut short (${error.message}); copy the file again`,
    { file },
    { cause: error },
  );
}

/** All bytes in one piece. @throws DatasetError `too-large` */
export async function collect(chunks: AsyncIterable<Buffer>, most: number, file: string): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    length += chunk.length;
    if (length > most)
      throw new DatasetError('too-large', `the file holds more than ${most} bytes; use fewer rows`, { file });
    parts.push(chunk);
  }
  return Buffer.concat(parts);
}
