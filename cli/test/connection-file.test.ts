import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from '@blindfit/testkit';
import { readConnection, removeConnection, tokenOf, writeConnection } from '../src/connection-file.ts';

test('the connection file is private, and one left behind does not count', async (t) => {
  const directory = join(await temporaryDirectory(t), 'data');
  assert.equal(await readConnection(directory), undefined);
  const token = await tokenOf(directory);
  assert.match(token, /^[0-9a-f]{64}$/);
  assert.equal(await tokenOf(directory), token, 'the token stays');
  const connection = { server: 'http://127.0.0.1:8080', token, pid: process.pid };
  await writeConnection(directory, connection);
  assert.deepEqual(await readConnection(directory), connection);
  for (const name of ['connection.json', 'token'])
    assert.equal((await stat(join(directory, name))).mode & 0o777, 0o600, name);
  assert.equal((await stat(directory)).mode & 0o777, 0o700);

  const gone = spawnSync(process.execPath, ['--version']);
  await writeConnection(directory, { ...connection, pid: gone.pid });
  assert.equal(await readConnection(directory), undefined);
  await writeFile(join(directory, 'connection.json'), '{"server": 3}');
  assert.equal(await readConnection(directory), undefined);
  await removeConnection(directory);
  await removeConnection(directory);
});
