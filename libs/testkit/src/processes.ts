import { readdir, readFile } from 'node:fs/promises';

/** Whether a process runs; one that has ended and was not collected yet does not. Linux only. */
export async function runs(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return stat !== undefined && !/\) Z/.test(stat);
}

/** Ids of all other processes whose command line or environment contains a text. Linux only. */
export async function processesOf(text: string): Promise<number[]> {
  const pids: number[] = [];
  for (const name of await readdir('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid || !(await runs(pid))) continue;
    const sources = await Promise.all(
      ['cmdline', 'environ'].map((file) => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '')),
    );
    if (sources.some((source) => source.includes(text))) pids.push(pid);
  }
  return pids;
}

/** An environment without the settings of Blindfit and of the test runner: tests do not depend on their caller. */
export function withoutSettings(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const isSetting = (name: string): boolean =>
    (name.startsWith('BLINDFIT_') && name !== 'BLINDFIT_REDIS_SERVER') ||
    name === 'REDIS_URL' ||
    name.startsWith('NODE_TEST');
  return Object.fromEntries(Object.entries(env).filter(([name]) => !isSetting(name)));
}
