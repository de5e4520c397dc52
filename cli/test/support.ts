import { fork, spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { processInfo } from '@blindfit/base/node';
import type { Answer, Call } from './cli-host.ts';

const HOST = fileURLToPath(new URL('./cli-host.ts', import.meta.url));
export const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url));

export async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'blindfit-cli-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** An environment without any setting of Blindfit, so that tests do not depend on who runs them. */
export function cleanEnv(more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = {};
  for (const [name, value] of Object.entries(process.env)) {
    const ours = name.startsWith('BLINDFIT_') && name !== 'BLINDFIT_REDIS_SERVER';
    if (!ours && name !== 'REDIS_URL' && !name.startsWith('NODE_TEST')) env[name] = value;
  }
  return { ...env, ...more };
}

export interface Cli {
  readonly child: ChildProcess;
  /** What it has printed so far. */
  readonly output: { stdout: string; stderr: string };
  readonly ended: Promise<{ status: number | null; signal: NodeJS.Signals | null; stdout: string; stderr: string }>;
}

/** Starts `blindfit` with these arguments; it is killed after the test. */
export function startCli(t: TestContext, args: readonly string[], env: NodeJS.ProcessEnv = cleanEnv()): Cli {
  const child = spawn(process.execPath, [MAIN, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  t.after(() => child.kill('SIGKILL'));
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (data: Buffer) => void (output.stdout += data.toString('utf8')));
  child.stderr.on('data', (data: Buffer) => void (output.stderr += data.toString('utf8')));
  const ended = new Promise<{ status: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once('close', (status, signal) => resolve({ status, signal }));
  }).then((how) => ({ ...how, ...output }));
  return { child, output, ended };
}

export async function runCli(
  t: TestContext,
  args: readonly string[],
  env?: NodeJS.ProcessEnv,
): ReturnType<typeof startCli>['ended'] {
  return await startCli(t, args, env).ended;
}

let host: ChildProcess | undefined;
let turn: Promise<unknown> = Promise.resolve();

/**
 * As {@link runCli}, in a process that serves all such calls of a test file, one after the other: for commands that end by themselves
 * before anything is started.
 */
export function askCli(args: readonly string[], env: NodeJS.ProcessEnv = cleanEnv()): Promise<Answer> {
  const answer = turn.then(() => ask({ args, env }));
  turn = answer.catch(() => undefined);
  return answer;
}

function ask(call: Call): Promise<Answer> {
  const serving = (host ??= fork(HOST, { env: cleanEnv(), stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }));
  // Neither it nor the channel to it keeps a test file from ending.
  serving.unref();
  serving.channel?.ref();
  return new Promise<Answer>((resolve, reject) => {
    const ended = (): void =>
      reject(new Error(`the process that serves command lines has ended at ${call.args.join(' ')}`));
    serving.once('exit', ended);
    serving.once('message', (answer: Answer) => {
      serving.off('exit', ended);
      serving.channel?.unref();
      resolve(answer);
    });
    serving.send(call);
  });
}

/** Waits until a condition holds. */
export async function until(condition: () => boolean | Promise<boolean>, what: string, seconds = 60): Promise<void> {
  const deadline = Date.now() + seconds * 1000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`${what}: not within ${seconds} s`);
    await sleep(50);
  }
}

export const runs = (pid: number): boolean => processInfo(pid) !== undefined;

/** Ids of all processes whose command line or environment mentions a text. */
export async function processesOf(text: string): Promise<number[]> {
  const found: number[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid || !runs(Number(name))) continue;
    const about = await Promise.all(
      ['cmdline', 'environ'].map((file) => readFile(`/proc/${name}/${file}`, 'utf8').catch(() => '')),
    );
    if (about.some((each) => each.includes(text))) found.push(Number(name));
  }
  return found;
}
