/**
 * The image. There is no container engine to be counted on, so the Dockerfile is parsed, and what it does is done
 * without one: its files are laid out in a read-only directory with the packages that `npm ci --omit=dev` would
 * install, and services run from there as a user who owns nothing.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { existsSync, globSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { DockerfileParser, type Instruction, type JSONInstruction } from 'dockerfile-ast';
import { at, required } from '@blindfit/base';
import { startRedis } from '@blindfit/redis-server';
import { variables } from '@blindfit/service';
import { firstGroups } from '@blindfit/testkit';
import { contextFiles, copyContext } from './docker-context.ts';
import { read, ROOT } from './support.ts';

const DOCKERFILE = 'deploy/docker/Dockerfile';
const dockerfile = DockerfileParser.parse(await read(DOCKERFILE));
const context = await contextFiles(ROOT, await read('.dockerignore'));
/** Instructions of each stage. */
const stages = dockerfile.getInstructions().reduce<Instruction[][]>((all, instruction) => {
  if (instruction.getKeyword() === 'FROM') all.push([]);
  all.at(-1)?.push(instruction);
  return all;
}, []);
const last = stages.at(-1) ?? [];

function argumentsOf(keyword: string, from: readonly Instruction[] = last): string[][] {
  return from
    .filter((instruction) => instruction.getKeyword() === keyword)
    .map((instruction) => instruction.getArguments().map((argument) => argument.getValue()));
}

/** The words of an instruction in its exec form. */
function execForm(keyword: string): string[] {
  const found = last.filter((instruction) => instruction.getKeyword() === keyword);
  assert.equal(found.length, 1, `one ${keyword}`);
  const strings = (found[0] as JSONInstruction).getJSONStrings().map((argument) => argument.getJSONValue());
  assert.ok(strings.length > 0, `${keyword} is in the exec form`);
  return strings;
}

const environment: Readonly<Record<string, string>> = Object.fromEntries(
  argumentsOf('ENV')
    .flat()
    .map((word) => [word.replace(/=.*/s, ''), word.replace(/^[^=]*=/, '')]),
);
/** A file of the image, in the repository. */
const inRepository = (path: string): string => path.replace('/opt/blindfit/', '');

/** The program of the health check. */
function healthCheck(): string {
  const [check] = dockerfile.getHEALTHCHECKs();
  const words = required(check, 'the health check').getArguments();
  const text = words.map((word) => word.getValue()).join(' ');
  return at(firstGroups(text, /"(\/opt\/blindfit\/[^"]+)"/g), 0, text);
}

describe('Dockerfile', () => {
  it('has stages on one base, fixed by major version and release of Debian, that a digest may replace', () => {
    const base = dockerfile
      .getInitialARGs()
      .map((arg) => arg.getProperty())
      .find((property) => property?.getName() === 'NODE_IMAGE')
      ?.getValue();
    assert.equal(base, 'node:24-bookworm-slim');
    assert.ok(stages.length >= 3);
    for (const [from] of stages) assert.equal(from?.getArguments()[0]?.getValue(), '${NODE_IMAGE}');
  });

  it('ends as a user with a number, in the exec form, and is told to stop by SIGTERM', () => {
    assert.deepEqual(argumentsOf('USER'), [['10001:10001']]);
    assert.deepEqual(argumentsOf('STOPSIGNAL'), [['SIGTERM']]);
    const [program, main = ''] = execForm('ENTRYPOINT');
    assert.equal(program, 'node');
    assert.ok(context.includes(inRepository(main)), main);
    assert.deepEqual(execForm('CMD'), ['--help']);
    assert.equal(argumentsOf('ADD', dockerfile.getInstructions()).length, 0);
  });

  it('copies only what is there, and gives the program to root', () => {
    for (const instruction of dockerfile.getCOPYs()) {
      const words = instruction.getArguments().map((argument) => argument.getValue());
      if (instruction.getFlags().some((flag) => flag.getName() === 'from')) continue;
      assert.ok(!instruction.getFlags().some((flag) => flag.getName() === 'chown'), words.join(' '));
      for (const source of words.slice(0, -1))
        assert.ok(
          source === '.' || context.some((path) => path === source || path.startsWith(`${source}/`)),
          `COPY ${source}`,
        );
    }
  });

  it('checks its health at the port its services listen on, with a program that is in it', () => {
    const script = healthCheck();
    assert.ok(context.includes(inRepository(script)), script);
    assert.deepEqual(argumentsOf('EXPOSE').flat(), [
      environment['BLINDFIT_PORT'],
      environment['BLINDFIT_METRICS_PORT'],
    ]);
    const known = new Set(Object.values(variables).map(({ env }): string => env));
    for (const name of Object.keys(environment))
      assert.ok(known.has(name) || ['NODE_ENV', 'XDG_DATA_HOME', 'XDG_CACHE_HOME'].includes(name), name);
  });

  it('is labelled', () => {
    const labels = argumentsOf('LABEL').flat().join(' ');
    for (const name of ['title', 'description', 'licenses', 'version', 'revision'])
      assert.ok(labels.includes(`org.opencontainers.image.${name}=`), name);
  });

  it('names one platform nowhere: every step holds on amd64 and arm64', async () => {
    const text = (await read(DOCKERFILE)).replace(/^#.*$/gm, '');
    assert.doesNotMatch(text, /amd64|x86_64|\bx64\b|aarch64|arm64/);
  });
});

describe('what is built from', () => {
  it('has the sources and all manifests, and neither tests nor secrets nor anything installed', async () => {
    const { workspaces } = JSON.parse(await read('package.json')) as { workspaces: string[] };
    for (const manifest of globSync(
      workspaces.map((pattern) => `${pattern}/package.json`),
      { cwd: ROOT },
    ))
      assert.ok(context.includes(manifest), `npm ci needs ${manifest}`);
    for (const path of ['package-lock.json', 'cli/src/main.ts', 'services/worker/src/start.ts', 'libs/he/src/index.ts'])
      assert.ok(context.includes(path), path);
    for (const path of context) {
      assert.doesNotMatch(path, /(^|\/)(node_modules|test|\.git|\.blindfit)\/|\.env$|\.test\.ts$|\.log$|secrets/, path);
      assert.match(
        path,
        /^(package|LICENSE|libs|services|cli|demo|deploy\/|(bench|examples|tools\/[a-z]+)\/package\.json)/,
        path,
      );
    }
  });
});

/** Packages of the lock file that `npm ci --omit=dev` installs on this machine, by their place. */
async function installed(): Promise<string[]> {
  const { packages } = JSON.parse(await read('package-lock.json')) as {
    packages: Record<string, { dev?: boolean; link?: boolean }>;
  };
  return Object.entries(packages)
    .filter(
      ([path, { dev, link }]) =>
        path.includes('node_modules/') && dev !== true && link !== true && existsSync(join(ROOT, path)),
    )
    .map(([path]) => path);
}

/**
 * Lays the image's /opt/blindfit out; packages are links to those installed here. Those removed from the image are left
 * out.
 */
async function layOut(destination: string): Promise<void> {
  await copyContext(ROOT, context, destination);
  for (const path of (await installed()).filter(
    (each) => !/node_modules\/.*node_modules\//.test(each) && !each.startsWith('node_modules/node-linux-'),
  )) {
    await mkdir(dirname(join(destination, path)), { recursive: true });
    await symlink(join(ROOT, path), join(destination, path));
  }
  const { packages } = JSON.parse(await read('package-lock.json')) as {
    packages: Record<string, { link?: boolean; resolved?: string }>;
  };
  for (const [path, { link, resolved = '' }] of Object.entries(packages)) {
    if (link !== true) continue;
    await mkdir(dirname(join(destination, path)), { recursive: true });
    await symlink(join(destination, resolved), join(destination, path));
  }
}

async function makeReadOnly(directory: string): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) await makeReadOnly(path);
    else if (entry.isFile()) await chmod(path, 0o444);
  }
  await chmod(directory, 0o555);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return port;
}

async function ended(child: ChildProcess): Promise<number | NodeJS.Signals | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode ?? child.signalCode;
  return await new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal)));
}

it(
  'its program and services run from a read-only directory, as nobody, and end on SIGTERM',
  { timeout: 240_000 },
  async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'blindfit-image-'));
    const [program, writable] = [join(directory, 'opt'), join(directory, 'var')];
    const children: ChildProcess[] = [];
    let redis: Awaited<ReturnType<typeof startRedis>> | undefined;
    try {
      await layOut(program);
      await makeReadOnly(program);
      await mkdir(writable);
      await chmod(directory, 0o755);
      const root = process.getuid?.() === 0;
      const user = root ? { uid: 10001, gid: 10001 } : {};
      if (root) await chown(writable, 10001, 10001);
      const common: NodeJS.ProcessEnv = {
        PATH: process.env['PATH'],
        ...environment,
        XDG_CACHE_HOME: join(writable, 'cache'),
        XDG_DATA_HOME: join(writable, 'data'),
      };
      const options = (env: NodeJS.ProcessEnv): SpawnOptions => ({
        cwd: writable,
        env: { ...common, ...env },
        ...user,
      });
      const [, main = ''] = execForm('ENTRYPOINT');
      const command = (name: string, ...args: string[]): string[] => [join(program, inRepository(name)), ...args];

      const version = spawnSync(process.execPath, command(main, '--version'), { ...options({}), encoding: 'utf8' });
      if (
        version.error !== undefined ||
        (root &&
          /EACCES|Cannot find module/.test(version.stderr) &&
          spawnSync('test', ['-r', join(ROOT, 'package.json')], user).status !== 0)
      ) {
        t.skip(`a user who owns nothing cannot read ${ROOT} or run ${process.execPath}`);
        return;
      }
      assert.equal(version.stdout.trim(), '0.1.0', version.stderr);

      redis = await startRedis({ dataDir: join(directory, 'redis'), tcp: true, log: () => undefined });
      const shared = {
        BLINDFIT_REDIS_URL: redis.url,
        BLINDFIT_STORE: `file://${join(writable, 'blobs')}`,
        BLINDFIT_TOKEN: '0123456789abcdef',
        BLINDFIT_HOST: '127.0.0.1',
        BLINDFIT_THREADS: '1',
        BLINDFIT_EVALUATOR: 'seal',
      };
      const service = async (
        name: 'api' | 'worker',
      ): Promise<{ child: ChildProcess; port: number; log: () => string }> => {
        const port = await freePort();
        const child = spawn(process.execPath, command(main, name), {
          ...options({ ...shared, BLINDFIT_PORT: String(port), BLINDFIT_METRICS_PORT: String(port) }),
          stdio: ['ignore', 'ignore', 'pipe'],
        });
        children.push(child);
        let log = '';
        child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
        return { child, port, log: () => log };
      };
      const script = healthCheck();
      const healthy = async (port: number): Promise<boolean> =>
        (await ended(
          spawn(
            process.execPath,
            command(script),
            options({ BLINDFIT_PORT: String(port), BLINDFIT_METRICS_PORT: String(port) }),
          ),
        )) === 0;
      assert.equal(await healthy(await freePort()), false, 'nothing answers there');

      for (const name of ['api', 'worker'] as const) {
        const { child, port, log } = await service(name);
        const deadline = Date.now() + 60_000;
        while (!(await healthy(port))) {
          assert.ok(Date.now() < deadline && child.exitCode === null, `${name} is not healthy: ${log().slice(-2000)}`);
          await new Promise((resolve) => setTimeout(resolve, 200));
        }
        child.kill('SIGTERM');
        assert.equal(await ended(child), 0, log().slice(-2000));
      }
    } finally {
      for (const child of children) child.kill('SIGKILL');
      await redis?.stop();
      const unlock = async (path: string): Promise<void> => {
        await chmod(path, 0o755);
        for (const entry of await readdir(path, { withFileTypes: true }))
          if (entry.isDirectory()) await unlock(join(path, entry.name));
      };
      if (existsSync(program)) await unlock(program);
      await rm(directory, { recursive: true, force: true });
    }
  },
);

it('npm finds every package of the image in the lock file', { timeout: 120_000 }, async () => {
  const directory = await mkdtemp(join(tmpdir(), 'blindfit-lock-'));
  try {
    // As in the stages manifests and dependencies; nothing is downloaded.
    await copyContext(
      ROOT,
      context.filter((path) => /(^|\/)package(-lock)?\.json$/.test(path)),
      directory,
    );
    const result = spawnSync(
      'npm',
      ['ci', '--omit=dev', '--dry-run', '--no-audit', '--no-fund', '--offline', '--loglevel=error'],
      { cwd: directory, encoding: 'utf8' },
    );
    assert.equal(result.status, 0, result.stderr);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});
