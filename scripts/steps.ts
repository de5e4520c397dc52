/** Runs programs one after another or side by side and reports all that fail. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));

export interface Step {
  readonly title: string;
  readonly command: string;
  readonly args: readonly string[];
}

/** @returns whether all steps succeeded; later steps run also after one has failed */
export async function runSteps(steps: readonly Step[], width: number): Promise<boolean> {
  const queue = [...steps];
  let allPassed = true;
  const worker = async (): Promise<void> => {
    for (let step = queue.shift(); step !== undefined; step = queue.shift()) {
      if (!(await runStep(step))) allPassed = false;
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  return allPassed;
}

async function runStep({ title, command, args }: Step): Promise<boolean> {
  const started = Date.now();
  const child = spawn(command, args, { cwd: ROOT, stdio: 'inherit' });
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
  for (const signal of signals) process.on(signal, forward);
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  for (const signal of signals) process.off(signal, forward);
  if (signals.some((each) => each === signal)) process.exit(1);
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  const problem = code === 0 ? '' : `, ${signal ?? `exit status ${code}`}`;
  process.stdout.write(`${code === 0 ? 'ok  ' : 'FAIL'} ${title}: ${seconds} s${problem}\n`);
  return code === 0;
}
