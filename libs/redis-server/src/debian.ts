import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, isAbsolute, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { at, errnoOf, messageOf } from '@blindfit/base';
import { isExecutable } from './system.ts';

const run = promisify(execFile);

/** Where apt-get and dpkg live even if the caller's PATH is empty. */
const SYSTEM_PATH = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];
const PACKAGE = 'redis-tools'; // Debian's redis-server package only adds a service; the program is in this one
const APT_TIMEOUT_MS = 5 * 60_000;

/** The name of the program inside an extracted copy (see {@link extractDebianRedis}). */
export const EXTRACTED_PROGRAM = 'redis-server';

/**
 * Fetches Debian's (or Ubuntu's) Redis with the libraries this machine lacks and unpacks it into `destination`, an
 * existing empty directory, without installing anything: it works as root and as any other user alike. apt checks the
 * packages' signatures as usual. The machine's package lists are used if they will do, else fresh private ones.
 *
 * Afterwards `destination/redis-server` starts Redis from wherever the directory is moved to (same machine type).
 *
 * @throws Error when the packages cannot be had; the message holds what apt or dpkg said.
 */
export async function extractDebianRedis(
  destination: string,
  env: NodeJS.ProcessEnv,
  log: (line: string) => void,
): Promise<void> {
  for (const tool of ['apt-get', 'dpkg']) {
    if (!(await isOnPath(tool, env))) throw new Error(`${tool} was not found: this is no Debian or Ubuntu system`);
  }
  // Outside the cache directory, which is often private: run by root, apt downloads as a user of its own.
  const apt = await mkdtemp(join(tmpdir(), 'blindfit-apt-'));
  try {
    await chmod(apt, 0o755);
    for (const directory of ['archives/partial', 'lists/partial'])
      await mkdir(join(apt, directory), { recursive: true });
    await download(apt, env, log);
    const archives = (await readdir(join(apt, 'archives'))).filter((name) => name.endsWith('.deb'));
    for (const archive of archives) {
      // A private libc would not fit the system's dynamic loader, and every system has one.
      if (/^libc6(-|_)/.test(archive)) continue;
      await tool('dpkg', ['-x', join(apt, 'archives', archive), join(destination, 'root')], env);
    }
  } finally {
    await rm(apt, { recursive: true, force: true });
  }
  await makeRunnable(destination);
}

async function download(apt: string, env: NodeJS.ProcessEnv, log: (line: string) => void): Promise<void> {
  const common = [
    '-q',
    '-y',
    // No locks and a directory of our own: this neither needs nor touches the system's apt state.
    '-o',
    'Debug::NoLocking=1',
    '-o',
    `Dir::Cache=${apt}`,
    '-o',
    `Dir::Cache::archives=${apt}/archives`,
    '-o',
    'Acquire::Retries=2',
    '-o',
    'Acquire::http::Timeout=30',
    '-o',
    'Acquire::https::Timeout=30',
  ];
  // Simulating an installation makes apt find out which libraries are missing. --reinstall: the package itself is
  // wanted even where it is installed already but somehow unusable.
  const fetch = async (...more: string[]) => {
    await tool(
      'apt-get',
      ['install', '--download-only', '--reinstall', '--no-install-recommends', ...common, ...more, PACKAGE],
      env,
    );
    // "Reinstallation is not possible" is no failure to apt.
    const archives = await readdir(join(apt, 'archives'));
    if (!archives.some((name) => name.startsWith(`${PACKAGE}_`)))
      throw new Error(`'apt-get install' downloaded no ${PACKAGE}`);
  };
  try {
    await fetch();
    return;
  } catch (error) {
    log(
      `Debian's ${PACKAGE} cannot be had with this system's package lists (${firstLine(error)}); fetching fresh lists`,
    );
  }
  const privateLists = ['-o', `Dir::State::lists=${apt}/lists`];
  const slim = [
    '-o',
    'APT::Update::Error-Mode=any', // or an unreachable archive would be no failure
    '-o',
    'Acquire::Languages=none',
    '-o',
    'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false',
    '-o',
    'Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false',
  ];
  let updateFailure = '';
  try {
    await tool('apt-get', ['update', ...common, ...privateLists, ...slim], env);
  } catch (error) {
    // One unreachable third-party source fails the update as a whole; Debian's own lists may be there all the same.
    updateFailure = `${messageOf(error)}; then `;
  }
  try {
    await fetch(...privateLists);
    return;
  } catch (error) {
    log(`Still not to be had (${firstLine(error)}); trying without regard to what is installed`);
  }
  // A package database in disorder ("unmet dependencies") keeps apt from planning anything. To an empty one every
  // library is missing: a larger download, but one that does not depend on the state of this system.
  const empty = join(apt, 'status');
  await writeFile(empty, '');
  try {
    await fetch(...privateLists, '-o', `Dir::State::status=${empty}`);
  } catch (error) {
    throw new Error(`${updateFailure}${messageOf(error)}`, { cause: error });
  }
}

/** Adds the launcher, which finds the private libraries relative to itself. */
async function makeRunnable(destination: string): Promise<void> {
  const root = join(destination, 'root');
  const libraries: string[] = [];
  for (const base of ['usr/lib', 'lib']) {
    const entries = await readdir(join(root, base), { recursive: true, withFileTypes: true }).catch(() => []);
    for (const entry of entries) {
      const directory = relative(destination, entry.parentPath);
      // The loader's own directories only, e.g. usr/lib/x86_64-linux-gnu: deeper ones hold plug-ins.
      const isLibrary = /\.so(\.|$)/.test(entry.name) && /lib(\/[^/]+-linux-[^/]+)?$/.test(directory);
      if (isLibrary && !libraries.includes(directory)) libraries.push(directory);
    }
  }
  // Redis' programs are one file that looks at the name it is called by.
  await symlink('redis-check-rdb', join(root, 'usr/bin/redis-server')).catch((error: unknown) => {
    if (errnoOf(error) !== 'EEXIST') throw error;
  });
  const path = libraries.map((directory) => `$here/${directory}`).join(':');
  const launcher = join(destination, EXTRACTED_PROGRAM);
  // Shell built-ins only: the launcher must work with an empty PATH as well.
  const script = `#!/bin/sh
# Starts this private copy of Redis with its own libraries.
here=\${0%/*}
LD_LIBRARY_PATH="${path}\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export LD_LIBRARY_PATH
exec "$here/root/usr/bin/redis-server" "$@"
`;
  await writeFile(`${launcher}.new`, script, { mode: 0o755 });
  await rename(`${launcher}.new`, launcher);
}

/** Runs a system tool to its end; its errors carry what it printed. */
async function tool(name: string, args: string[], env: NodeJS.ProcessEnv): Promise<void> {
  const path = [env['PATH'], ...SYSTEM_PATH].filter(Boolean).join(delimiter);
  try {
    await run(name, args, {
      env: { ...env, PATH: path, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' },
      timeout: APT_TIMEOUT_MS,
      maxBuffer: 16 << 20,
    });
  } catch (error) {
    const { stderr, killed } = error as { stderr?: string; killed?: boolean };
    const said = (stderr ?? '')
      .split('\n')
      .filter((line) => /^(E:|W:|dpkg)/.test(line))
      .slice(0, 6)
      .join(' ');
    const why = killed === true ? `no end after ${APT_TIMEOUT_MS / 1000} s` : said === '' ? messageOf(error) : said;
    throw new Error(`'${name} ${at(args, 0, 'arguments')}' failed: ${why}`, { cause: error });
  }
}

async function isOnPath(name: string, env: NodeJS.ProcessEnv): Promise<boolean> {
  for (const directory of [...(env['PATH'] ?? '').split(delimiter).filter(isAbsolute), ...SYSTEM_PATH]) {
    if (await isExecutable(join(directory, name))) return true;
  }
  return false;
}

function firstLine(error: unknown): string {
  const [line = ''] = messageOf(error).split('\n');
  return line.length > 160 ? `${line.slice(0, 157)}...` : line;
}
