/** TLS of the API: real connections, a certificate that is replaced while they are open, and files that do not fit. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { copyFile, rename, writeFile } from 'node:fs/promises';
import { Agent, get } from 'node:https';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { createLogger } from '@blindfit/service';
import { CapturedText, TEST_CERTIFICATES, temporaryDirectory, until } from '@blindfit/testkit';
import { startApi } from '../src/index.ts';
import { readTls, warnOfEnd } from '../src/tls.ts';
import { startService, TOKEN } from './service.ts';

const { authority, first, second } = TEST_CERTIFICATES;
const ca = readFileSync(authority);

interface Answer {
  readonly status: number | undefined;
  /** Name in the certificate of the connection. */
  readonly name: string;
  readonly socket: Socket;
}

function ask(url: string, agent: Agent): Promise<Answer> {
  return new Promise((done, failed) => {
    get(`${url}/healthz`, { agent }, (response) => {
      const { socket } = response;
      const { subject } = (socket as Partial<TLSSocket>).getPeerCertificate?.() ?? {};
      response.resume().once('end', () => done({ status: response.statusCode, name: String(subject?.CN), socket }));
    }).once('error', failed);
  });
}

/** As tools that renew certificates do it. */
async function replace(source: string, path: string): Promise<void> {
  await copyFile(source, `${path}.new`);
  await rename(`${path}.new`, path);
}

test('TLS: the certificate is that of the files, also after they change, and open connections stay', async (t) => {
  const directory = await temporaryDirectory(t);
  const files = { cert: join(directory, 'tls.crt'), key: join(directory, 'tls.key') };
  await copyFile(first.cert, files.cert);
  await copyFile(first.key, files.key);
  const lines = new CapturedText();
  const { url } = await startService(t, {
    tlsCert: files.cert,
    tlsKey: files.key,
    tlsReloadMs: 10,
    logger: createLogger({ service: 'api', level: 'info', destination: lines }),
  });
  assert.match(url, /^https:/);
  await assert.rejects(fetch(`${url}/healthz`), (error: Error) =>
    /UNABLE_TO|SELF_SIGNED/.test(String((error.cause as NodeJS.ErrnoException).code)),
  );
  await assert.rejects(fetch(`${url.replace('https', 'http')}/healthz`));

  const kept = new Agent({ ca, keepAlive: true, maxSockets: 1, maxCachedSessions: 0 });
  // A resumed session has no certificate to look at.
  const fresh = new Agent({ ca, maxCachedSessions: 0 });
  t.after(() => {
    kept.destroy();
    fresh.destroy();
  });
  const before = await ask(url, kept);
  assert.deepEqual([before.status, before.name], [200, 'first']);

  // Half of a pair: as if the other file were still being written.
  await replace(second.cert, files.cert);
  await until(() => lines.text.includes('is not that of the certificate'), 'the half is noticed');
  assert.equal((await ask(url, fresh)).name, 'first');
  await replace(second.key, files.key);
  await until(async () => (await ask(url, fresh)).name === 'second', 'the new certificate is used');
  const afterwards = await ask(url, kept);
  assert.equal(afterwards.socket, before.socket);
  assert.deepEqual([afterwards.status, afterwards.name], [200, 'first']);
  assert.equal(lines.text.split('the new certificate cannot be used').length, 2, 'said once');
  assert.doesNotMatch(lines.text, /PRIVATE KEY/);
  await replace(authority, files.key);
  await until(() => lines.text.includes('holds no private key in PEM'), 'what is no key is noticed');
  assert.equal(lines.text.split('the certificate of the API was replaced').length, 2, 'replaced once');

  const old = new Agent({ ca, maxVersion: 'TLSv1.1', minVersion: 'TLSv1' });
  await assert.rejects(ask(url, old));
});

test('TLS: files that cannot be used are named, with what to do', async (t) => {
  const directory = await temporaryDirectory(t);
  const nothing = join(directory, 'nothing.pem');
  const encrypted = join(directory, 'encrypted.pem');
  await writeFile(nothing, 'nothing\n');
  await writeFile(encrypted, '-----BEGIN ENCRYPTED PRIVATE KEY-----\nMA==\n-----END ENCRYPTED PRIVATE KEY-----\n');
  const refused = (files: { cert: string; key: string }, message: RegExp, hint: RegExp): Promise<void> =>
    assert.rejects(readTls(files), { code: 'TLS_UNUSABLE', message, hint });
  await refused(
    { ...first, cert: join(directory, 'absent') },
    /BLINDFIT_TLS_CERT: .*absent cannot be read: ENOENT/,
    /PEM/,
  );
  await refused({ ...first, key: directory }, /BLINDFIT_TLS_KEY: .* cannot be read: EISDIR/, /PEM/);
  await refused({ ...first, cert: nothing }, /holds no certificate in PEM/, /BEGIN CERTIFICATE/);
  await refused({ ...first, key: nothing }, /holds no private key in PEM/, /BEGIN PRIVATE KEY/);
  await refused({ ...first, key: encrypted }, /is under a passphrase/, /openssl pkey/);
  await refused({ cert: first.cert, key: second.key }, /is not that of the certificate/, /first certificate/);
  const base = {
    redisUrl: 'redis://127.0.0.1:1',
    storeUrl: 'file:///nowhere',
    token: TOKEN,
    tenantDefaults: { runningJobs: 16 },
    logger: createLogger({ service: 'api', level: 'silent' }),
  };
  for (const half of [{ tlsCert: first.cert }, { tlsKey: first.key }])
    await assert.rejects(startApi({ ...base, ...half }), { code: 'CONFIG_INVALID', message: /only one of them/ });
});

test('TLS: a certificate that ends within a week is warned of', async (t) => {
  const identity = await readTls(first);
  const warnings: unknown[] = [];
  const logger = { warn: (fields: unknown) => void warnings.push(fields) };
  const end = Date.UTC(2120, 0, 1);
  t.mock.timers.enable({ apis: ['Date'], now: end - 8 * 86_400_000 });
  warnOfEnd(identity, logger as never);
  assert.equal(warnings.length, 0);
  t.mock.timers.setTime(end - 6 * 86_400_000);
  warnOfEnd(identity, logger as never);
  assert.deepEqual(warnings, [{ end: '2120-01-01T00:00:00.000Z' }]);
});
