import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { DatasetError, type DatasetErrorCode } from '../src/index.ts';

/** A function that writes a fresh file and returns its path; the files go when the tests of the calling file end. */
export async function scratchFiles(): Promise<(content: string | Uint8Array) => Promise<string>> {
  const folder = await mkdtemp(join(tmpdir(), 'blindfit-datasets-'));
  after(() => rm(folder, { recursive: true }));
  let count = 0;
  return async (content) => {
    const path = join(folder, `file-${count++}`);
    await writeFile(path, content);
    return path;
  };
}

export interface ExpectedError {
  readonly code: DatasetErrorCode;
  readonly message: RegExp;
  readonly line?: number | undefined;
  readonly column?: number | undefined;
}

/** For assert.throws and assert.rejects: a DatasetError with exactly this code and place, whose message matches. */
export function isDatasetError(expected: ExpectedError, file?: string): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof DatasetError, `not a DatasetError but ${String(error)}`);
    assert.match(error.message, expected.message);
    const { code, line, column } = error;
    assert.deepEqual(
      { code, line, column, file: error.file },
      { code: expected.code, line: expected.line, column: expected.column, file },
    );
    for (const part of [file, line && `line ${line}`, column && `column ${column}`]) {
      if (part) assert.ok(error.message.includes(part), `${JSON.stringify(error.message)} does not name ${part}`);
    }
    return true;
  };
}

/** Deterministic random whole numbers below a bound (mulberry32), so that a failing mutation can be repeated. */
export function randomIntegers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** A copy with one to four bytes overwritten, inserted or removed, or the end cut off. */
export function mutate(bytes: Uint8Array, random: (below: number) => number): Uint8Array {
  const mutated = [...bytes];
  for (let edits = 1 + random(4); edits > 0; edits--) {
    const at = random(mutated.length + 1);
    const byte = random(256);
    switch (random(8)) {
      case 0:
        mutated.splice(at, 1);
        break;
      case 1:
        mutated.splice(at, 0, byte);
        break;
      case 2:
        mutated.splice(at);
        break;
      default:
        if (at < mutated.length) mutated[at] = byte;
    }
  }
  return Uint8Array.from(mutated);
}
