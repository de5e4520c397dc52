/** `npm run demo` as a stranger runs it: it works, says so in numbers, and leaves nothing behind, however it ends. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { temporaryDirectory } from '@blindfit/testkit';

const BOOTSTRAP = fileURLToPath(new URL('../../scripts/bootstrap.mjs', import.meta.url));

interface Demo {
  readonly child: ChildProcess;
  readonly output: { stdout: string; stderr: string };
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

/** Starts it in a process group of its own, with a temporary directory of its own, where leftovers show. */
async function startDemo(t: TestContext, directory: string): Promise<Demo> {
  const temporary = join(directory, 'tmp');
  await mkdir(temporary);
  const env: NodeJS.ProcessEnv = { ...process.env, TMPDIR: temporary, XDG_DATA_HOME: join(directory, 'home') };
  for (const name of Object.keys(env))
    if (/^(BLINDFIT_(?!REDIS_SERVER)|NODE_TEST|REDIS_URL$)/.test(name)) env[name] = undefined;
  const child = spawn(
    process.execPath,
    [BOOTSTRAP, 'cli/src/main.ts', 'demo', '--json', '--report', join(directory, 'report.html')],
    {
      env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (data: Buffer) => void (output.stdout += data.toString('utf8')));
  child.stderr.on('data', (data: Buffer) => void (output.stderr += data.toString('utf8')));
  const ended = once(child, 'close').then(([code, signal]) => ({
    code: code as number | null,
    signal: signal as NodeJS.Signals | null,
  }));
  t.after(() => {
    if (child.exitCode === null && child.signalCode === null) process.kill(-(child.pid ?? 0), 'SIGKILL');
  });
  return { child, output, ended };
}

/** Ids of all processes whose command line or environment names a directory. */
async function processesOf(directory: string): Promise<number[]> {
  const found: number[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    const about = await Promise.all(
      ['cmdline', 'environ'].map((file) => readFile(`/proc/${name}/${file}`, 'utf8').catch(() => '')),
    );
    if (about.some((each) => each.includes(directory))) found.push(Number(name));
  }
  return found;
}

async function assertNothingLeft(directory: string, files: readonly string[]): Promise<void> {
  assert.deepEqual(await processesOf(directory), []);
  assert.deepEqual(await readdir(join(directory, 'tmp')), []);
  assert.deepEqual((await readdir(directory)).sort(), [...files, 'tmp'].sort());
}

it('trains on ciphertexts and reports what the clear twin confirms', { timeout: 300_000 }, async (t) => {
  await using directory = await temporaryDirectory();
  const { output, ended } = await startDemo(t, directory.path);
  assert.deepEqual(await ended, { code: 0, signal: null }, output.stderr);
  const report = JSON.parse(output.stdout) as {
    readonly accuracy: Readonly<Record<'encrypted' | 'clear', { readonly train: number; readonly validation: number }>>;
    readonly maxWeightError: number;
    readonly operations: { readonly rotations: number; readonly relinearisations: number };
    readonly parameters: { readonly ring: number; readonly log2QP: number };
    readonly shape: { readonly samples: number; readonly classes: number };
    readonly seconds: Readonly<Record<string, unknown>>;
    readonly security: number;
  };
  t.diagnostic(
    JSON.stringify({
      accuracy: report.accuracy.encrypted,
      maxWeightError: report.maxWeightError,
      operations: report.operations,
      seconds: report.seconds,
    }),
  );
  assert.deepEqual(report.accuracy.encrypted, report.accuracy.clear);
  assert.ok(
    report.accuracy.encrypted.train > 0.9 && report.accuracy.encrypted.validation > 0.6,
    'it tells digits apart',
  );
  assert.ok(report.maxWeightError > 0 && report.maxWeightError < 1e-5, String(report.maxWeightError));
  assert.ok(report.operations.rotations > 0 && report.operations.rotations <= 600);
  assert.ok(report.operations.relinearisations > 0 && report.operations.relinearisations <= 100);
  assert.deepEqual([report.shape.samples, report.shape.classes, report.security], [128, 10, 128]);
  assert.ok(report.parameters.log2QP <= 430 && report.parameters.ring === 16384);
  await assertNothingLeft(directory.path, ['report.html']);
});

it('Ctrl-C while keys are made ends all of it', { timeout: 180_000 }, async (t) => {
  await using directory = await temporaryDirectory();
  const { child, output, ended } = await startDemo(t, directory.path);
  const deadline = Date.now() + 150_000;
  while (!/making keys/.test(output.stderr)) {
    assert.ok(child.exitCode === null && Date.now() < deadline, output.stderr);
    await sleep(20);
  }
  // A terminal sends it to the whole group.
  process.kill(-(child.pid ?? 0), 'SIGINT');
  assert.deepEqual(await ended, { code: 130, signal: null }, output.stderr);
  assert.equal(output.stdout, '');
  assert.doesNotMatch(output.stderr, /error|ECONN|\n {4}at /);
  await assertNothingLeft(directory.path, []);
});
