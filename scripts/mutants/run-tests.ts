/** Runs test files of a tree one after the other until one fails. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

export interface Outcome {
  /** The test file that failed; undefined when all passed. */
  readonly failed: string | undefined;
  readonly timedOut: boolean;
  readonly seconds: number;
  /** What the failed file printed. */
  readonly output: string;
}

/** @param limit milliseconds for all files together; a run that takes longer has failed */
export async function runTests(
  tree: string,
  tests: readonly string[],
  limit: number,
  signal: AbortSignal,
): Promise<Outcome> {
  const started = Date.now();
  const seconds = (): number => (Date.now() - started) / 1000;
  for (const test of tests) {
    const left = limit - (Date.now() - started);
    const { passed, timedOut, output } = await runFile(tree, test, left, signal);
    if (!passed) return { failed: test, timedOut, seconds: seconds(), output };
  }
  return { failed: undefined, timedOut: false, seconds: seconds(), output: '' };
}

async function runFile(
  tree: string,
  test: string,
  limit: number,
  signal: AbortSignal,
): Promise<{ passed: boolean; timedOut: boolean; output: string }> {
  const env = { ...process.env, NODE_COMPILE_CACHE: join(tree, '.blindfit/compile-cache') };
  // A group of its own, so that everything the tests have started ends with them.
  const child = spawn(process.execPath, ['--test', '--test-force-exit', '--test-reporter=spec', test], {
    cwd: tree,
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let timedOut = false;
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  const endGroup = (): void => {
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      // The group has ended.
    }
  };
  const timer = setTimeout(() => {
    timedOut = true;
    endGroup();
  }, limit);
  signal.addEventListener('abort', endGroup);
  try {
    const [code] = (await once(child, 'exit')) as [number | null];
    signal.throwIfAborted();
    return { passed: code === 0, timedOut, output };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', endGroup);
    endGroup();
  }
}
