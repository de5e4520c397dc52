import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const HASH = /^[0-9a-f]{40,64}$/;

/**
 * The commit of a checkout, from the files of git: neither images nor hosts need the program.
 * @param root the directory that `.git` is in @returns undefined where there is no history
 */
export function gitRevision(root: string): string | undefined {
  return headOf(directoryOf(root));
}

/** In a further work tree and in a submodule `.git` is a file that names the directory. */
function directoryOf(root: string): string {
  const path = join(root, '.git');
  const pointer = textOf(path);
  return pointer === undefined ? path : resolve(root, pointer.replace(/^gitdir: /, ''));
}

function headOf(directory: string): string | undefined {
  const head = textOf(join(directory, 'HEAD'));
  if (head === undefined || HASH.test(head)) return head;
  const reference = head.replace(/^ref: /, '');
  const common = textOf(join(directory, 'commondir'));
  const places = common === undefined ? [directory] : [directory, resolve(directory, common)];
  for (const place of places) {
    const hash = textOf(join(place, reference)) ?? packed(place, reference);
    if (hash !== undefined && HASH.test(hash)) return hash;
  }
  return undefined;
}

function packed(directory: string, reference: string): string | undefined {
  const lines = textOf(join(directory, 'packed-refs'))?.split('\n');
  return lines?.find((line) => line.endsWith(` ${reference}`))?.split(' ', 1)[0];
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}
