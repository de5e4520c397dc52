import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, cp, mkdir, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Parameters, parseHeader, type ParametersLiteral } from '@blindfit/he';
import { asOrdinaryUser, temporaryDirectory } from '@blindfit/testkit';
import { keysetName, type Keyset } from '../src/index.ts';
import { openKeyset } from '../src/node/index.ts';
import { assertRefused } from './assert-refused.ts';
import { largestError } from './setup.ts';
import { SMALL, STEPS } from './small-ring.ts';

const parameters = Parameters.of(SMALL, 'none');
const open = (
  directory: string,
  steps: readonly number[] = [],
  create = false,
  literal: ParametersLiteral = SMALL,
): Promise<Keyset> => openKeyset({ directory, plan: { parameters: Parameters.of(literal, 'none'), steps }, create });

/** Makes a keyset and closes it. @returns its directory */
async function make(directory: string, steps: readonly number[] = [1], literal?: ParametersLiteral): Promise<string> {
  using keyset = await open(directory, steps, true, literal);
  return keyset.directory;
}

function digestsOf(keyset: Keyset): string[] {
  return [keyset.relinearisationKey, ...keyset.galoisKeys.values()].map((key) => key.digest);
}

/** Every key file is what the keyset says it is. */
async function assertFiles(keyset: Keyset): Promise<void> {
  for (const [step, file] of [[undefined, keyset.relinearisationKey], ...keyset.galoisKeys] as const) {
    const bytes = await readFile(file.path);
    assert.equal(file.digest, `sha256:${createHash('sha256').update(bytes).digest('hex')}`);
    assert.equal(file.size, bytes.length);
    const header = parseHeader(bytes);
    assert.equal(header.kind, step === undefined ? 'relinearisation-key' : 'galois-key');
    assert.equal(header.step, step ?? 0);
    assert.equal(header.parameters, keyset.parameters.fingerprint);
  }
}

async function assertTidy(directory: string): Promise<void> {
  assert.deepEqual(
    (await readdir(directory)).filter(
      (name) => !/^(secret\.key|keyset\.json|relinearisation\.key|galois-\d+\.key)$/.test(name),
    ),
    [],
  );
}

interface Child {
  readonly lines: AsyncIterable<string>;
  readonly ended: Promise<number | null>;
  kill(): void;
}

/** @param hold stops the child after that many keys */
function startChild(directory: string, hold?: number): Child {
  const child = spawn(
    process.execPath,
    [
      fileURLToPath(new URL('./make-keys.ts', import.meta.url)),
      directory,
      ...(hold === undefined ? [] : [String(hold)]),
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('exit', resolve);
    child.on('error', reject);
  });
  return { lines: createInterface({ input: child.stdout }), ended, kill: () => child.kill('SIGKILL') };
}

describe('a keyset', () => {
  it('is made once, with private modes, and opened again', async () => {
    await using home = await temporaryDirectory();
    const parent = join(home.path, 'a', 'keys');
    const progress: string[] = [];
    let first: string[];
    let ciphertext: Uint8Array;
    const values = Float64Array.from({ length: parameters.slots }, (_, i) => Math.sin(i));
    {
      using keyset = await openKeyset({
        directory: parent,
        plan: { parameters, steps: [4, 0, 1] },
        create: true,
        onProgress: (done, total) => progress.push(`${done}/${total}`),
      });
      assert.equal(keyset.directory, join(parent, keysetName(parameters)));
      assert.match(keyset.directory, /\/N2048QP295L5S45-[0-9a-f]{8}$/);
      assert.deepEqual(progress, ['0/4', '1/4', '2/4', '3/4', '4/4']);
      assert.deepEqual([...keyset.galoisKeys.keys()], [0, 1, 4]);
      assert.ok(keyset.seconds.generate > 0 && keyset.seconds.load >= 0);
      await assertFiles(keyset);
      first = digestsOf(keyset);
      ciphertext = keyset.secret.encryptToBytes(values, 2, parameters.scale);
    }
    const directory = join(parent, keysetName(parameters));
    await assertTidy(directory);
    for (const path of [join(home.path, 'a'), parent, directory])
      assert.equal((await stat(path)).mode & 0o777, 0o700, path);
    assert.equal((await stat(join(directory, 'secret.key'))).mode & 0o777, 0o600);
    const index = JSON.parse(await readFile(join(directory, 'keyset.json'), 'utf8')) as Record<string, unknown>;
    assert.equal(index['format'], 'blindfit-keys/1');
    assert.deepEqual(index['parameters'], SMALL);
    assert.equal(index['fingerprint'], parameters.fingerprint);

    const before = await readFile(join(directory, 'secret.key'));
    progress.length = 0;
    using again = await openKeyset({
      directory: parent,
      plan: { parameters, steps: [0, 1, 4] },
      create: false,
      onProgress: () => progress.push('made'),
    });
    assert.deepEqual(progress, [], 'nothing was missing');
    assert.equal(again.seconds.generate, 0);
    assert.deepEqual(digestsOf(again), first);
    assert.deepEqual(await readFile(join(directory, 'secret.key')), before);
    using loaded = again.backend.loadCiphertext(ciphertext);
    const { first: decrypted, second } = again.secret.decrypt(loaded);
    assert.ok(largestError(decrypted, values) < 1e-8);
    assert.ok(largestError(second, new Float64Array(parameters.slots)) < 1e-8);
  });

  it('makes the steps that are missing, and only those', async () => {
    await using home = await temporaryDirectory();
    const directory = await make(home.path, [1, 2]);
    const times = async () =>
      Promise.all(
        ['secret.key', 'relinearisation.key', 'galois-1.key', 'galois-2.key'].map(
          async (name) => (await stat(join(directory, name))).mtimeMs,
        ),
      );
    const before = await times();
    const totals: number[] = [];
    using keyset = await openKeyset({
      directory: home.path,
      plan: { parameters, steps: [0, 1, 2, 8] },
      create: false,
      onProgress: (_done, total) => totals.push(total),
    });
    assert.deepEqual(totals, [2, 2, 2]);
    assert.deepEqual(await times(), before);
    await assertFiles(keyset);
    await assertTidy(directory);
  });

  it('makes public keys anew that are damaged, gone, or not listed yet', async () => {
    await using home = await temporaryDirectory();
    const directory = await make(home.path, [1, 2, 4]);
    const path = (step: number): string => join(directory, `galois-${step}.key`);
    const untouched = await readFile(path(4));
    await truncate(path(1), 1000);
    await rm(path(2));
    await writeFile(path(8), 'written by a process that was killed before it could list it');
    await writeFile(join(directory, 'half.part'), 'half a file');
    const totals: number[] = [];
    using keyset = await openKeyset({
      directory: home.path,
      plan: { parameters, steps: [1, 2, 4, 8] },
      create: false,
      onProgress: (_done, total) => totals.push(total),
    });
    assert.equal(totals[0], 3);
    assert.deepEqual(await readFile(path(4)), untouched);
    await assertFiles(keyset);
    await assertTidy(directory);
  });

  for (const killAfter of [0, 1, STEPS.length]) {
    it(`goes on after kill -9 when ${killAfter} of ${STEPS.length + 1} keys were reported`, async () => {
      await using home = await temporaryDirectory();
      const child = startChild(home.path, killAfter);
      for await (const line of child.lines) {
        if (Number(line.split('/')[0]) < killAfter) continue;
        child.kill();
        break;
      }
      assert.equal(await child.ended, null, 'killed before it was done');
      const directory = join(home.path, keysetName(parameters));
      const secret = await readFile(join(directory, 'secret.key'));
      const listed = async (): Promise<Record<string, unknown>> =>
        (JSON.parse(await readFile(join(directory, 'keyset.json'), 'utf8')) as { galoisKeys: Record<string, unknown> })
          .galoisKeys;
      const before = killAfter === 0 ? {} : await listed();
      assert.ok(Object.keys(before).length >= killAfter - 1, 'what was reported is listed');
      using keyset = await open(home.path, STEPS);
      await assertFiles(keyset);
      await assertTidy(directory);
      assert.deepEqual(await readFile(join(directory, 'secret.key')), secret);
      const after = await listed();
      for (const [step, record] of Object.entries(before))
        assert.deepEqual(after[step], record, `the key of step ${step} was kept`);
    });
  }

  it('survives kill -9 at any moment', async () => {
    await using home = await temporaryDirectory();
    for (let attempt = 0; attempt < 3; attempt++) {
      const child = startChild(home.path);
      await child.lines[Symbol.asyncIterator]().next();
      await sleep(14 * attempt);
      child.kill();
      await child.ended;
    }
    using keyset = await open(home.path, STEPS);
    await assertFiles(keyset);
    await assertTidy(keyset.directory);
  });

  it('is made by one of several processes that start at once', async () => {
    await using home = await temporaryDirectory();
    const results = await Promise.all(
      [0, 1, 2].map(async () => {
        const child = startChild(home.path);
        let last = '';
        let made = 0;
        for await (const line of child.lines) {
          if (/^\d+\//.test(line) && !line.startsWith('0/')) made++;
          last = line;
        }
        assert.equal(await child.ended, 0);
        return { last, made };
      }),
    );
    assert.equal(new Set(results.map((result) => result.last)).size, 1, 'all see the same keys');
    assert.deepEqual(
      results.map((result) => result.made).sort((a, b) => a - b),
      [0, 0, STEPS.length + 1],
    );
    using keyset = await open(home.path, STEPS);
    await assertFiles(keyset);
    assert.equal(JSON.stringify(digestsOf(keyset)), results[0]?.last);
    await assertTidy(keyset.directory);
  });

  it('lets the event loop run between keys', async () => {
    await using home = await temporaryDirectory();
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    try {
      await make(home.path, STEPS);
    } finally {
      clearInterval(timer);
    }
    assert.ok(turns >= STEPS.length, `${turns} turns`);
  });
});

describe('a keyset is refused', () => {
  it('when others may read the secret key', async () => {
    await using home = await temporaryDirectory();
    const path = join(await make(home.path), 'secret.key');
    for (const mode of [0o640, 0o604, 0o660]) {
      await chmod(path, mode);
      await assertRefused('KEYSET_EXPOSED', /chmod 600 .*secret\.key/, () => open(home.path, [1]));
    }
    await chmod(path, 0o600);
    (await open(home.path, [1]))[Symbol.dispose]();
  });

  it('when it does not exist and must not be made', async () => {
    await using home = await temporaryDirectory();
    await assertRefused('KEYSET_MISSING', /no keyset for N2048QP295L5S45/, () => open(join(home.path, 'nowhere')));
    assert.deepEqual(await readdir(home.path), [], 'nothing was made');
    await make(home.path);
    await assertRefused('KEYSET_MISSING', /keysets there: N2048QP295L5S45-/, () =>
      open(home.path, [], false, { ...SMALL, specialBits: 59 }),
    );
  });

  it('when the secret key is damaged, empty or something else', async () => {
    await using home = await temporaryDirectory();
    const path = join(await make(home.path), 'secret.key');
    const good = await readFile(path);
    const damaged = (at: number): Buffer => Buffer.from(good.map((byte, i) => (i === at ? byte ^ 1 : byte)));
    for (const bytes of [
      damaged(0),
      damaged(7),
      damaged(60),
      damaged(100),
      damaged(good.length - 1),
      good.subarray(0, -1),
      good.subarray(0, 88),
      Buffer.alloc(0),
      Buffer.alloc(5000, 7),
    ]) {
      await writeFile(path, bytes);
      await assertRefused('KEYSET_CORRUPT', /secret\.key is .*backup/, () => open(home.path, [1], true));
      assert.deepEqual(await readFile(path), bytes, 'never overwritten');
    }
    await writeFile(path, good);
    (await open(home.path, [1]))[Symbol.dispose]();
  });

  it('when its secret key or its index belongs to something else', async () => {
    await using home = await temporaryDirectory();
    await using other = await temporaryDirectory();
    await using third = await temporaryDirectory();
    const directory = await make(home.path);
    const sameParameters = await make(other.path);
    const otherParameters = await make(third.path, [1], { ...SMALL, scaleBits: 44 });
    const put = (from: string, name: string): Promise<void> => cp(join(from, name), join(directory, name));

    await put(otherParameters, 'keyset.json');
    await assertRefused('KEYSET_FOREIGN', /keyset\.json is of other parameters/, () => open(home.path));
    await put(sameParameters, 'keyset.json');
    await assertRefused('KEYSET_FOREIGN', /keyset\.json lists the public keys of another secret key/, () =>
      open(home.path),
    );
    await put(otherParameters, 'secret.key');
    await assertRefused('KEYSET_FOREIGN', /secret\.key is a key of other parameters than N2048QP295L5S45/, () =>
      open(home.path),
    );
  });

  it('when the index is damaged; without an index the public keys are made anew', async () => {
    await using home = await temporaryDirectory();
    const directory = await make(home.path);
    const path = join(directory, 'keyset.json');
    const good = await readFile(path, 'utf8');
    for (const text of [
      '',
      '{',
      '{}',
      good.replace('blindfit-keys/1', 'blindfit-keys/2'),
      good.replace(/sha256:/, 'sha257:'),
    ]) {
      await writeFile(path, text);
      await assertRefused('KEYSET_CORRUPT', /keyset\.json is damaged.*delete it/, () => open(home.path));
    }
    await rm(path);
    using keyset = await open(home.path, [1]);
    await assertFiles(keyset);
  });

  it('when the secret key is gone, also if a new keyset may be made', async () => {
    await using home = await temporaryDirectory();
    const directory = await make(home.path);
    await rm(join(directory, 'secret.key'));
    await assertRefused('KEYSET_MISSING', /secret\.key is gone.*backup/, () => open(home.path, [1], true));
    await assertRefused('KEYSET_MISSING', /no keyset/, () => open(home.path, [1], false));
  });

  it('when the directory cannot be written to', async () => {
    await using home = await temporaryDirectory();
    const file = join(home.path, 'file');
    await writeFile(file, '');
    await assertRefused('KEYSET_ACCESS', /cannot use the keyset in .*ENOTDIR.*choose another directory/, () =>
      open(join(file, 'keys'), [1], true),
    );
    const locked = join(home.path, 'locked');
    await chmod(home.path, 0o755);
    await mkdir(locked, { mode: 0o555 });
    await asOrdinaryUser(() => assertRefused('KEYSET_ACCESS', /EACCES/, () => open(locked, [1], true)));
  });
});
