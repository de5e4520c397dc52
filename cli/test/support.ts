import { fork, spawn, type ChildProcess } from 'node:child_process';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { withoutSettings } from '@blindfit/testkit';
import type { Answer, Call } from './cli-host.ts';

const HOST = fileURLToPath(new URL('./cli-host.ts', import.meta.url));
/** Keys that tests share where the keys are not what they are about: making them takes longer than most of the rest. */
export const SHARED_KEYS = fileURLToPath(new URL('../../.blindfit/test-keys', import.meta.url));
export const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url));

/** An environment without any setting of Blindfit. */
export function cleanEnv(more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  return { ...withoutSettings(process.env), ...more };
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
 * As {@link runCli}, in one process that serves all such calls of a test file in turn. It is for commands that end
 * before they start anything.
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
