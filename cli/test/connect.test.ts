import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from '@blindfit/testkit';
import { serverOf } from '../src/connect.ts';
import { writeConnection } from '../src/connection-file.ts';
import { dataDirOf, defaultDataDir } from '../src/data-dir.ts';
import { UsageError } from '../src/errors.ts';
import { runCli } from './support.ts';

const TOKEN = 'a-token-of-the-environment';
const LOCAL = 'a-token-of-the-local-stack';

test('the server of a flag comes before that of the environment, and both before the local stack', async (t) => {
  const data = await temporaryDirectory(t);
  await writeConnection(data, { server: 'http://127.0.0.1:8080', token: LOCAL, pid: process.pid });
  const env = { BLINDFIT_SERVER: 'https://api.example', BLINDFIT_TOKEN: TOKEN };
  assert.deepEqual(await serverOf({ server: 'http://flag.example', data }, env), {
    server: 'http://flag.example',
    token: TOKEN,
  });
  assert.deepEqual(await serverOf({ data }, env), { server: 'https://api.example', token: TOKEN });
  assert.deepEqual(await serverOf({ data }, {}), { server: 'http://127.0.0.1:8080', token: LOCAL });
  assert.deepEqual(await serverOf({ data }, { BLINDFIT_TOKEN: TOKEN }), {
    server: 'http://127.0.0.1:8080',
    token: LOCAL,
  });
});

test('the token of the local stack is sent to the local stack only', async (t) => {
  const data = await temporaryDirectory(t);
  await writeConnection(data, { server: 'http://127.0.0.1:8080', token: LOCAL, pid: process.pid });
  const tokenFor = async (server: string): Promise<string | undefined> => (await serverOf({ server, data }, {})).token;
  assert.equal(await tokenFor('http://127.0.0.1:8080'), LOCAL);
  assert.equal(await tokenFor('http://127.0.0.1:8080/'), LOCAL);
  for (const other of ['http://127.0.0.1:8081', 'https://127.0.0.1:8080', 'http://127.0.0.2:8080', 'nonsense'])
    assert.equal(await tokenFor(other), undefined, other);
});

test('without any server the command is told how to get one', async (t) => {
  const data = await temporaryDirectory(t);
  await assert.rejects(serverOf({ data }, { BLINDFIT_TOKEN: TOKEN }), (error) => {
    assert.ok(error instanceof UsageError);
    assert.equal(error.code, 'USAGE');
    assert.ok(error.message.includes(`no "blindfit up" runs on ${data}`));
    return true;
  });
});

test('the data directory follows XDG_DATA_HOME when it is absolute, else HOME', () => {
  assert.equal(defaultDataDir({ XDG_DATA_HOME: '/xdg', HOME: '/home/ann' }), '/xdg/blindfit');
  assert.equal(defaultDataDir({ XDG_DATA_HOME: 'xdg', HOME: '/home/ann' }), '/home/ann/.local/share/blindfit');
  assert.equal(dataDirOf('here'), join(process.cwd(), 'here'));
});

test('the version is that of the package', async (t) => {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  for (const flag of ['--version', '-V'])
    assert.deepEqual(await runCli(t, [flag]), { status: 0, signal: null, stdout: `${version}\n`, stderr: '' });
});
