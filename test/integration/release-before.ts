/** The release before this one, from git, in a folder of its own, and single services of either release. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, readdirSync, readlinkSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ReadyLine } from '@blindfit/service';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** The commit of the release before. */
export const RELEASE_BEFORE = '0487df4';

/** Whether git has the commit: an archive of the sources and a shallow clone have not. */
export function hasReleaseBefore(): boolean {
  try {
    execFileSync('git', ['cat-file', '-e', `${RELEASE_BEFORE}^{commit}`], { cwd: ROOT, stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Lays the release before out in a folder. It shares what npm has installed and what was compiled. */
export function unpackReleaseBefore(root: string): void {
  const archive = execFileSync(
    'git',
    ['archive', RELEASE_BEFORE, 'package.json', 'package-lock.json', 'libs', 'services'],
    {
      cwd: ROOT,
      maxBuffer: 2 ** 28,
    },
  );
  execFileSync('tar', ['-x', '-C', root], { input: archive });
  symlinkSync(join(ROOT, '.blindfit'), join(root, '.blindfit'));
  const installed = join(ROOT, 'node_modules');
  const modules = join(root, 'node_modules');
  mkdirSync(join(modules, '@blindfit'), { recursive: true });
  for (const name of readdirSync(installed))
    if (name !== '@blindfit') symlinkSync(join(installed, name), join(modules, name));
  for (const name of readdirSync(join(installed, '@blindfit'))) {
    const target = resolve('/node_modules/@blindfit', readlinkSync(join(installed, '@blindfit', name)));
    symlinkSync(join(root, target), join(modules, '@blindfit', name));
  }
}

export interface SingleService extends AsyncDisposable {
  readonly url: string;
}

/** Starts one service of a release, and waits until it is ready. @param root of the release */
export async function startSingle(root: string, name: string, environment: NodeJS.ProcessEnv): Promise<SingleService> {
  const child = spawn(process.execPath, [join(root, 'libs/stack/src/service-main.ts'), name], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text));
  const exited = new Promise<void>((done) => child.once('exit', () => done()));
  const ready = new Promise<ReadyLine>((done) => {
    createInterface(child.stdout).once('line', (line) => done(JSON.parse(line) as ReadyLine));
  });
  const failed = exited.then((): never => {
    throw new Error(`${name} of ${root} ended:\n${log}`);
  });
  const { url } = await Promise.race([ready, failed]);
  failed.catch(() => undefined);
  return { url, [Symbol.asyncDispose]: () => stop(child, exited) };
}

async function stop(child: ChildProcess, exited: Promise<void>): Promise<void> {
  child.kill('SIGTERM');
  await exited;
}
