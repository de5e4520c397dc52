/** Builds the C++ tests of the addon, once for each state of their sources. */
import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { translationUnits, type TranslationUnit } from '../native/build.mjs';

const run = promisify(execFile);
const NATIVE = fileURLToPath(new URL('../native', import.meta.url));
const CACHE = fileURLToPath(new URL('../../../.blindfit/native-test', import.meta.url));

/** The program ends at the first error and prints its stack. */
export const SANITIZERS = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-fno-omit-frame-pointer'];

/** A program's path on PATH. */
export function onPath(program: string): string | undefined {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .filter((entry) => entry !== '')
    .map((entry) => join(entry, program))
    .find((path) => existsSync(path));
}

/** Why a compiler cannot make programs with these flags; undefined when it can. */
export function compilerProblem(compiler: string, flags: readonly string[], source: string): string | undefined {
  const work = mkdtempSync(join(tmpdir(), 'blindfit-native-'));
  try {
    writeFileSync(join(work, 'probe.cpp'), source);
    execFileSync(compiler, ['-std=c++20', ...flags, join(work, 'probe.cpp'), '-o', join(work, 'probe')], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    return undefined;
  } catch (error) {
    return `${compiler} cannot build with ${flags.join(' ')}: ${String((error as { stderr?: unknown }).stderr ?? error)
      .trim()
      .replace(/\n.*/s, '')}`;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function identity(compiler: string): string {
  return execFileSync(compiler, ['--version'], { encoding: 'utf8' });
}

/** The sources of the addon but for Node's part of it. */
function library(portableOnly: boolean): TranslationUnit[] {
  return translationUnits(portableOnly ? 'portable' : process.arch).filter(
    ({ name }) => name !== 'addon.cpp' && name !== 'napi-values.cpp',
  );
}

interface Programs {
  readonly compiler: string;
  /** Flags of all sources, e.g. {@link SANITIZERS}. */
  readonly flags: readonly string[];
  /** Leaves out the vector kernels, which makes the build quicker. */
  readonly portableOnly?: boolean;
  /** The sources in native/test of each program. */
  readonly programs: Readonly<Record<string, readonly string[]>>;
  /** Likewise, linked with the main function of libFuzzer. */
  readonly fuzzers?: Readonly<Record<string, readonly string[]>>;
}

/** @returns the directory the programs are in */
export async function buildPrograms({
  compiler,
  flags,
  portableOnly = false,
  programs,
  fuzzers = {},
}: Programs): Promise<string> {
  const common = ['-std=c++20', '-g1', ...(portableOnly ? ['-DBLINDFIT_PORTABLE_ONLY'] : []), ...flags];
  const hash = createHash('sha256').update(JSON.stringify([identity(compiler), common, programs, fuzzers]));
  for (const folder of ['src', 'test']) {
    for (const name of readdirSync(join(NATIVE, folder)).sort())
      hash.update(name).update(readFileSync(join(NATIVE, folder, name)));
  }
  const target = join(CACHE, hash.digest('hex').slice(0, 24));
  if (existsSync(target)) return target;
  mkdirSync(CACHE, { recursive: true });
  const work = mkdtempSync(join(CACHE, 'build-'));
  try {
    const tests = [...new Set([...Object.values(programs), ...Object.values(fuzzers)].flat())].map((name) => ({
      name,
      path: join(NATIVE, 'test', name),
      flags: [],
    }));
    const units = [...library(portableOnly), ...tests];
    const object = (name: string): string => join(work, name.replace(/\.cpp$/, '.o'));
    const queue = [...units].sort((a, b) => b.flags.length - a.flags.length);
    await Promise.all(
      Array.from({ length: availableParallelism() }, async () => {
        for (let unit = queue.shift(); unit !== undefined; unit = queue.shift()) {
          // Optimising vector kernels under sanitizers takes longer than running them as they are.
          const flags = unit.flags.length > 0 ? [...unit.flags, '-O0'] : unit.flags;
          await run(compiler, [...common, ...flags, '-c', unit.path, '-o', object(unit.name)]);
        }
      }),
    );
    const built = join(work, 'out');
    mkdirSync(built);
    const shared = library(portableOnly).map(({ name }) => object(name));
    const link = (program: string, sources: readonly string[], more: readonly string[]): Promise<unknown> =>
      run(compiler, [...flags, ...more, ...sources.map(object), ...shared, '-pthread', '-o', join(built, program)]);
    for (const [program, sources] of Object.entries(programs)) await link(program, sources, []);
    for (const [program, sources] of Object.entries(fuzzers)) await link(program, sources, ['-fsanitize=fuzzer']);
    try {
      renameSync(built, target);
    } catch (error) {
      if (!existsSync(target)) throw error; // else another process was faster
    }
    return target;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
