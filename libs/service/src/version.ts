import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gitRevision } from '@blindfit/base/node';
import packageJson from '../package.json' with { type: 'json' };

interface Manifest {
  readonly gitHead?: string;
}

/** The version of Blindfit that runs, for metrics, traces and the documentation of the API. */
export const VERSION = packageJson.version;

/** The commit that it was made from, or `unknown`. */
export const REVISION = revisionOf(packageJson as Manifest, fileURLToPath(new URL('../../..', import.meta.url)));

/** Packages name the commit in their manifest, images in a file beside the sources, and clones have it in git. */
export function revisionOf({ gitHead }: Manifest, root: string): string {
  return (gitHead ?? revisionFile(root) ?? gitRevision(root) ?? 'unknown').slice(0, 12);
}

function revisionFile(root: string): string | undefined {
  try {
    return readFileSync(`${root}/.revision`, 'utf8').trim();
  } catch {
    return undefined;
  }
}
