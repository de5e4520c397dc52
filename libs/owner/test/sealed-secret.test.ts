/** Secret keys under a passphrase. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { at } from '@blindfit/base';
import { Parameters } from '@blindfit/he';
import { temporaryDirectory } from '@blindfit/testkit';
import { openKeyset } from '../src/index.ts';
import { directoryKeys, protectKeyset, type PassphraseSource } from '../src/node/index.ts';
import { openSealed, sealSecret, SEALING_COST } from '../src/node/sealed-secret.ts';
import { SMALL } from './small-ring.ts';

/** Guesses are cheap here. */
const cost = { logN: 4, r: 1, p: 1 };
const plan = { parameters: Parameters.of(SMALL, 'none'), steps: [] };

test('what is sealed opens with its passphrase, in either form of Unicode, and with no other', async () => {
  const content = randomBytes(1000);
  const sealed = await sealSecret(content, 'caf\u00e9', cost);
  assert.equal(sealed.length, 1055);
  assert.equal(Buffer.from(sealed).indexOf(content.subarray(0, 16)), -1);
  for (const same of ['caf\u00e9', 'cafe\u0301'])
    assert.deepEqual(Buffer.from((await openSealed(sealed, same)) ?? []), content);
  for (const other of ['', 'cafe', 'caf\u00e9 ', 'CAF\u00c9']) assert.equal(await openSealed(sealed, other), undefined);
  // Salt and nonce are fresh, so that equal keys do not look equal.
  const again = await sealSecret(content, 'caf\u00e9', cost);
  assert.notDeepEqual(again.subarray(11, 27), sealed.subarray(11, 27));
  assert.notDeepEqual(again.subarray(27, 39), sealed.subarray(27, 39));
});

test('a changed byte anywhere is noticed, and a header does not ask for all memory', async () => {
  const sealed = await sealSecret(randomBytes(40), 'right', cost);
  for (let position = 0; position < sealed.length; position++) {
    const changed = sealed.slice();
    changed[position] = at(changed, position, 'bytes') ^ 1;
    const opened = await openSealed(changed, 'right').catch((error: unknown) => {
      assert.ok(error instanceof RangeError, String(error));
      return undefined;
    });
    assert.equal(opened, undefined, `byte ${position}`);
  }
  for (const [position, value] of [
    [8, 24],
    [8, 255],
    [8, 0],
    [9, 0],
    [10, 0],
    [10, 17],
  ] as const) {
    const changed = Uint8Array.from(await sealSecret(randomBytes(40), 'right', { ...cost, r: 8 }));
    changed[position] = value;
    await assert.rejects(openSealed(changed, 'right'), RangeError, `${position}: ${value}`);
  }
  await assert.rejects(openSealed(sealed.subarray(0, 54), 'right'), RangeError);
  assert.ok(128 * 2 ** SEALING_COST.logN * SEALING_COST.r * SEALING_COST.p >= 2 ** 27, 'a guess costs 128 MiB');
});

test('a keyset is made under a passphrase, asked for once, and refused with another one or none', async (t) => {
  const directory = join(await temporaryDirectory(t), 'keys');
  const open = async (passphrase?: string | PassphraseSource, create = false): Promise<string> => {
    using keyset = await openKeyset({ keys: directoryKeys(directory, { passphrase, cost }), plan, create });
    return `${keyset.directory} ${keyset.secret.signer.name}`;
  };
  const made = await open('right', true);
  const path = join(at(made.split(' '), 0, 'words'), 'secret.key');
  assert.match(await readFile(path, 'latin1'), /^BFSEALD\u0001/);
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.equal(await open('right'), made);
  await assert.rejects(open('wrong'), { code: 'KEYSET_PASSPHRASE', message: /does not open .*secret\.key$/ });
  await assert.rejects(open(), { code: 'KEYSET_LOCKED', hint: /BLINDFIT_PASSPHRASE/ });

  const asked: number[] = [];
  const source: PassphraseSource = {
    open: (file, attempt) => {
      assert.equal(file, path);
      asked.push(attempt);
      return Promise.resolve(attempt === 3 ? 'right' : 'wrong');
    },
    create: () => Promise.resolve(undefined),
  };
  const keys = directoryKeys(directory, { passphrase: source });
  for (let i = 0; i < 2; i++) (await openKeyset({ keys, plan, create: false }))[Symbol.dispose]();
  assert.deepEqual(asked, [1, 2, 3], 'the second time it is known');

  const sealed = await readFile(path);
  await writeFile(path, sealed.fill(200, 8, 9));
  await assert.rejects(open('right'), { code: 'KEYSET_CORRUPT' });
});

test('a key without a passphrase gets one, and stays the same key', async (t) => {
  const directory = join(await temporaryDirectory(t), 'keys');
  const open = async (passphrase?: string): Promise<readonly [string, string]> => {
    using keyset = await openKeyset({ keys: directoryKeys(directory, { passphrase }), plan, create: true });
    return [keyset.directory, keyset.secret.signer.name];
  };
  const before = await open();
  const source: PassphraseSource = {
    open: () => Promise.resolve(undefined),
    create: () => Promise.resolve('right'),
  };
  assert.equal(await protectKeyset(before[0], source, cost), true);
  assert.equal(await protectKeyset(before[0], source, cost), false, 'it has one');
  assert.equal((await stat(join(before[0], 'secret.key'))).mode & 0o777, 0o600);
  await assert.rejects(open(), { code: 'KEYSET_LOCKED' });
  assert.deepEqual(await open('right'), before);
});
