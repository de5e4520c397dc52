// Builds the addon with the C++ compiler of this machine: `node libs/he/native/build.mjs`, or buildNative() from a
// program.
//
// This is plain JavaScript for Node 20. node-gyp needs Python and make, and cmake-js needs CMake, which a fresh machine
// may lack. A build is cached under a digest of its sources, flags and compiler.

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  accessSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const HERE = dirname(fileURLToPath(import.meta.url));
const ROOT = dirname(dirname(dirname(HERE)));
const SOURCES = join(HERE, 'src');
const NAME = 'blindfit-he.node';
/** The addon in an image, compiled when the image was made (`--ship`): images have no compiler. */
const SHIPPED = join(HERE, 'built', NAME);
/** The addon in the published package, compiled on another machine. */
const PREBUILT = join(HERE, 'prebuilt', `${process.platform}-${process.arch}`, NAME);

const FLAGS = [
  '-std=c++20',
  '-O3',
  '-fPIC',
  '-fvisibility=hidden',
  '-Wall',
  '-Wextra',
  '-Wno-psabi',
  '-DNDEBUG',
  '-DNAPI_VERSION=8',
];
// The addon stays loaded when a thread that used it ends: another may be about to.
const LINK = ['-shared', '-static-libstdc++', '-static-libgcc', '-Wl,-z,nodelete', '-pthread'];
// GCC 12 warns of undefined operands in its own AVX-512 headers.
const QUIET = ['-Wno-uninitialized', '-Wno-maybe-uninitialized'];
/** Instructions each kernel may use; which of them runs is decided by the processor. */
const KERNEL_FLAGS = {
  'kernel-avx2.cpp': ['-mavx2', '-mfma', '-mbmi2'],
  'kernel-avx512.cpp': [
    '-mavx2',
    '-mfma',
    '-mbmi2',
    '-mavx512f',
    '-mavx512dq',
    '-mavx512vl',
    '-mavx512bw',
    '-mprefer-vector-width=512',
    ...QUIET,
  ],
  'kernel-ifma.cpp': [
    '-mavx2',
    '-mfma',
    '-mbmi2',
    '-mavx512f',
    '-mavx512dq',
    '-mavx512vl',
    '-mavx512bw',
    '-mavx512ifma',
    '-mprefer-vector-width=512',
    ...QUIET,
  ],
};

const run = promisify(execFile);

/** The sources for a machine, and the flags of each. */
export function translationUnits(arch = process.arch) {
  return readdirSync(SOURCES)
    .filter((name) => name.endsWith('.cpp') && (arch === 'x64' || KERNEL_FLAGS[name] === undefined))
    .sort()
    .map((name) => ({ name, path: join(SOURCES, name), flags: KERNEL_FLAGS[name] ?? [] }));
}

/** The compiler of $CXX, else g++, else clang++, as an absolute path; undefined when there is none. */
function findCompiler() {
  const wanted = process.env.CXX ? [process.env.CXX] : ['g++', 'clang++', 'c++'];
  for (const name of wanted) {
    if (name.includes('/')) {
      if (existsSync(name)) return name;
      continue;
    }
    for (const directory of (process.env.PATH ?? '').split(delimiter)) {
      const path = join(directory, name);
      if (directory !== '' && existsSync(path)) return path;
    }
  }
  return undefined;
}

function headers() {
  return createRequire(import.meta.url)('node-api-headers').include_dir;
}

/** Text that changes with the compiler. Asking it for its version would take longer than all the rest. */
function compilerIdentity(path) {
  const { size, mtimeMs, ino } = statSync(path);
  return `${path} ${size} ${mtimeMs} ${ino}`;
}

function fingerprint(compiler) {
  const hash = createHash('sha256').update(
    `${compilerIdentity(compiler)}\n${process.arch}\n${JSON.stringify([FLAGS, LINK, KERNEL_FLAGS])}\n`,
  );
  for (const name of readdirSync(SOURCES).sort()) hash.update(`${name}\n`).update(readFileSync(join(SOURCES, name)));
  return hash.digest('hex').slice(0, 24);
}

/** Where built addons are kept: in a checkout if it can be written to, else in the user's cache. */
function cacheDirectories() {
  const inCheckout = join(ROOT, '.blindfit', 'native');
  const inCache = join(
    process.env.XDG_CACHE_HOME || join(process.env.HOME || homedir(), '.cache'),
    'blindfit',
    'native',
  );
  return existsSync(join(ROOT, 'package-lock.json')) ? [inCheckout, inCache] : [inCache];
}

/** Whether the prebuilt addon runs here: it asks for a C library that is no older than the one it was linked with. */
function prebuiltLoads() {
  if (!existsSync(PREBUILT)) return false;
  try {
    createRequire(import.meta.url)(PREBUILT);
    return true;
  } catch {
    return false;
  }
}

function writable(path) {
  try {
    mkdirSync(path, { recursive: true });
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Runs tasks, `width` at a time. */
async function inParallel(tasks, width) {
  const queue = [...tasks];
  await Promise.all(
    Array.from({ length: Math.min(width, queue.length) }, async () => {
      for (let task = queue.shift(); task !== undefined; task = queue.shift()) await task();
    }),
  );
}

function firstLines(error) {
  const output = `${error.stderr ?? ''}`.trim() || `${error.message}`;
  return output.split('\n').slice(0, 12).join('\n');
}

/**
 * The addon for this machine, built if it is not there yet, which takes about 20 seconds on two cores.
 * @param {{ log?: (line: string) => void, lock?: (path: string) => Promise<Disposable> }} [options] log: told before a
 *   build, by default on stderr; lock: takes a lock file, so that of several processes one builds and the others wait.
 *   Without it each builds its own, and the last one is kept: all are the same.
 * @returns {Promise<{ path: string } | { reason: string }>} the reason says why there is none
 */
export async function buildNative({ log = toStderr, lock } = {}) {
  if (existsSync(SHIPPED)) return { path: SHIPPED };
  if (prebuiltLoads()) return { path: PREBUILT };
  const compiler = findCompiler();
  if (compiler === undefined) {
    return {
      reason: process.env.CXX
        ? `the compiler ${process.env.CXX} (from CXX) is not there`
        : 'no C++ compiler was found: install g++, or set CXX',
    };
  }
  let name;
  try {
    name = fingerprint(compiler);
  } catch (error) {
    return { reason: `the sources of the native evaluator cannot be read: ${error.message}` };
  }
  const directories = cacheDirectories();
  for (const directory of directories) {
    const path = join(directory, name, NAME);
    if (existsSync(path)) return { path };
  }
  const directory = directories.find(writable);
  if (directory === undefined) return { reason: `none of ${directories.join(' and ')} can be written to` };
  const target = join(directory, name);
  let held;
  try {
    held = await lock?.(join(directory, `${name}.lock`));
  } catch (error) {
    return { reason: `another process compiles the native evaluator and does not end: ${error.message}` };
  }
  try {
    // Meanwhile another process may have built it.
    return existsSync(join(target, NAME))
      ? { path: join(target, NAME) }
      : await compile(compiler, directory, target, log);
  } finally {
    held?.[Symbol.dispose]();
  }
}

function toStderr(line) {
  process.stderr.write(`blindfit: ${line}\n`);
}

async function compile(compiler, directory, target, log) {
  log('compiling the native evaluator; this happens once');
  const work = mkdtempSync(join(directory, 'build-'));
  try {
    const units = translationUnits().map((unit) => ({
      ...unit,
      object: join(work, unit.name.replace(/\.cpp$/, '.o')),
    }));
    // The longest first, so that two cores end together.
    units.sort((a, b) => b.flags.length - a.flags.length || statSync(b.path).size - statSync(a.path).size);
    await inParallel(
      units.map(
        (unit) => () =>
          run(compiler, [...FLAGS, ...unit.flags, '-isystem', headers(), '-c', unit.path, '-o', unit.object]),
      ),
      availableParallelism(),
    );
    const built = join(work, 'out');
    mkdirSync(built);
    await run(compiler, [...LINK, ...units.map((unit) => unit.object), '-o', join(built, NAME)]);
    writeFileSync(join(built, 'compiler.txt'), `${compilerIdentity(compiler)}\n`);
    try {
      renameSync(built, target);
    } catch (error) {
      if (!existsSync(join(target, NAME))) throw error; // else another process was faster
    }
    return { path: join(target, NAME) };
  } catch (error) {
    return { reason: `${compiler} failed: ${firstLines(error)}` };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const result = await buildNative();
  if ('path' in result) {
    if (process.argv[2] === '--ship') {
      mkdirSync(dirname(SHIPPED), { recursive: true });
      copyFileSync(result.path, SHIPPED);
    }
    process.stdout.write(`${result.path}\n`);
  } else {
    process.stderr.write(`${result.reason}\n`);
    process.exitCode = 1;
  }
}
