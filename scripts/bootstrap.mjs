// Runs a program of this repository: `node scripts/bootstrap.mjs [--dev] FILE [ARGS...]`, FILE from the root.
//
// Plain JavaScript without dependencies, because it runs on Node 20 before anything is installed. It installs the
// dependencies when they are missing or out of date (`--dev`: also those for development), finds a Node new enough for
// the program (npm installs one as an optional dependency), and hands over to it: same terminal, signals and exit
// status. It never writes to stdout.

import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { accessSync, constants, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { constants as osConstants, homedir, tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const MODULES = join(ROOT, 'node_modules');
/** npm 11 links the installed Node into .bin, npm 10 leaves it in its package. */
const NODE_BINS = [join(MODULES, '.bin'), join(MODULES, `node-linux-${process.arch}`, 'bin')];
const COMPILE_CACHE = join(ROOT, '.blindfit', 'compile-cache');
/** node-seal needs WebAssembly exnref, which Node enables by default from this version on. */
const MIN_NODE = [24, 15];
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** A failure that the user can act on. It is printed without a stack trace. */
class SetupError extends Error {}

function say(line) {
  process.stderr.write(`blindfit: ${line}\n`);
}

// ---------------------------------------------------------------------------------------------- dependencies

function readJson(path) {
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined;
}

/** Why node_modules, as npm recorded it, does not match package-lock.json; undefined when it does. */
function installProblem(dev) {
  const wanted = readJson(join(ROOT, 'package-lock.json'));
  if (!wanted) throw new SetupError(`package-lock.json is missing from ${ROOT}. Restore it with git.`);
  const installed = readJson(join(MODULES, '.package-lock.json'))?.packages;
  if (!installed) return 'dependencies are not installed';
  for (const [path, entry] of Object.entries(wanted.packages)) {
    if (!path.includes('node_modules/')) continue; // the root and the workspaces themselves
    const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
    const found = existsSync(join(ROOT, path)) ? installed[path] : undefined;
    if (found === undefined) {
      // Optional packages may be for other platforms.
      if (entry.optional || entry.devOptional || (entry.dev && !dev)) continue;
      return `${name} is not installed`;
    }
    if (found.version !== entry.version || found.resolved !== entry.resolved)
      return `${name} is installed as ${found.version ?? found.resolved}, not ${entry.version ?? entry.resolved}`;
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

/** Whether npm can keep its cache in a directory. Only an attempt tells: a disk may be read-only, HOME no directory. */
function canHoldCache(path) {
  try {
    for (const directory of [join(path, '_cacache'), join(path, '_logs')]) {
      mkdirSync(directory, { recursive: true });
      rmSync(mkdtempSync(join(directory, 'probe-')), { recursive: true });
    }
    return true;
  } catch {
    return false;
  }
}

/** PATH without this node_modules: `npm ci` deletes it, and npm must not run on a Node found there. */
function outerPath() {
  const entries = (process.env.PATH ?? '').split(delimiter);
  return entries.filter((entry) => !NODE_BINS.includes(entry)).join(delimiter);
}

/**
 * Waits until no other process sets this clone up, and keeps others waiting until the returned function is called. The
 * lock is a socket name of the kernel, so it ends with its process. Systems other than Linux have no such names.
 */
async function lockSetup() {
  const name = `\0blindfit-setup-${createHash('sha256').update(ROOT).digest('hex').slice(0, 32)}`;
  for (let waited = false; process.platform === 'linux'; waited = true) {
    const server = createServer().listen(name);
    try {
      await once(server, 'listening');
      return () => server.close();
    } catch (error) {
      if (error.code !== 'EADDRINUSE') throw error;
    }
    if (!waited) say('waiting for another process that installs the dependencies');
    await sleep(200);
  }
  return () => undefined;
}

async function install(problem, dev) {
  say(`${problem}; running npm ci in ${ROOT}`);
  const started = Date.now();
  const usualCache = process.env.npm_config_cache ?? join(process.env.HOME ?? homedir(), '.npm');
  const cache = canHoldCache(usualCache) ? undefined : mkdtempSync(join(tmpdir(), 'blindfit-npm-'));
  // The log level is explicit because `npm run -s` hands "silent" down, and a failure has to be seen.
  const args = ['ci', '--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error'];
  if (dev) args.push('--include=dev');
  if (cache) args.push('--cache', cache);
  // Without its variable, onnxruntime-node downloads libraries for GPUs.
  const env = { ...process.env, PATH: outerPath(), ONNXRUNTIME_NODE_INSTALL: 'skip' };
  // A flag of the `npm run` that started this must not narrow the install to one workspace.
  for (const name of ['workspace', 'workspaces', 'include_workspace_root']) delete env[`npm_config_${name}`];
  let ending;
  try {
    ending = await runChild('npm', args, { cwd: ROOT, env, stdio: ['ignore', 2, 2] });
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
    throw new SetupError('npm was not found on PATH. Install Node 20 or newer together with npm.');
  } finally {
    if (cache) rmSync(cache, { recursive: true, force: true });
  }
  // npm answers Ctrl-C with exit status 1 like any failure.
  if (ending.signal ?? ending.received) {
    endBy(ending.signal ?? ending.received);
    throw new SetupError('npm ci was interrupted');
  }
  if (ending.code !== 0) {
    throw new SetupError(
      `npm ci failed with exit status ${ending.code}; its messages are above.\n` +
        'Usual causes: the npm registry cannot be reached (check network, proxy and `npm config get registry`), ' +
        `a full disk,\nor files in ${MODULES} that belong to another user. Fix that and run the same command again.`,
    );
  }
  const left = installProblem(dev);
  if (left) throw new SetupError(`npm ci finished, yet ${left}.\nDelete ${MODULES} and run the same command again.`);
  say(`dependencies installed in ${((Date.now() - started) / 1000).toFixed(1)} s`);
}

async function ensureInstalled(dev) {
  const problem = installProblem(dev);
  if (!problem) return;
  if (!canWrite(MODULES) || !canWrite(ROOT))
    throw new SetupError(`${problem}, and this user may not write to ${ROOT}.\nRun 'npm ci' there as its owner.`);
  const release = await lockSetup();
  try {
    const left = installProblem(dev); // another process may have done the work meanwhile
    if (left) await install(left, dev);
  } finally {
    release();
  }
}

// ---------------------------------------------------------------------------------------------- the program

function isNewEnough(version) {
  const [major = 0, minor = 0] = version.replace(/^v/, '').split('.').map(Number);
  return major > MIN_NODE[0] || (major === MIN_NODE[0] && minor >= MIN_NODE[1]);
}

function findNode() {
  if (isNewEnough(process.version)) return process.execPath;
  const installed = NODE_BINS.map((directory) => join(directory, 'node')).find((path) => existsSync(path));
  const version = installed && spawnSync(installed, ['--version'], { encoding: 'utf8' }).stdout?.trim();
  if (version && isNewEnough(version)) return installed;
  const other = installed ? `${installed} is ${version || 'broken'}` : `npm has installed no other in ${MODULES}`;
  throw new SetupError(
    `Blindfit needs Node ${MIN_NODE.join('.')} or newer. This is Node ${process.version}, and ${other}.\n` +
      'Install Node 24 (https://nodejs.org/en/download),\n' +
      `or, on Linux x64 and arm64 with glibc, let npm install it: run 'npm ci --include=optional' in ${ROOT}.`,
  );
}

/** Whether Ctrl-C reaches the child without help, because this process group is in the foreground of a terminal. */
function hasTerminal() {
  try {
    const stat = readFileSync('/proc/self/stat', 'utf8');
    const [, , group, , terminal, foreground] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return terminal !== '0' && group === foreground;
  } catch {
    return process.stdin.isTTY === true;
  }
}

/**
 * Runs a program and passes signals on until it has ended by itself, however long its clean-up takes. Resolves with how it
 * ended and the last signal received meanwhile; rejects when it cannot be started.
 */
async function runChild(command, args, options) {
  const child = spawn(command, args, options);
  const lastSent = {};
  let received;
  const forward = (signal) => {
    received = signal;
    if (signal !== 'SIGTERM' && hasTerminal()) return;
    // npm passes on what its whole group has received already: one request must not arrive twice.
    if (Date.now() - (lastSent[signal] ?? 0) < 1000) return;
    lastSent[signal] = Date.now();
    child.kill(signal);
  };
  for (const signal of SIGNALS) process.on(signal, forward);
  try {
    const [code, signal] = await once(child, 'exit');
    return { code, signal, received };
  } finally {
    for (const signal of SIGNALS) process.off(signal, forward);
  }
}

/** Ends this process by a signal, so that shells and supervisors see what happened. */
function endBy(signal) {
  process.exitCode = 128 + (osConstants.signals[signal] ?? 0);
  process.kill(process.pid, signal);
}

async function main(args) {
  const dev = args[0] === '--dev';
  const [file, ...rest] = dev ? args.slice(1) : args;
  if (file === undefined) throw new SetupError('usage: node scripts/bootstrap.mjs [--dev] FILE [ARGS...]');
  await ensureInstalled(dev);
  const env = { ...process.env, PATH: [...NODE_BINS, outerPath()].join(delimiter) };
  // Node strips types and compiles once instead of at every start, which halves the time to start.
  if (env.NODE_COMPILE_CACHE === undefined && canWrite(COMPILE_CACHE)) env.NODE_COMPILE_CACHE = COMPILE_CACHE;
  // npm changes to the root; programs for users work where the user is.
  const cwd = dev ? ROOT : process.cwd() === ROOT ? (process.env.INIT_CWD ?? ROOT) : process.cwd();
  const ending = await runChild(findNode(), [join(ROOT, file), ...rest], { cwd, env, stdio: 'inherit' });
  if (ending.signal) endBy(ending.signal);
  else process.exitCode = ending.code;
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof SetupError) && typeof error?.syscall !== 'string') throw error;
  say(error.message);
  process.exitCode = 1;
}
