/** Where the addon comes from: a shipped binary, a cached one, a compiler; and what is said when there is none. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { at } from '@blindfit/base';
import { evaluatorName, resolveEvaluator } from '@blindfit/he/native';

const directory = mkdtempSync(join(tmpdir(), 'blindfit-build-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const NATIVE = fileURLToPath(new URL('../native', import.meta.url));
const PLATFORM = `${process.platform}-${process.arch}`;

/** A copy of the package as npm installs it, with an empty cache and a compiler that only writes down its calls. */
class Installed {
  readonly native: string;
  readonly cache: string;
  readonly compiler: string;
  readonly #calls: string;

  constructor(name: string, { folder = 'node_modules' } = {}) {
    const home = join(directory, name);
    this.native = join(home, folder, '@blindfit/he/native');
    this.cache = join(home, 'cache');
    this.compiler = join(home, 'g++');
    this.#calls = join(home, 'calls');
    mkdirSync(join(this.native, 'src'), { recursive: true });
    cpSync(join(NATIVE, 'build.mjs'), join(this.native, 'build.mjs'));
    writeFileSync(join(this.native, 'src/addon.cpp'), 'int x;');
    mkdirSync(join(home, 'node_modules'), { recursive: true });
    const headers = dirname(createRequire(join(NATIVE, 'build.mjs')).resolve('node-api-headers/package.json'));
    symlinkSync(headers, join(home, 'node_modules/node-api-headers'));
    writeFileSync(this.#calls, '');
    writeFileSync(
      this.compiler,
      `#!/bin/sh\necho "$@" >> ${this.#calls}\n` +
        'while [ $# -gt 1 ]; do [ "$1" = -o ] && echo built > "$2"; shift; done\n',
    );
    chmodSync(this.compiler, 0o755);
  }

  get calls(): string[] {
    return readFileSync(this.#calls, 'utf8').trim().split('\n');
  }

  /** @returns what build.mjs prints, on stdout or stderr, and its exit status */
  run(
    args: readonly string[] = [],
    env: NodeJS.ProcessEnv = { CXX: this.compiler },
  ): Promise<{ text: string; status: number }> {
    return new Promise((resolve) => {
      const child = execFile(
        process.execPath,
        [join(this.native, 'build.mjs'), ...args],
        { env: { XDG_CACHE_HOME: this.cache, PATH: '/bin:/usr/bin', ...env } },
        (_, stdout, stderr) => resolve({ text: (stdout || stderr).trim(), status: child.exitCode ?? -1 }),
      );
    });
  }
}

describe('the addon of an installed package', () => {
  it('is compiled once, into the user’s cache, and again when a source changes', async () => {
    const installed = new Installed('compiled');
    const first = await installed.run();
    assert.equal(first.status, 0, first.text);
    assert.ok(first.text.startsWith(join(installed.cache, 'blindfit/native/')), first.text);
    assert.ok(existsSync(first.text));
    const calls = installed.calls.length;
    assert.ok(calls === 2 && /-shared .*-static-libstdc\+\+/.test(at(installed.calls, 1, 'calls')));
    assert.deepEqual(await installed.run(), first);
    assert.equal(installed.calls.length, calls);
    writeFileSync(join(installed.native, 'src/addon.cpp'), 'int y;');
    assert.notEqual((await installed.run()).text, first.text);
    assert.equal(installed.calls.length, 2 * calls);
  });

  it('is cached in a checkout when the package is part of one', async () => {
    const checkout = new Installed('checkout', { folder: 'libs' });
    writeFileSync(join(directory, 'checkout/libs/package-lock.json'), '{}');
    const { text } = await checkout.run();
    assert.ok(text.startsWith(join(directory, 'checkout/libs/.blindfit/native/')), text);
  });

  it('is the shipped binary where there is one, compiler or not', async () => {
    const installed = new Installed('shipped');
    const shipped = join(installed.native, 'built/blindfit-he.node');
    await installed.run(['--ship']);
    assert.equal(readFileSync(shipped, 'utf8'), 'built\n');
    assert.deepEqual(await installed.run([], { PATH: '' }), { text: shipped, status: 0 });
  });

  it('is the prebuilt binary of the platform where that loads, and is compiled where it does not', async () => {
    const installed = new Installed('prebuilt');
    const prebuilt = join(installed.native, 'prebuilt', PLATFORM, 'blindfit-he.node');
    mkdirSync(dirname(prebuilt), { recursive: true });
    writeFileSync(prebuilt, 'no library');
    assert.match((await installed.run()).text, /cache\/blindfit\/native/);
    const real = await resolveEvaluator();
    if (real.kind === 'seal') return;
    cpSync(real.path, prebuilt);
    assert.deepEqual(await installed.run([], { PATH: '' }), { text: prebuilt, status: 0 });
  });

  it('is missing for a reason', async () => {
    const installed = new Installed('missing');
    const reasons: [NodeJS.ProcessEnv, RegExp][] = [
      [{ PATH: '' }, /^no C\+\+ compiler was found: install g\+\+, or set CXX$/],
      [{ CXX: '/nowhere/g++' }, /^the compiler \/nowhere\/g\+\+ \(from CXX\) is not there$/],
      [{ CXX: '/bin/false' }, /\/bin\/false failed: /],
      [{ CXX: installed.compiler, XDG_CACHE_HOME: installed.compiler }, /^none of .* can be written to$/],
    ];
    for (const [env, reason] of reasons) {
      const { text, status } = await installed.run([], env);
      assert.match(text, reason);
      assert.equal(status, 1);
    }
  });
});

describe('the choice of an evaluator', () => {
  it('is node-seal when asked for, or when there is no addon and either will do', async () => {
    assert.deepEqual(await resolveEvaluator('seal'), { kind: 'seal', why: 'it was asked for' });
    const previous = process.env['CXX'];
    process.env['CXX'] = '/nowhere/g++';
    try {
      const why = 'the compiler /nowhere/g++ (from CXX) is not there';
      assert.deepEqual(await resolveEvaluator('auto'), { kind: 'seal', why });
      await assert.rejects(resolveEvaluator('native'), {
        code: 'HE_PARAMETERS',
        hint: 'install g++, or set BLINDFIT_EVALUATOR to auto or seal',
      });
    } finally {
      if (previous === undefined) delete process.env['CXX'];
      else process.env['CXX'] = previous;
    }
  });

  it('of several processes one compiles, and the others wait and say so', async () => {
    const installed = new Installed('shared');
    // The compiler waits until all have begun.
    const go = join(directory, 'go');
    const slow = readFileSync(installed.compiler, 'utf8').replace(
      'sh\n',
      `sh\nwhile [ ! -e ${go} ]; do sleep 0.05; done\n`,
    );
    writeFileSync(installed.compiler, slow);
    const program = join(installed.native, 'program.mjs');
    const resolveModule = new URL('../src/native/resolve.ts', import.meta.url).href;
    writeFileSync(
      program,
      `import { buildNative } from './build.mjs';
       import { buildLock } from '${resolveModule}';
       const log = (line) => console.error(line.replace(/\\d+/, 'N'));
       console.log(JSON.stringify(await buildNative({ log, lock: (path) => buildLock(path, log) })));`,
    );
    const lines: string[] = [];
    const env = { CXX: installed.compiler, XDG_CACHE_HOME: installed.cache, PATH: '/bin:/usr/bin' };
    const outputs = [1, 2].map(async () => {
      const child = spawn(process.execPath, [program], { env, stdio: ['ignore', 'pipe', 'pipe'] });
      createInterface(child.stderr).on('line', (line) => {
        if (lines.push(line) === 2) writeFileSync(go, '');
      });
      return (await Array.fromAsync(child.stdout as AsyncIterable<Buffer>)).join('');
    });
    const [first, second] = await Promise.all(outputs);
    assert.match(String(first), /^\{"path":/);
    assert.equal(second, first);
    assert.equal(installed.calls.length, 2, 'one source, one library');
    assert.deepEqual(lines.toSorted(), [
      'compiling the native evaluator; this happens once',
      'waiting for process N, which compiles the native evaluator',
    ]);
  });

  it('is named for people', () => {
    assert.equal(evaluatorName({ kind: 'seal', why: '' }), 'node-seal (WebAssembly)');
    assert.equal(evaluatorName({ kind: 'native', path: '/x', kernel: 'avx2', why: '' }), 'native (avx2)');
  });
});
