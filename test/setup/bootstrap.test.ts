import assert from 'node:assert/strict';
import { execFile, spawn, type SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { access, cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const SCRIPT = fileURLToPath(new URL('../../scripts/bootstrap.mjs', import.meta.url));

/** The program at `cli/src/main.ts` in a clone made for a test. */
const MAIN = `
import { writeSync } from 'node:fs';
const args: string[] = process.argv.slice(2);
if (args[0] === 'signals') {
  // Counts signals until half a second has passed without one: time for a duplicate to arrive.
  const seen: string[] = [];
  let timer: NodeJS.Timeout | undefined;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      seen.push(signal);
      clearTimeout(timer);
      timer = setTimeout(() => { writeSync(1, 'cleaned up after ' + seen.join(' ') + '\\n'); process.exit(7); }, 500);
    });
  }
  setInterval(() => {}, 1000);
  writeSync(1, 'ready\\n');
} else if (args[0] === 'wait') {
  setInterval(() => {}, 1000);
  writeSync(1, 'ready\\n');
} else {
  writeSync(1, JSON.stringify({ args, cwd: process.cwd(), node: process.version, path: process.env['PATH'] }));
}
`;

interface Answer {
  args: string[];
  cwd: string;
  node: string;
  path: string;
}

/** A small clone of the repository's shape: its only dependency is a workspace, so that npm needs no network. */
async function makeClone(t: TestContext): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'blindfit-test-'));
  t.after(() => rm(root, { recursive: true, force: true }));
  const json = (path: string, value: object) => writeFile(join(root, path), JSON.stringify(value));
  for (const directory of ['scripts', 'cli/src', 'libs/part']) await mkdir(join(root, directory), { recursive: true });
  await cp(SCRIPT, join(root, 'scripts/bootstrap.mjs'));
  await writeFile(join(root, 'cli/src/main.ts'), MAIN);
  const scripts = {
    blindfit: 'exec node scripts/bootstrap.mjs cli/src/main.ts',
    postinstall: 'echo "$ONNXRUNTIME_NODE_INSTALL" > installed.txt; echo "$npm_config_cache" > cache.txt',
  };
  await json('package.json', {
    name: 'clone',
    version: '1.0.0',
    private: true,
    type: 'module',
    workspaces: ['libs/*'],
    scripts,
  });
  await json('libs/part/package.json', { name: 'part', version: '1.0.0' });
  await json('package-lock.json', {
    name: 'clone',
    version: '1.0.0',
    lockfileVersion: 3,
    requires: true,
    packages: {
      '': { name: 'clone', version: '1.0.0', workspaces: ['libs/*'] },
      'libs/part': { name: 'part', version: '1.0.0' },
      'node_modules/part': { resolved: 'libs/part', link: true },
    },
  });
  return root;
}

/** The registry is a port on which nothing listens. */
const ENV = { ...process.env, npm_config_registry: 'http://127.0.0.1:9/', npm_config_fetch_retries: '0' };

interface Ending {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

function start(root: string, args: string[], options: SpawnOptions & { node?: string } = {}) {
  const child = spawn(options.node ?? process.execPath, [join(root, 'scripts/bootstrap.mjs'), ...args], {
    env: ENV,
    stdio: 'pipe',
    ...options,
  });
  const output = { stdout: '', stderr: '' };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  const done: Promise<Ending> = closed.then(([code, signal]) => ({ code, signal, ...output }));
  const ready = async () => {
    while (!output.stdout.includes('ready'))
      await Promise.race([once(child.stdout ?? child, 'data'), done.then(() => assert.fail(output.stderr))]);
  };
  return { child, done, ready };
}

async function install(root: string): Promise<void> {
  assert.equal((await start(root, ['cli/src/main.ts']).done).code, 0);
}

/** What the optional dependencies do in the real repository. */
async function bringNode(root: string, directory = '.bin'): Promise<void> {
  await mkdir(join(root, 'node_modules', directory), { recursive: true });
  await symlink(process.execPath, join(root, 'node_modules', directory, 'node'));
}

test('installs what is missing, once, and says so on stderr only', async (t) => {
  const root = await makeClone(t);
  const first = await Promise.all([1, 2, 3].map((n) => start(root, ['cli/src/main.ts', String(n)]).done));
  for (const [i, { code, stdout }] of first.entries()) {
    assert.equal(code, 0);
    assert.deepEqual((JSON.parse(stdout) as Answer).args, [String(i + 1)], 'nothing but the program writes to stdout');
  }
  const said = first.map(({ stderr }) => stderr).join('');
  assert.equal(said.match(/dependencies are not installed; running npm ci in /g)?.length, 1, said);
  assert.equal(said.match(/dependencies installed in [\d.]+ s/g)?.length, 1, said);
  assert.doesNotMatch(said, /Warning/);

  const { stderr, stdout } = await start(root, ['cli/src/main.ts']).done;
  assert.equal(stderr, '');
  const answer = JSON.parse(stdout) as Answer;
  assert.equal(await readFile(join(root, 'installed.txt'), 'utf8'), 'skip\n', 'onnxruntime-node downloads nothing');
  assert.equal(answer.path.split(delimiter)[0], join(root, 'node_modules/.bin'));
});

test('installs again when package-lock.json has changed', async (t) => {
  const root = await makeClone(t);
  await install(root);
  await mkdir(join(root, 'libs/new'));
  await writeFile(join(root, 'libs/new/package.json'), JSON.stringify({ name: 'new', version: '1.0.0' }));
  await run('npm', ['install', '--package-lock-only', '--no-audit'], { cwd: root, env: ENV });
  const { code, stderr } = await start(root, ['cli/src/main.ts']).done;
  assert.equal(code, 0);
  assert.match(stderr, /^blindfit: new is not installed; running npm ci in /);
  await access(join(root, 'node_modules/new/package.json'));
});

test('works where npm cannot write its usual cache', async (t) => {
  const root = await makeClone(t);
  const env: NodeJS.ProcessEnv = { ...ENV, HOME: '/dev/null' };
  delete env['npm_config_cache'];
  const { code, stderr } = await start(root, ['cli/src/main.ts'], { env }).done;
  assert.equal(code, 0, stderr);
  assert.match(await readFile(join(root, 'cache.txt'), 'utf8'), /blindfit-npm-/, 'a cache that is thrown away');
});

test('shows a failed installation in full, even under npm run --silent', async (t) => {
  const root = await makeClone(t);
  const lock = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, object>;
  };
  lock.packages['node_modules/absent'] = {
    version: '1.0.0',
    resolved: 'http://127.0.0.1:9/absent-1.0.0.tgz',
    integrity: 'sha512-AAAA',
  };
  lock.packages[''] = { ...lock.packages[''], dependencies: { absent: '1.0.0' } };
  await writeFile(join(root, 'package-lock.json'), JSON.stringify(lock));
  const manifest = {
    name: 'clone',
    version: '1.0.0',
    type: 'module',
    workspaces: ['libs/*'],
    dependencies: { absent: '1.0.0' },
  };
  await writeFile(
    join(root, 'package.json'),
    JSON.stringify({ ...manifest, scripts: { blindfit: 'exec node scripts/bootstrap.mjs cli/src/main.ts' } }),
  );
  await assert.rejects(
    run('npm', ['run', '-s', 'blindfit'], { cwd: root, env: ENV }),
    ({ code, stdout, stderr }: Record<string, unknown>) => {
      assert.equal(code, 1);
      assert.equal(stdout, '');
      assert.match(String(stderr), /ECONNREFUSED/);
      assert.match(String(stderr), /npm ci failed with exit status 1.*npm registry cannot be reached/s);
      return true;
    },
  );
});

test('hands arguments over exactly', async (t) => {
  const root = await makeClone(t);
  await install(root);
  const args = ['train', '--x', 'a b', '', '$HOME', '*', `"it's"`, '--', 'back\\slash', 'two\nlines', '-h'];
  await bringNode(root); // for the case that npm's own Node is an old one
  const { stdout, stderr } = await run('npm', ['run', '-s', 'blindfit', '--', ...args], { cwd: root, env: ENV });
  assert.equal(stderr, '');
  assert.deepEqual((JSON.parse(stdout) as Answer).args, args);
});

test('explains itself', async (t) => {
  const root = await makeClone(t);
  const { code, stdout, stderr } = await start(root, []).done;
  assert.deepEqual([code, stdout], [1, '']);
  assert.equal(stderr, 'blindfit: usage: node scripts/bootstrap.mjs [--dev] FILE [ARGS...]\n');
});

test('a killed set-up does not stop the next one', async (t) => {
  const root = await makeClone(t);
  const part = {
    name: 'part',
    version: '1.0.0',
    scripts: { postinstall: 'test -e second || { touch second; sleep 60; }' },
  };
  await writeFile(join(root, 'libs/part/package.json'), JSON.stringify(part));
  const first = start(root, ['cli/src/main.ts'], { detached: true });
  t.after(() => first.child.kill('SIGKILL'));
  while (!existsSync(join(root, 'libs/part/second'))) await sleep(20);
  const second = start(root, ['cli/src/main.ts']);
  await once(second.child.stderr ?? second.child, 'data');
  process.kill(-(first.child.pid ?? 0), 'SIGKILL');
  const { code, stderr } = await second.done;
  assert.equal(code, 0, stderr);
  assert.match(stderr, /^blindfit: waiting for another process that installs the dependencies\n/);
});

test('a program for users works in the directory where npm was started, a tool in the root', async (t) => {
  const root = await makeClone(t);
  await bringNode(root); // for the case that npm's own Node is an old one
  const there = join(root, 'libs/part');
  const npm = ['--prefix', root, 'run', '-s', 'blindfit'];
  // npm 10 and 11 set INIT_CWD themselves.
  const { stdout } = await run('npm', npm, { cwd: there, env: ENV });
  assert.equal((JSON.parse(stdout) as Answer).cwd, there);
  const elsewhere = await start(root, ['cli/src/main.ts'], { cwd: there }).done;
  assert.equal((JSON.parse(elsewhere.stdout) as Answer).cwd, there);
  const tool = await start(root, ['--dev', 'cli/src/main.ts'], { cwd: there }).done;
  assert.equal((JSON.parse(tool.stdout) as Answer).cwd, root);
});

test('SIGTERM to npm ends the program', async (t) => {
  const root = await makeClone(t);
  await install(root);
  await bringNode(root);
  const npm = spawn('npm', ['run', '-s', 'blindfit', '--', 'signals'], { cwd: root, env: ENV, detached: true });
  let output = '';
  npm.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (!output.includes('ready') && (output + text).includes('ready')) npm.kill('SIGTERM');
    output += text;
  });
  const [code, signal] = (await once(npm, 'close')) as [number | null, string | null];
  assert.equal(output, 'ready\ncleaned up after SIGTERM\n');
  assert.deepEqual([code, signal], [7, null]);
});

test('passes a signal on once, and waits for the clean-up', async (t) => {
  const root = await makeClone(t);
  await install(root);
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    // In a session of its own there is no terminal that would deliver the signal to both.
    const { child, done, ready } = start(root, ['cli/src/main.ts', 'signals'], { detached: true });
    await ready();
    child.kill(signal);
    child.kill(signal); // npm sends what it got as a member of the group once more
    assert.deepEqual(await done, { code: 7, signal: null, stdout: `ready\ncleaned up after ${signal}\n`, stderr: '' });
  }
});

test('ends by the signal that ended the program', async (t) => {
  const root = await makeClone(t);
  await install(root);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const { child, done, ready } = start(root, ['cli/src/main.ts', 'wait'], { detached: true });
    await ready();
    child.kill(signal);
    assert.deepEqual(await done, { code: null, signal, stdout: 'ready\n', stderr: '' });
  }
});

test('Ctrl-C in a terminal reaches the program once', async (t) => {
  const root = await makeClone(t);
  await install(root);
  // util-linux's `script` provides the terminal; a byte 3 written to it is the key press.
  // `exec`, because a shell that waits would get the key press as well and answer with its own status.
  const command = `exec '${process.execPath}' '${root}/scripts/bootstrap.mjs' cli/src/main.ts signals`;
  const terminal = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], { env: ENV });
  let output = '';
  terminal.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (!output.includes('ready') && (output + text).includes('ready')) terminal.stdin.write('\x03');
    output += text;
  });
  const [code] = (await Promise.race([
    once(terminal, 'close'),
    once(terminal, 'error').then(([error]) => ['missing', error] as const),
  ])) as [number | 'missing'];
  if (code === 'missing') {
    t.skip("the program 'script' (util-linux) is not installed");
    return;
  }
  assert.match(output, /cleaned up after SIGINT\r?\n/);
  assert.equal(code, 7);
});

test('an older Node hands over to the one npm brought along', async (t) => {
  const older = await findOlderNode();
  if (older === undefined) {
    t.skip('there is no Node older than 24.15 on PATH to try this with');
    return;
  }
  const root = await makeClone(t);
  await install(root);
  const alone = await start(root, ['cli/src/main.ts'], { node: older }).done;
  assert.equal(alone.code, 1);
  assert.match(
    alone.stderr,
    /needs Node 24\.15 or newer\. This is Node v\d+\.\d+\.\d+, and npm has installed no other in .*\n.*Install Node 24.*npm ci/s,
  );

  // npm 11 links it into .bin, npm 10 leaves it in its package.
  for (const directory of [`node-linux-${process.arch}/bin`, '.bin']) {
    await bringNode(root, directory);
    const helped: Ending = await start(root, ['cli/src/main.ts', 'a b'], { node: older }).done;
    assert.equal(helped.code, 0, helped.stderr);
    assert.equal(helped.stderr, '');
    const answer = JSON.parse(helped.stdout) as Answer;
    assert.deepEqual([answer.node, answer.args], [process.version, ['a b']]);
  }
});

async function findOlderNode(): Promise<string | undefined> {
  for (const directory of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(directory, 'node');
    const version = await run(path, ['--version']).then(
      ({ stdout }) => stdout.slice(1).split('.').map(Number),
      () => [],
    );
    const [major = Infinity, minor = 0] = version;
    if (major < 24 || (major === 24 && minor < 15)) return path;
  }
  return undefined;
}
