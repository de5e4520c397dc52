#!/usr/bin/env node
// Runs Blindfit from a clone: `node scripts/run.mjs cli|bench|check|test ARGS...`.
//
// Plain JavaScript without dependencies, because it has to work on Node 20 before anything is installed. It installs
// the dependencies when they are missing or out of date, finds a Node new enough for the program itself (npm brings
// one along as an optional dependency), and hands over to it: same terminal, same signals, same exit status.
// It never writes to stdout on the way to `cli` and `bench`: what the program prints there is all there is.

import { spawn, spawnSync } from 'node:child_process';
import {
  accessSync,
  constants,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism, constants as osConstants, homedir, tmpdir } from 'node:os';
import { delimiter, dirname, join, relative, sep } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const MODULES = join(ROOT, 'node_modules');
const BIN = join(MODULES, '.bin');
/**
 * Where npm puts the Node of our optional dependencies: linked into .bin, or in its package only (npm 10, which comes
 * with Node 20, was seen to install the package without the link).
 */
const NODE_BINS = [BIN, join(MODULES, `node-linux-${process.arch}`, 'bin')];
const SETUP_LOCK = join(ROOT, '.blindfit', 'setup.lock');
const COMPILE_CACHE = join(ROOT, '.blindfit', 'compile-cache');
/** node-seal needs WebAssembly exnref, which Node enables by default from this version on. */
const MIN_NODE = [24, 15];

const USAGE = `Usage: node scripts/run.mjs COMMAND [ARGS...]
  cli ARGS...        the blindfit program
  bench ARGS...      the benchmarks
  docs               writes the generated parts of the documentation
  mutants ARGS...    puts listed faults into the sources and runs their tests
  check              type check and lint
  test [PATTERNS]    check, then all tests, or those whose path contains one of PATTERNS
`;

/** A failure the user can act on: printed without a stack trace. */
class SetupError extends Error {}

/** Thrown to end this process the way its child ended: by this signal. */
class Interrupted extends Error {
  constructor(signal) {
    super(`ended by ${signal}`);
    this.signal = signal;
  }
}

function say(line) {
  process.stderr.write(`blindfit: ${line}\n`);
}

// ---------------------------------------------------------------------------------------------- dependencies

function readJson(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw new SetupError(`Cannot read ${path}: ${error.message}`);
  }
}

/**
 * Why node_modules does not match package-lock.json, or undefined when it does. npm records what it installed in
 * node_modules/.package-lock.json, so an install made by hand (`npm ci`, `npm install`) counts as well.
 */
function installProblem(needDev) {
  const wanted = readJson(join(ROOT, 'package-lock.json'));
  if (wanted === undefined)
    throw new SetupError(`package-lock.json is missing from ${ROOT}: the clone is incomplete. Restore it with git.`);
  const installed = readJson(join(MODULES, '.package-lock.json'))?.packages;
  for (const [path, entry] of Object.entries(wanted.packages)) {
    if (!path.includes('node_modules/')) continue; // the root and the workspaces themselves
    if (installed === undefined) return 'dependencies are not installed';
    const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
    const found = installed[path];
    if (found === undefined || !existsSync(join(ROOT, path))) {
      // Optional packages may be meant for other platforms; dev packages may be left out of a deployment.
      if (entry.optional || entry.devOptional || (entry.dev && !needDev)) continue;
      return `${name} is not installed`;
    }
    if (found.version !== entry.version)
      return `${name} is installed as ${found.version}, package-lock.json wants ${entry.version}`;
    if (entry.link && found.resolved !== entry.resolved)
      return `${name} is linked to ${found.resolved} instead of ${entry.resolved}`;
  }
  return undefined;
}

function canWrite(path) {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch (error) {
    return error.code === 'ENOENT' && dirname(path) !== path && canWrite(dirname(path));
  }
}

/** Whether npm can keep its cache there: tried out, because permissions do not tell all (read-only disks, no directory). */
function canHoldCache(path) {
  try {
    for (const directory of [path, join(path, '_cacache'), join(path, '_logs')]) {
      mkdirSync(directory, { recursive: true });
      rmSync(mkdtempSync(join(directory, 'probe-')), { recursive: true });
    }
    return true;
  } catch {
    return false;
  }
}

/** PATH without our own node_modules: `npm ci` deletes that folder, and npm must not run on a Node found there. */
function outerPath() {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .filter((entry) => !NODE_BINS.includes(entry))
    .join(delimiter);
}

async function install(problem, needDev) {
  if (!canWrite(MODULES) || !canWrite(ROOT)) {
    throw new SetupError(
      `${problem}, and this user may not write to ${ROOT}.\nRun 'npm ci' there as its owner, or make a clone of your own.`,
    );
  }
  const started = Date.now();
  say(`${problem}; running npm ci in ${ROOT}`);
  // npm's notion of the cache, or a throw-away one where it cannot write (HOME missing, read-only or another user's).
  const usualCache = process.env.npm_config_cache ?? join(process.env.HOME ?? homedir(), '.npm');
  const cache = canHoldCache(usualCache) ? undefined : mkdtempSync(join(tmpdir(), 'blindfit-npm-'));
  // An explicit log level, because `npm run -s` hands "silent" down to us and a failure has to be seen.
  const args = [
    'ci',
    '--no-audit',
    '--no-fund',
    '--no-update-notifier',
    '--loglevel=error',
    ...(needDev ? ['--include=dev'] : []),
    ...(cache ? ['--cache', cache] : []),
  ];
  const env = { ...process.env, PATH: outerPath(), ONNXRUNTIME_NODE_INSTALL: 'skip' };
  // A flag of the `npm run` that started us must not narrow the install to one workspace.
  for (const name of ['npm_config_workspace', 'npm_config_workspaces', 'npm_config_include_workspace_root'])
    delete env[name];
  let result;
  try {
    result = await runChild('npm', args, { cwd: ROOT, env, stdio: ['ignore', 2, 2] });
  } catch (error) {
    if (error.code === 'ENOENT')
      throw new SetupError(
        'npm was not found on PATH. Install Node 20 or newer together with npm, then run this again.',
      );
    throw error;
  } finally {
    if (cache) rmSync(cache, { recursive: true, force: true });
  }
  // npm answers Ctrl-C with exit status 1 like any failure.
  const signal = result.signal ?? (result.code === 0 ? undefined : result.received);
  if (signal) throw new Interrupted(signal);
  if (result.code !== 0) {
    throw new SetupError(
      `npm ci failed with exit status ${result.code}; its messages are above.\n` +
        'Usual causes: the npm registry cannot be reached (check network, proxy and `npm config get registry`), a full disk,\n' +
        `or files in ${MODULES} that belong to another user. Fix that and run the same command again.`,
    );
  }
  const left = installProblem(needDev);
  if (left !== undefined)
    throw new SetupError(`npm ci finished, yet ${left}.\nDelete ${MODULES} and run the same command again.`);
  say(`dependencies installed in ${seconds(started)}`);
}

async function ensureInstalled(needDev) {
  if (installProblem(needDev) === undefined) return;
  if (!canWrite(ROOT)) await install(installProblem(needDev), needDev); // throws the explanation
  const release = await takeSetupLock();
  try {
    const problem = installProblem(needDev); // another call may have done the work while we waited
    if (problem !== undefined) await install(problem, needDev);
  } finally {
    release();
  }
}

/** When a process was started, in clock ticks since boot: tells a process from a later one with the same id. */
function startTime(pid) {
  try {
    return statFields(pid)[19];
  } catch {
    return undefined; // no /proc, or no such process
  }
}

/** Fields of /proc/PID/stat from the third on (the second, the command, may hold spaces and parentheses). */
function statFields(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

function holderIsAlive({ pid, started }) {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (error.code === 'ESRCH') return false;
  }
  return started === undefined || started === startTime(pid);
}

/** One `npm ci` at a time. The lock names its holder, so that one left behind by a killed process does not count. */
async function takeSetupLock() {
  mkdirSync(dirname(SETUP_LOCK), { recursive: true });
  const mine = JSON.stringify({ pid: process.pid, started: startTime(process.pid) });
  const draft = `${SETUP_LOCK}.${process.pid}`;
  let announced = false;
  for (;;) {
    // Written aside and linked into place: nobody ever sees a lock without its content.
    writeFileSync(draft, mine);
    try {
      linkSync(draft, SETUP_LOCK);
      return () => rmSync(SETUP_LOCK, { force: true });
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    } finally {
      rmSync(draft, { force: true });
    }
    const seen = readLock(SETUP_LOCK);
    if (seen === undefined) continue;
    const holder = parseHolder(seen);
    if (holder === undefined || !holderIsAlive(holder)) {
      breakLock(seen);
      continue;
    }
    if (!announced) say(`waiting for the set-up that process ${holder.pid} is running`);
    announced = true;
    await sleep(200);
  }
}

function parseHolder(text) {
  try {
    const holder = JSON.parse(text);
    return Number.isInteger(holder?.pid) ? holder : undefined;
  } catch {
    return undefined;
  }
}

function readLock(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Removes a dead holder's lock, but not the fresh one of somebody who was quicker to remove it. */
function breakLock(seen) {
  const aside = `${SETUP_LOCK}.${process.pid}.stale`;
  try {
    renameSync(SETUP_LOCK, aside);
  } catch (error) {
    if (error.code === 'ENOENT') return;
    throw error;
  }
  if (readLock(aside) !== seen) {
    try {
      linkSync(aside, SETUP_LOCK);
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
  }
  rmSync(aside, { force: true });
}

// ---------------------------------------------------------------------------------------------- a Node that will do

function isNewEnough(version) {
  const [major = 0, minor = 0] = version.replace(/^v/, '').split('.').map(Number);
  return major > MIN_NODE[0] || (major === MIN_NODE[0] && minor >= MIN_NODE[1]);
}

function findNode() {
  if (isNewEnough(process.version)) return process.execPath;
  const bundled = NODE_BINS.map((directory) => join(directory, 'node')).find((path) => existsSync(path));
  let found = `and npm has brought no other into ${MODULES}`;
  if (bundled !== undefined) {
    const probe = spawnSync(bundled, ['--version'], { encoding: 'utf8' });
    const version = probe.status === 0 ? probe.stdout.trim() : undefined;
    if (version !== undefined && isNewEnough(version)) return bundled;
    found =
      version !== undefined
        ? `and ${bundled} is ${version}`
        : `and ${bundled} does not start (${probe.error?.message ?? (probe.stderr.trim() || `exit status ${probe.status}`)})`;
  }
  throw new SetupError(
    `Blindfit needs Node ${MIN_NODE.join('.')} or newer. This is Node ${process.version}, ${found}.\n` +
      'Either install Node 24 (https://nodejs.org/en/download) and run this with it,\n' +
      `or, on Linux x64 and arm64 with glibc, let npm bring it along: run 'npm ci --include=optional' in ${ROOT}.`,
  );
}

function childEnv() {
  const env = {
    ...process.env,
    PATH: [...NODE_BINS, outerPath()].filter(Boolean).join(delimiter),
    ONNXRUNTIME_NODE_INSTALL: 'skip',
  };
  // Node strips types and compiles once instead of at every start, which halves the time a process takes to be there.
  if (env.NODE_COMPILE_CACHE === undefined && canWrite(COMPILE_CACHE)) env.NODE_COMPILE_CACHE = COMPILE_CACHE;
  return env;
}

// ---------------------------------------------------------------------------------------------- child processes

/**
 * True when this process group is in the foreground of a terminal. Ctrl-C (and closing the terminal) then reaches the
 * child without our help; forwarding it would make one key press look like two.
 */
function hasTerminal() {
  try {
    const [, , group, , terminal, foreground] = statFields(process.pid);
    return terminal !== '0' && group === foreground;
  } catch {
    return process.stdin.isTTY === true;
  }
}

/**
 * Runs a program with our terminal and passes signals on until it has ended by itself, however long its clean-up takes.
 * Resolves with how it ended and the last signal we received meanwhile; rejects when it cannot be started.
 */
function runChild(command, args, options) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, options);
    const lastSent = new Map();
    let received;
    const forward = (signal) => {
      received = signal;
      if (signal !== 'SIGTERM' && hasTerminal()) return;
      // npm passes on what its whole group received already: one request must not arrive twice.
      const now = Date.now();
      if (now - (lastSent.get(signal) ?? -Infinity) < 1000) return;
      lastSent.set(signal, now);
      child.kill(signal);
    };
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
    for (const signal of signals) process.on(signal, forward);
    const done = (settle, value) => {
      for (const signal of signals) process.off(signal, forward);
      settle(value);
    };
    child.on('error', (error) => {
      if (child.pid === undefined) done(reject, error);
    });
    child.on('exit', (code, signal) => done(resolve, { code, signal, received }));
  });
}

async function runProgram(entry, args) {
  const node = findNode();
  const result = await runChild(node, [join(ROOT, entry), ...args], { env: childEnv(), stdio: 'inherit' });
  if (result.signal) throw new Interrupted(result.signal);
  return result.code;
}

// ---------------------------------------------------------------------------------------------- check and test

function seconds(since) {
  return `${((Date.now() - since) / 1000).toFixed(1)} s`;
}

function testFiles(patterns) {
  const files = [];
  const walk = (directory) => {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      if (entry.name === 'node_modules' || entry.name.startsWith('.')) continue;
      const path = join(directory, entry.name);
      if (entry.isDirectory()) walk(path);
      else if (entry.isFile() && entry.name.endsWith('.test.ts')) files.push(relative(ROOT, path).split(sep).join('/'));
    }
  };
  walk(ROOT);
  files.sort();
  if (patterns.length === 0) return files;
  const wanted = patterns.map((pattern) => pattern.replace(/^\.\//, ''));
  const selected = files.filter((file) => wanted.some((pattern) => file.includes(pattern)));
  if (selected.length === 0) {
    throw new SetupError(
      `No test file has ${patterns.map((pattern) => `'${pattern}'`).join(' or ')} in its path. There are:\n  ${files.join('\n  ')}`,
    );
  }
  return selected;
}

/**
 * Runs all steps, also after one failed, so that one run tells everything that is wrong. Those of a list run side by side: they use one core
 * each, and speak at their end.
 */
async function runSteps(stages) {
  const node = findNode();
  const lines = [];
  let failed = false;
  const runStep = async ({ title, args }) => {
    const started = Date.now();
    const result = await runChild(node, args, { cwd: ROOT, env: childEnv(), stdio: 'inherit' });
    if (result.signal === 'SIGINT' || result.signal === 'SIGTERM' || result.signal === 'SIGHUP')
      throw new Interrupted(result.signal);
    const ok = result.code === 0;
    failed ||= !ok;
    const line = `${ok ? 'ok  ' : 'FAIL'} ${title}: ${seconds(started)}${ok ? '' : `, ${result.signal ?? `exit status ${result.code}`}`}`;
    lines.push(line);
    process.stdout.write(`--- ${line}\n`);
  };
  for (const stage of stages) {
    const steps = [stage].flat();
    process.stdout.write(`\n=== ${steps.map(({ title }) => title).join(', ')}\n`);
    await Promise.all(steps.map(runStep));
  }
  process.stdout.write(`\n=== Summary\n${lines.join('\n')}\n`);
  return failed ? 1 : 0;
}

const CHECKS = [
  { title: 'Type check (tsc)', args: [join(MODULES, 'typescript', 'bin', 'tsc'), '-p', ROOT] },
  { title: 'Lint (eslint)', args: [join(MODULES, 'eslint', 'bin', 'eslint.js'), '.'] },
];

function testStep(args) {
  const flags = args.filter((arg) => arg.startsWith('-'));
  const files = testFiles(args.filter((arg) => !arg.startsWith('-')));
  if (files.length === 0) throw new SetupError(`There is no *.test.ts file under ${ROOT}: the clone is incomplete.`);
  return {
    title: `Tests (node --test, ${files.length} files)`,
    // One more than there are cores: several tests do little but wait for minutes.
    args: ['--test', '--test-reporter=spec', `--test-concurrency=${availableParallelism() + 1}`, ...flags, ...files],
  };
}

/** Ahead of the tests, of which several would do it at the same time. Without a compiler they run on node-seal. */
async function compileEvaluator() {
  const { buildNative } = await import('../libs/he/native/build.mjs');
  const built = await buildNative();
  if (built.reason !== undefined) say(`no native evaluator: ${built.reason}`);
}

// ---------------------------------------------------------------------------------------------- main

async function main([command, ...args]) {
  switch (command) {
    case 'cli':
      await ensureInstalled(false);
      return runProgram('cli/src/main.ts', args);
    case 'bench':
      await ensureInstalled(false);
      return runProgram('bench/src/main.ts', args);
    case 'docs':
      await ensureInstalled(true);
      return runProgram('test/docs/generate.ts', args);
    case 'mutants':
      await ensureInstalled(true);
      return runProgram('scripts/mutants/main.ts', args);
    case 'check':
      await ensureInstalled(true);
      return runSteps([CHECKS]);
    case 'test': {
      const step = testStep(args); // first, so that a mistyped pattern does not cost a type check
      await ensureInstalled(true);
      await compileEvaluator();
      return runSteps([CHECKS, step]);
    }
    default:
      process.stderr.write(command === undefined ? USAGE : `Unknown command '${command}'.\n${USAGE}`);
      return 2;
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (error instanceof Interrupted) {
    // End by the same signal, so that shells and supervisors see what happened.
    process.exitCode = 128 + (osConstants.signals[error.signal] ?? 0);
    process.kill(process.pid, error.signal);
  } else if (error instanceof SetupError) {
    say(error.message);
    process.exitCode = 1;
  } else if (typeof error?.syscall === 'string') {
    say(
      `set-up failed: ${error.message}\nCheck the permissions and the free space of that path, then run the same command again.`,
    );
    process.exitCode = 1;
  } else {
    throw error;
  }
}
