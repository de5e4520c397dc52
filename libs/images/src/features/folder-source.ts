import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { at, errnoOf, messageOf } from '@blindfit/base';
import { normaliseLabel } from '@blindfit/data';
import { FeatureError } from '../feature-error.ts';
import { decodeImage } from './decode-image.ts';
import { requireLimit, type EncodedImage, type ImageSource } from './image-source.ts';

/** Larger files than this are no photographs. */
const MAX_IMAGE_FILE_BYTES = 2 ** 28;
const MAX_LABEL_LENGTH = 200;
/** Files that file managers leave behind. Hidden files are skipped as well. */
const LITTER: ReadonlySet<string> = new Set(['Thumbs.db', 'desktop.ini']);

export interface FolderSourceOptions {
  /** Has one subfolder per class, named after it; or images only, which then have no labels. */
  readonly folder: string;
  /** Number of images, taken as evenly from the classes as possible, the first of each. @default all */
  readonly limit?: number | undefined;
}

interface Entry {
  /** Relative to the folder. */
  readonly path: string;
  readonly label: string | undefined;
}

/**
 * The PNG, JPEG and WebP files of a folder, by class and then by name, both in the order of their UTF-16 code units:
 * the same on every machine. Only names are held in memory. Hidden files are ignored; any other file that is not an
 * image fails when it is read, and so can be skipped.
 *
 * @throws FeatureError `bad-folder` or `bad-labels`
 */
export async function openFolderSource({ folder, limit }: FolderSourceOptions): Promise<ImageSource> {
  requireLimit(limit);
  const top = await listing(folder);
  if (top.folders.length > 0 && top.files.length > 0) {
    throw new FeatureError(
      'bad-folder',
      `${folder} holds both subfolders (${at(top.folders, 0, 'folders')}, ...) and files ` +
        `(${at(top.files, 0, 'files')}, ...); put every image into the subfolder of its class`,
    );
  }
  const labelled = top.folders.length > 0;
  const classes = labelled
    ? await classFolders(folder, top.folders)
    : [top.files.map((path) => ({ path, label: undefined }))];
  const entries = evenly(classes, limit ?? Infinity);
  if (entries.length === 0) {
    throw new FeatureError(
      'bad-folder',
      `${folder} holds no images; it needs one subfolder per class, with PNG, JPEG or WebP files in it`,
    );
  }
  const entry = (index: number): Entry => at(entries, index, 'images of the folder');
  return Object.freeze({
    description: folder,
    count: entries.length,
    labelled,
    name: (index: number) => join(folder, entry(index).path),
    label: (index: number) => entry(index).label,
    read: (index: number) => readImage(join(folder, entry(index).path)),
  });
}

async function classFolders(folder: string, names: readonly string[]): Promise<Entry[][]> {
  const nameOf = new Map<string, string>();
  const classes: Entry[][] = [];
  for (const name of names) {
    const label = normaliseLabel(name);
    const other = nameOf.get(label);
    if (other !== undefined) {
      throw new FeatureError(
        'bad-labels',
        `the subfolders ${other} and ${name} of ${folder} both stand for the class ${label}; merge or rename them`,
      );
    }
    if (label === '' || label.length > MAX_LABEL_LENGTH || /[\p{Cc}\uFFFD]/u.test(label) || /^nan$/i.test(label)) {
      throw new FeatureError(
        'bad-labels',
        `the subfolder ${JSON.stringify(name)} of ${folder} cannot be the name of a class; ` +
          `use 1 to ${MAX_LABEL_LENGTH} visible characters`,
      );
    }
    nameOf.set(label, name);
    const { files, folders } = await listing(join(folder, name));
    const [subfolder] = folders;
    if (subfolder !== undefined) {
      throw new FeatureError(
        'bad-folder',
        `${join(folder, name)} holds the subfolder ${subfolder}; the images of a class must lie directly in its folder`,
      );
    }
    if (files.length === 0)
      throw new FeatureError('bad-folder', `the class folder ${join(folder, name)} is empty; add images or remove it`);
    classes.push(files.map((file) => ({ path: join(name, file), label })));
  }
  return classes;
}

const FOLDER_PROBLEMS: ReadonlyMap<string | undefined, string> = new Map([
  ['ENOENT', 'there is no such folder'],
  ['ENOTDIR', 'this is a file; name a folder with one subfolder per class'],
]);

async function listing(folder: string): Promise<{ folders: string[]; files: string[] }> {
  const folders: string[] = [];
  const files: string[] = [];
  try {
    for (const item of await readdir(folder, { withFileTypes: true })) {
      if (item.name.startsWith('.') || LITTER.has(item.name)) continue;
      // Collections are often made of links; one that leads nowhere counts as a file, and fails as such.
      const kind = item.isSymbolicLink() ? await stat(join(folder, item.name)).catch(() => item) : item;
      (kind.isDirectory() ? folders : files).push(item.name);
    }
  } catch (error) {
    const problem = FOLDER_PROBLEMS.get(errnoOf(error)) ?? messageOf(error);
    throw new FeatureError('bad-folder', `${folder}: ${problem}`, { cause: error });
  }
  // Without a comparator: by code unit, unlike localeCompare the same everywhere.
  return { folders: folders.sort(), files: files.sort() };
}

/** The first images of each class, `limit` in all: as many of each class, as far as it has them. */
function evenly(classes: readonly Entry[][], limit: number): Entry[] {
  const total = classes.reduce((sum, entries) => sum + entries.length, 0);
  let left = Math.min(limit, total);
  const taken = classes.map(() => 0);
  for (let round = 0; left > 0; round++) {
    classes.forEach((entries, k) => {
      if (left === 0 || round >= entries.length) return;
      taken[k] = round + 1;
      left--;
    });
  }
  return classes.flatMap((entries, k) => entries.slice(0, taken[k]));
}

async function readImage(path: string): Promise<EncodedImage> {
  let bytes: Buffer;
  try {
    const { size } = await stat(path);
    if (size > MAX_IMAGE_FILE_BYTES)
      throw new Error(`${size} bytes are more than an image may have (${MAX_IMAGE_FILE_BYTES})`);
    bytes = await readFile(path);
  } catch (error) {
    throw new FeatureError('bad-image', `${path} cannot be read: ${messageOf(error)}`, { cause: error });
  }
  return {
    digest: createHash('sha256').update('file\n').update(bytes).digest(),
    decode: () => decodeImage(path, bytes),
  };
}
