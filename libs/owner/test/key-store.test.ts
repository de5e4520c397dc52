/** What is written where, with which mode, and what does not stay in memory. */
import assert from 'node:assert/strict';
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { at } from '@blindfit/base';
import { Parameters } from '@blindfit/he';
import { temporaryDirectory } from '@blindfit/testkit';
import { findSigner } from '../src/find-signer.ts';
import {
  MemoryKeys,
  OwnerError,
  openKeyset,
  readTicket,
  writeTicket,
  type KeysetFiles,
  type KeyStore,
  type Ticket,
} from '../src/index.ts';
import { directoryKeys } from '../src/node/index.ts';
import { SMALL } from './small-ring.ts';

const plan = { parameters: Parameters.of(SMALL, 'none'), steps: [1] };
const TICKET: Ticket = {
  job: 'job-0123456789ab',
  manifest: `sha256:${'0'.repeat(64)}`,
  twin: {
    precision: 1e-5,
    weights: [
      [0.25, -1],
      [0, 3],
    ],
  },
  stepBound: [0.5, 1],
  temperatures: [0.5, 0.25],
  classes: ['a', 'b'],
  preprocessing: { kind: 'none' },
};

/** A store that keeps the very buffers that secrets pass through. */
class Watching extends MemoryKeys {
  readonly buffers: Uint8Array[] = [];

  override keyset(name: string): KeysetFiles {
    const files = super.keyset(name);
    const { buffers } = this;
    return new Proxy(files, {
      get(target, key) {
        if (key === 'createSecret')
          return (file: string, bytes: Uint8Array) => {
            buffers.push(bytes);
            return target.createSecret(file, bytes);
          };
        if (key === 'readSecret')
          return async (file: string) => {
            const bytes = await target.readSecret(file);
            if (bytes !== undefined) buffers.push(bytes);
            return bytes;
          };
        const value: unknown = Reflect.get(target, key);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
  }
}

test('keys in memory open again, and the buffers of the secret are wiped', async () => {
  const keys = new Watching();
  const first = await openKeyset({ keys, plan, create: true });
  const values = Float64Array.of(1, 2, 3);
  const bytes = first.secret.encryptToBytes(values, 0, 2 ** 30);
  first[Symbol.dispose]();
  using second = await openKeyset({ keys, plan, create: false });
  using ciphertext = second.backend.loadCiphertext(bytes);
  assert.ok(Math.abs(at(second.secret.decrypt(ciphertext).first, 2, 'slots') - 3) < 1e-3);
  assert.ok((await second.relinearisationKey.read()).length > 0);
  assert.equal(keys.buffers.length, 2, 'one written, one read');
  for (const buffer of keys.buffers) {
    assert.ok(buffer.length > 88);
    assert.ok(buffer.every((byte) => byte === 0));
  }
});

test('tickets are for the owner alone', async () => {
  await using home = await temporaryDirectory();
  const keys = directoryKeys(join(home.path, 'keys'));
  await writeTicket(keys, TICKET);
  const path = keys.ticketPath(TICKET.job);
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.equal((await stat(join(home.path, 'keys', 'jobs'))).mode & 0o777, 0o700);
  assert.deepEqual(await readTicket(keys, TICKET.job), TICKET);
  // A file that others may read does not pass its mode on.
  await chmod(path, 0o644);
  await writeTicket(keys, { ...TICKET, backbone: 'scattering' });
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.equal((await readTicket(keys, TICKET.job)).backbone, 'scattering');
  assert.deepEqual(await readdir(join(home.path, 'keys', 'jobs')), [`${TICKET.job}.json`]);
});

test('a ticket that is missing, damaged or out of reach is explained', async () => {
  await using home = await temporaryDirectory();
  const keys = directoryKeys(home.path);
  const refused = (message: RegExp, hint: RegExp): Promise<void> =>
    assert.rejects(
      readTicket(keys, TICKET.job),
      (error) => error instanceof OwnerError && message.test(error.message) && hint.test(error.hint ?? ''),
    );
  await refused(/job-0123456789ab\.json is not there: these are not the keys job-0123456789ab was/, /`keys`/);
  await writeTicket(keys, TICKET);
  const path = keys.ticketPath(TICKET.job);
  const text = await readFile(path, 'utf8');
  for (const damaged of [
    text.slice(0, -9),
    text.replace('blindfit-ticket/2', 'blindfit-ticket/3'),
    text.replace('[0,3]', '[0,"3"]'),
    text.replace('"precision":0.00001', '"precision":0'),
    text.replace('[0.5,1]', '[-0.5,1]'),
    text.replace('sha256:', 'sha1:'),
    text.replace('["a","b"]', '["a"]'),
  ]) {
    assert.notEqual(damaged, text);
    await writeFile(path, damaged);
    await refused(/\.json is damaged: /, /restore it from a copy/);
  }
  const file = join(home.path, 'file');
  await writeFile(file, '');
  await assert.rejects(
    writeTicket(directoryKeys(file), TICKET),
    (error) => error instanceof OwnerError && /^`keys` .*file.jobs.* cannot be written: ENOTDIR/.test(error.message),
  );
  const other = join(home.path, 'other');
  await mkdir(join(other, 'jobs', `${TICKET.job}.json`), { recursive: true });
  await assert.rejects(readTicket(directoryKeys(other), TICKET.job), /cannot be read: EISDIR/);
});

test('a ticket of the release before is read, and knows no twin', async () => {
  await using home = await temporaryDirectory();
  const keys = directoryKeys(home.path);
  const { twin: _, ...old } = TICKET;
  await writeTicket(keys, old);
  const path = keys.ticketPath(TICKET.job);
  await writeFile(path, (await readFile(path, 'utf8')).replace('blindfit-ticket/2', 'blindfit-ticket/1'));
  assert.deepEqual(await readTicket(keys, TICKET.job), old);
});

test('making keys tells after each that the holder of the lock is alive', async () => {
  const keys = new MemoryKeys();
  const refreshed: number[] = [];
  let done = 0;
  let released = 0;
  const files = (name: string): KeysetFiles =>
    new Proxy(keys.keyset(name), {
      get(target, key) {
        if (key === 'lock')
          return () => ({
            refresh: () => Promise.resolve(void refreshed.push(done)),
            [Symbol.dispose]: () => released++,
          });
        const value: unknown = Reflect.get(target, key);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
  const store = { location: 'm', list: () => keys.list(), keyset: files } as unknown as KeyStore;
  const onProgress = (count: number): void => void (done = count);
  using keyset = await openKeyset({ keys: store, plan: { ...plan, steps: [4, 1, 2] }, create: true, onProgress });
  assert.deepEqual(refreshed, [0, 1, 2, 3]);
  assert.equal(released, 1);
  assert.deepEqual([...keyset.galoisKeys.keys()], [1, 2, 4]);
});

test('a signer is looked for among the keysets of its parameters only', async () => {
  const opened: string[] = [];
  const store = {
    list: () => Promise.resolve(['P1-a', 'P10-b', 'P2-c', 'P1-d']),
    keyset: (name: string) => ({ read: () => Promise.resolve(void opened.push(name)) }),
  } as unknown as KeyStore;
  assert.equal(await findSigner(store, 'nobody', 'P1'), undefined);
  assert.deepEqual(opened, ['P1-a', 'P1-d']);
});

test('keysets are directories of their form of name, and nothing is where there is no directory', async () => {
  await using home = await temporaryDirectory();
  const keys = directoryKeys(home.path);
  assert.deepEqual(await directoryKeys(join(home.path, 'none')).list(), []);
  const name = 'N2048QP295L4S45-0123abcd';
  for (const each of [name, `.${name}`, `old-${name}`, `${name}.bak`, 'jobs', 'N2048QP295L4S45-0123abc'])
    await mkdir(join(home.path, each));
  assert.deepEqual(await keys.list(), [name]);
});
