/**
 * Programs of Debian packages that a test needs: on PATH, or else unpacked from the package without installing it, as
 * any user. Where neither works there is a reason to skip the test with.
 */
import { execFile } from 'node:child_process';
import { access, chmod, constants, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { delimiter, isAbsolute, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const SYSTEM_PATH = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];
const PATH = [...(process.env['PATH'] ?? '').split(delimiter).filter(isAbsolute), ...SYSTEM_PATH];
const APT_TIMEOUT_MS = 3 * 60_000;

export type Found =
  | { readonly directory: string; readonly reason?: undefined }
  | { readonly directory?: undefined; readonly reason: string };

/** The directory that holds all of these programs. @param programs of one package, in the same directory */
export async function findPrograms(packageName: string, programs: readonly string[]): Promise<Found> {
  const cached = join(
    process.env['XDG_CACHE_HOME'] ?? join(process.env['HOME'] ?? homedir(), '.cache'),
    'blindfit',
    `${packageName}-${process.arch}`,
    'usr',
    'bin',
  );
  for (const directory of [...PATH, cached]) {
    if (await hasAll(directory, programs)) return { directory };
  }
  try {
    return { directory: await unpack(packageName, programs, cached) };
  } catch (error) {
    const { stderr } = error as { stderr?: string };
    const said =
      (stderr ?? '').split('\n').find((line) => line.startsWith('E:')) ??
      (error instanceof Error ? error.message.split('\n')[0] : String(error));
    return {
      reason:
        `${programs.join(' and ')} are not on PATH, and Debian's package ${packageName} cannot be had: ` + (said ?? ''),
    };
  }
}

async function hasAll(directory: string, programs: readonly string[]): Promise<boolean> {
  const checks = await Promise.all(
    programs.map((name) =>
      access(join(directory, name), constants.X_OK).then(
        () => true,
        () => false,
      ),
    ),
  );
  return checks.every(Boolean);
}

/** Downloads and unpacks; nothing is installed, no service starts. */
async function unpack(packageName: string, programs: readonly string[], into: string): Promise<string> {
  const home = join(into, '..', '..');
  await mkdir(join(home, '..'), { recursive: true, mode: 0o700 });
  // apt downloads as a user of its own when root calls it.
  const apt = await mkdtemp(join(tmpdir(), 'blindfit-apt-'));
  const draft = await mkdtemp(join(home, '..', '.unpack-'));
  try {
    await chmod(apt, 0o777);
    await mkdir(join(apt, 'lists', 'partial'), { recursive: true });
    const options = [
      '-q',
      '-o',
      'Debug::NoLocking=1',
      '-o',
      'Acquire::Retries=2',
      '-o',
      'Acquire::http::Timeout=20',
      '-o',
      `Dir::Cache=${apt}`,
    ];
    const own = ['-o', `Dir::State::lists=${apt}/lists`];
    const tool = (name: string, args: readonly string[]) =>
      run(name, args, {
        cwd: apt,
        timeout: APT_TIMEOUT_MS,
        maxBuffer: 1 << 24,
        env: { ...process.env, PATH: PATH.join(delimiter), LC_ALL: 'C' },
      });
    try {
      await tool('apt-get', ['download', ...options, packageName]);
    } catch {
      // Fresh machines have no package lists.
      await tool('apt-get', ['update', ...options, ...own, '-o', 'Acquire::Languages=none']);
      await tool('apt-get', ['download', ...options, ...own, packageName]);
    }
    const archive = (await readdir(apt)).find((name) => name.startsWith(`${packageName}_`) && name.endsWith('.deb'));
    if (archive === undefined) throw new Error(`apt-get downloaded no ${packageName}`);
    await tool('dpkg', ['-x', join(apt, archive), draft]);
    if (!(await hasAll(join(draft, 'usr', 'bin'), programs)))
      throw new Error(`the package ${packageName} holds no ${programs.join(', ')}`);
    await rm(home, { recursive: true, force: true });
    await rename(draft, home);
    return into;
  } finally {
    await rm(apt, { recursive: true, force: true });
    await rm(draft, { recursive: true, force: true });
  }
}
