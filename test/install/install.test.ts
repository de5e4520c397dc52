/** The packages that `npm run pack` makes, installed in an empty project as a user installs them. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, globSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { temporaryDirectory } from '@blindfit/testkit';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);

/** What npm says when it cannot reach the registry. */
const UNREACHABLE = /ENOTFOUND|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EAI_AGAIN|ENETUNREACH/;

interface Ending {
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

const older = await findOlderNode();
const directory = await temporaryDirectory();
const packed = join(directory.path, 'packed');
const project = join(directory.path, 'project');
/** Without the compiler and the settings of this machine. */
const environment: NodeJS.ProcessEnv = {
  PATH: [dirname(process.execPath), ...(process.env['PATH'] ?? '').split(delimiter)].join(delimiter),
  HOME: directory.path,
  CXX: join(directory.path, 'no-compiler'),
  BLINDFIT_REDIS_SERVER: process.env['BLINDFIT_REDIS_SERVER'],
  XDG_CACHE_HOME: process.env['XDG_CACHE_HOME'],
  NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'],
};

function blindfit(args: readonly string[], node = process.execPath): Promise<Ending> {
  return run(node, [join(project, 'node_modules/.bin/blindfit'), ...args], { cwd: project, env: environment }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: unknown) => error as Ending,
  );
}

/** Two classes apart from each other. */
function table(rows: number): string {
  const lines = Array.from({ length: rows }, (_, i) => {
    const side = i % 2 === 0 ? 1 : -1;
    return `${side > 0 ? 'left' : 'right'},${side + Math.sin(i)},${side - Math.cos(i)}`;
  });
  return `label,x,y\n${lines.join('\n')}\n`;
}

describe('an empty project', { timeout: 1_100_000 }, () => {
  let unreachable: string | undefined;

  after(() => directory[Symbol.asyncDispose]());

  before(async () => {
    const build = join(ROOT, 'scripts/build/main.ts');
    await run(process.execPath, [build, '--pack', '--out', packed], { cwd: ROOT });
    await mkdir(project);
    await writeFile(join(project, 'package.json'), '{ "private": true, "type": "module" }');
    await writeFile(join(project, 'train.csv'), table(40));
    const tarballs = globSync('*.tgz', { cwd: packed }).map((name) => join(packed, name));
    const npm = ['install', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', ...tarballs];
    // npm's own cache, so that little is downloaded.
    await run('npm', npm, { cwd: project }).catch((error: unknown) => {
      if (!UNREACHABLE.test((error as Ending).stderr)) throw error;
      unreachable = 'the npm registry cannot be reached';
    });
  });

  it('gets compiled packages with declarations, source maps and a licence', async (t) => {
    if (unreachable !== undefined) return t.skip(unreachable);
    const scope = join(project, 'node_modules/@blindfit');
    const packages = [
      join(project, 'node_modules/blindfit'),
      ...(await readdir(scope)).map((name) => join(scope, name)),
    ];
    assert.ok(packages.length > 15, String(packages.length));
    for (const path of packages) {
      const files = globSync('**/*', { cwd: path });
      for (const wanted of ['LICENSE', 'README.md', 'package.json'])
        assert.ok(files.includes(wanted), `${path} ${wanted}`);
      assert.deepEqual(
        files.filter(
          (file) => /(?<!\.d)\.ts$|\.test\.|(^|\/)(test|src)\//.test(file) && !file.startsWith('native/src'),
        ),
        [],
      );
      const compiled = files.filter((file) => file.endsWith('.js'));
      assert.ok(compiled.length > 0, path);
      for (const file of compiled) {
        assert.ok(files.includes(`${file}.map`) && files.includes(file.replace(/js$/, 'd.ts')), `${path}/${file}`);
        assert.doesNotMatch(await readFile(join(path, file), 'utf8'), /(from |import\()['"]\.[^'"]*\.ts['"]/, file);
      }
    }
  });

  it('has the command, which trains on a file', async (t) => {
    if (unreachable !== undefined) return t.skip(unreachable);
    assert.deepEqual(await blindfit(['--version']), { code: 0, stdout: '0.1.0\n', stderr: '' });
    const trained = await blindfit(['train', '--features', 'train.csv', '--out', 'model.json', '--iterations', '1']);
    assert.equal(trained.code, 0, trained.stderr);
    const model = JSON.parse(await readFile(join(project, 'model.json'), 'utf8')) as { readonly classes: string[] };
    assert.deepEqual(model.classes, ['left', 'right']);
  });

  it('has the library, with types', async (t) => {
    if (unreachable !== undefined) return t.skip(unreachable);
    const program = `import { train } from 'blindfit';
const model = await train({ features: 'train.csv', validation: 'train.csv', iterations: 1 });
const [first] = await model.predict([[1, 1]]);
await model.save('library.json');
console.log(model.classes.join(), first.predicted);
`;
    await writeFile(join(project, 'program.ts'), program);
    await writeFile(join(project, 'program.js'), program);
    const tsc = [join(ROOT, 'node_modules/typescript/bin/tsc'), '--noEmit', '--strict', '--skipLibCheck'];
    const checked = run(process.execPath, [...tsc, '--target', 'esnext', '--module', 'nodenext', 'program.ts'], {
      cwd: project,
    });
    const { stdout } = await run(process.execPath, ['program.js'], { cwd: project, env: environment });
    assert.equal(stdout, 'left,right left\n');
    assert.ok(existsSync(join(project, 'library.json')));
    await checked;
  });

  it('computes natively without a compiler', { skip: process.arch !== 'x64' && 'no prebuilt addon' }, async (t) => {
    if (unreachable !== undefined) return t.skip(unreachable);
    await writeFile(
      join(project, 'evaluator.js'),
      `import { resolveEvaluator } from '@blindfit/he/native';\nconsole.log((await resolveEvaluator()).kind);\n`,
    );
    const { stdout } = await run(process.execPath, ['evaluator.js'], { cwd: project, env: environment });
    assert.equal(stdout, 'native\n');
  });

  it(
    'is told by an older Node what is missing',
    { skip: older === undefined && 'no older Node on PATH' },
    async (t) => {
      if (unreachable !== undefined) return t.skip(unreachable);
      for (const args of [['--version'], ['demo'], ['train', '--features', 'train.csv']]) {
        const { code, stdout, stderr } = await blindfit(args, older);
        assert.deepEqual([code, stdout], [1, '']);
        assert.match(
          stderr,
          /^blindfit needs Node 24\.15 or newer, and this is Node [\d.]+: install Node 24 from \S+ .*\n$/,
        );
      }
    },
  );
});

async function findOlderNode(): Promise<string | undefined> {
  for (const path of (process.env['PATH'] ?? '').split(delimiter)) {
    const node = join(path, 'node');
    const version = await run(node, ['-p', 'process.versions.node']).then(
      ({ stdout }) => stdout.trim(),
      () => '24.15.0',
    );
    const [major = 0, minor = 0] = version.split('.').map(Number);
    if (major < 24 || (major === 24 && minor < 15)) return node;
  }
  return undefined;
}
